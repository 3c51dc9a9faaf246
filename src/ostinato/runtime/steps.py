"""The short way through a generator's network: one sequence, one symbol a call, no new arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ostinato.maps.activity_penalty import ActivityPenalty
from ostinato.maps.base import Array, Part, State
from ostinato.maps.dense import Dense
from ostinato.maps.dropout import Dropout
from ostinato.maps.embedding import Embedding
from ostinato.maps.unembedding import Unembedding
from ostinato.runtime import native
from ostinato.runtime.machine import Machine
from ostinato.runtime.rows import Rows
from ostinato.scans.recurrent import Recurrent

Step = Callable[[int], Array]
"""From a symbol to the scores `[symbols]` of the next one, which the next call may overwrite."""

_IDENTITY = (Dropout, ActivityPenalty)
"""Layers that do nothing outside training."""


def stepping(stream: Rows) -> Step:
    """Go on with a stream of one sequence of symbols, one a call, from where it stands; the stream itself stays there.

    With a compiled kernel for every cell a symbol costs little more than the products themselves; otherwise each call
    is a step of a fork of the stream.
    """
    if _short(stream.machine.parts):
        return Steps(stream.machine, stream.states).step
    fork = stream.fork()
    return lambda symbol: fork.step(np.array([symbol]))[0]


def _short(parts: Sequence[Part]) -> bool:
    """Whether these layers are an embedding, recurrent layers with compiled kernels, and an affine map to scores."""
    if len(parts) < 3 or native.usable() is not None:
        return False
    first, *middle, last = parts
    cells = [part for part in middle if isinstance(part, Recurrent)]
    return (
        isinstance(first, Embedding)
        and not first.mask_zero
        and (isinstance(last, Unembedding) or (isinstance(last, Dense) and last.activation == "linear"))
        and bool(cells)
        and all(isinstance(part, (Recurrent, *_IDENTITY)) for part in middle)
        and all(isinstance(native.key(r.cell), int) and not r.reverse and not r.zoneout for r in cells)
    )


class Steps:
    """Computes one symbol after the other in arrays that it keeps.

    Args:
        machine: A network for which there is this short way.
        states: Of each of its layers; where to go on from.
    """

    def __init__(self, machine: Machine, states: Sequence[State]) -> None:
        self._table = machine.weights[0]["table"]
        x = np.empty((1, self._table.shape[1]), np.float32)
        self._first = x[0]
        self._runs = []
        for part, w, state in zip(machine.parts, machine.weights, states, strict=True):
            if isinstance(part, Recurrent):
                stepper = machine.prepared(part.cell, w).stepper(reads=x)
                for own, given in zip(stepper.state, state, strict=True):
                    own[:] = given
                self._runs.append(stepper.advance)
                x = stepper.state[0]
        last = machine.weights[-1]
        self._last, self._weights = x[0], last["W"] if "W" in last else np.ascontiguousarray(last["table"].T)
        self._bias = last.get("b")
        self._scores = np.empty(self._weights.shape[1], np.float32)

    def step(self, symbol: int) -> Array:
        """The scores `[symbols]` after this symbol; the next call overwrites them."""
        self._first[:] = self._table[symbol]
        for run in self._runs:
            run()
        np.dot(self._last, self._weights, out=self._scores)
        if self._bias is not None:
            np.add(self._scores, self._bias, out=self._scores)
        return self._scores
