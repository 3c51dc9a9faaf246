"""Stacks of layers for the tests of exchange: every map, cell and way to run one, with open and fixed lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from tests.laws.examples import EXAMPLES

from ostinato.cells import CELLS
from ostinato.maps.activation import FUNCTIONS
from ostinato.maps.attention import Attention
from ostinato.maps.base import Part, Shape
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.maps.flatten import Flatten
from ostinato.maps.masking import Masking
from ostinato.maps.reshape import Reshape
from ostinato.runtime import Network
from ostinato.runtime.machine import expected
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

OPEN: Shape = (None, 4)
BOUNDED = ("tanh", "sigmoid", "hard_sigmoid", "softsign", "softmax")


class Sample(NamedTuple):
    """A stack of layers.

    Args:
        name: The key of the layer or cell that it is about.
        parts: The layers.
        shape: Shape of one sample.
    """

    name: str
    parts: tuple[Part, ...]
    shape: Shape

    def __str__(self) -> str:
        return f"{self.parts} on {self.shape}"


def samples() -> Iterator[Sample]:
    """All stacks."""
    yield from maps()
    yield from cells()
    dense = Dense(2, "softmax")
    lstm, gru = CELLS["lstm"](5), CELLS["gru"](3)
    yield Sample("stack", (Recurrent(lstm, return_sequences=True), Recurrent(gru), dense), OPEN)
    yield Sample(
        "stack", (Embedding(9, 4, mask_zero=True), Recurrent(lstm, True), Attention("learned"), dense), (None,)
    )
    yield Sample("stack", (Masking(), Bidirectional(Recurrent(gru, True)), Attention(), Recurrent(lstm), dense), OPEN)


def maps() -> Iterator[Sample]:
    """Every map with the shapes it takes; sequences also with an open length, and behind a mask."""
    for part, shape in EXAMPLES:
        name = _key(part)
        yield Sample(name, (part,), shape)
        if len(shape) == 2 and not isinstance(part, (Flatten, Reshape)):
            yield Sample(name, (part,), OPEN)
            yield Sample(name, (Masking(), part), OPEN)


def cells() -> Iterator[Sample]:
    """Every cell in every way to run one, with and without a mask."""
    ways: Sequence[dict[str, Any]] = (
        {},
        {"return_sequences": True},
        {"reverse": True},
        {"reverse": True, "return_sequences": True},
        {"start": "learned", "return_sequences": True},
        {"zoneout": 0.2},
        {"dropout": 0.2, "recurrent_dropout": 0.2, "weight_drop": 0.2},
    )
    for name, cell in CELLS.items():
        for way in ways:
            yield Sample(name, (Recurrent(cell(3), **way),), OPEN)
            yield Sample(name, (Masking(), Recurrent(cell(3), **way)), OPEN)
        for mode in ("concat", "sum", "mul", "ave"):
            yield Sample("bidirectional", (Bidirectional(Recurrent(cell(3), mode != "mul"), mode),), OPEN)
            yield Sample("bidirectional", (Masking(), Bidirectional(Recurrent(cell(3), mode != "ave"), mode)), OPEN)
        yield Sample("bidirectional", (Masking(), Bidirectional(Recurrent(cell(3), True, start="learned"))), OPEN)
        for function in FUNCTIONS:
            fields = [f for f in ("activation", "recurrent_activation") if f in cell.__dataclass_fields__]
            used = [f for f in fields if f == "activation" or function in BOUNDED]  # gates above 1 overflow along time
            if used and function != "exponential":
                yield Sample(name, (Recurrent(cell(3, **dict.fromkeys(used, function))),), (5, 4))


def _key(part: Part) -> str:
    return type(part).__module__.rpartition(".")[2]


def network(sample: Sample, *, seed: int = 0) -> Network:
    """The stack with random weights."""
    rng = np.random.default_rng(seed)
    weights = [
        {key: rng.normal(0.0, 0.6, w.shape).astype(np.float32) for key, w in needed.items()}
        for needed in expected(sample.parts, sample.shape)
    ]
    return Network(sample.parts, weights, sample.shape)
