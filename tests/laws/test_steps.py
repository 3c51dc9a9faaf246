"""Every layer and cell that can stream has a native step, except those named here; its outputs are the formula's."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from tests.laws.examples import EXAMPLES, SEQUENCE
from tests.laws.own_cell import Leaky
from tests.laws.tolerance import exact, same
from tests.unit.runtime.networks import network

from ostinato.cells import CELLS
from ostinato.errors import ShapeError
from ostinato.maps.activation import FUNCTIONS
from ostinato.maps.base import Context
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.maps.flatten import Flatten
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.masking import Masking
from ostinato.maps.reshape import Reshape
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.runtime import native
from ostinato.runtime.arrays import NUMPY
from ostinato.scans import SCANS
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.loop import loop
from ostinato.scans.recurrent import Recurrent

pytestmark = pytest.mark.skipif(native.available() is not None, reason=str(native.available()))

RNG = np.random.default_rng(4)
NUMBERS = RNG.normal(size=(5, 8, 3)).astype(np.float32)
NUMBERS[1, 2:4] = NUMBERS[2, 6:] = NUMBERS[3, 0] = 0.0


def variants(name):
    """The cell with each of its functions in turn."""
    cell = CELLS[name](6)
    places = [f.name for f in fields(cell) if f.name in ("activation", "recurrent_activation")]
    return [cell, *(replace(cell, **{place: function}) for place in places for function in FUNCTIONS)]


CELLS_OF_ALL_FUNCTIONS = [pytest.param(cell, id=repr(cell)) for name in CELLS for cell in variants(name)]
LAYERS = {
    "plain": {}, "last output": {"return_sequences": False}, "learned start": {"start": "learned"},
    "zoneout": {"zoneout": 0.4}, "dropout": {"dropout": 0.5, "recurrent_dropout": 0.2, "weight_drop": 0.3},
}  # fmt: skip


def by_formula(model, x):
    """What the formulas give in float64, by NumPy."""
    context = Context(NUMPY, lambda cell, w, x, state, **options: loop(NUMPY, cell, w, x, state, **options))
    y, mask = x.astype(np.float64), None
    for part, weights in zip(model.parts, model.weights, strict=True):
        w = {name: value.astype(np.float64) for name, value in weights.items()}
        y, mask, _ = part.apply(context, w, y, mask=mask)
    return y


def check(model, x):
    """The network has native steps, whose outputs are the formula's, and to the bit those of `predict`."""
    assert model.stepping.plain is None, model.stepping.plain
    streams = np.stack([model.stream().run(row) for row in x])
    whole = model.predict(x)
    assert np.isfinite(whole).all()
    exact(streams if whole.ndim == 3 else streams[:, -1], whole, what="stream and predict")
    same(whole, by_formula(model, x), what="the formula")


def small(model):
    """The same network with weights that are small enough for every function."""
    for w in model.weights:
        for name, value in w.items():
            w[name] = value * np.float32(0.3)
    return model


@pytest.mark.parametrize("cell", CELLS_OF_ALL_FUNCTIONS)
def test_every_cell_with_every_function(cell):
    check(small(network([Recurrent(cell, return_sequences=True), Dense(2)])), NUMBERS)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_with_every_option(cell, masked, layer):
    part = Recurrent(CELLS[cell](6), **{"return_sequences": True, **LAYERS[layer]})
    named = {f.name for f in fields(Recurrent)} - {"cell", "reverse"}
    assert {name for options in LAYERS.values() for name in options} == named, "an option is not tried"
    check(small(network([*([Masking()] if masked else []), part, LayerNorm(), Dense(2, "softplus")])), NUMBERS)


def test_every_scan_that_can_stream_is_tried():
    examples = {"recurrent": Recurrent(CELLS["lstm"](2)), "bidirectional": Bidirectional(Recurrent(CELLS["lstm"](2)))}
    assert {name for name in SCANS if examples[name].stepwise()} == {"recurrent"}


STEPWISE = [part for part, shape in EXAMPLES if part.stepwise() and shape == SEQUENCE]


def rows_to_rows():
    """Every map that takes a row of numbers for another one, as a layer of each step."""
    for part, _ in EXAMPLES:
        try:
            if len(part.out_shape((6,))) == 1 and not isinstance(part, Embedding):
                yield TimeDistributed(part)
        except ShapeError:
            continue


@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize("part", [*STEPWISE, *rows_to_rows(), TimeDistributed(Reshape((6,)))], ids=repr)
def test_every_map(part, masked):
    parts = [*([Masking()] if masked else []), Recurrent(CELLS["layer_norm_lstm"](6), return_sequences=True), part]
    check(network([*parts, Recurrent(CELLS["gru"](4))]), NUMBERS)


def test_steps_of_several_axes_that_are_flattened():
    x = RNG.normal(size=(3, 7, 2, 3)).astype(np.float32)
    for first in (Flatten(), Reshape((6,))):
        check(network([TimeDistributed(first), Recurrent(CELLS["lstm"](4))], (None, 2, 3)), x)


def test_symbols_with_padding():
    x = RNG.integers(0, 4, (5, 9))
    check(network([Embedding(4, 3, mask_zero=True), Dense(5), Recurrent(CELLS["gru"](4))], (None,)), x)


WITHOUT = {
    "no native step of Leaky": network([Recurrent(Leaky(4))]),
    "one row of numbers a step": network([Dense(2), TimeDistributed(Flatten())], (None, 2, 3)),
    "gives one row of numbers": network([TimeDistributed(Reshape((3, 2)))], (None, 6)),
    "embeddings of one symbol a step": network([Embedding(7, 2), TimeDistributed(Flatten())], (None, 3)),
    "as first layers only": network([TimeDistributed(Embedding(7, 2)), TimeDistributed(Flatten())], (None, 3)),
}
"""All that streams layer after layer in Python: cells of one's own, and steps of several axes."""


@pytest.mark.parametrize("reason", WITHOUT)
def test_what_has_no_native_step_says_so_and_streams_all_the_same(reason):
    model = WITHOUT[reason]
    assert reason in model.stream().explain()
    symbols = any(isinstance(getattr(part, "inner", part), Embedding) for part in model.parts)
    shape = (4, *model.input_shape[1:])
    x = RNG.integers(0, 7, shape) if symbols else RNG.normal(size=shape).astype(np.float32)
    y = model.stream().run(x)
    whole = model.predict(x[None])[0]
    same(y if y.shape == whole.shape else y[-1], whole, what="stream and predict")


def test_numbers_below_the_smallest_normal_one_are_no_padding():
    x = NUMBERS.copy()
    x[0, 3] = (0.0, 1e-42, 0.0)
    x[0, 4] = (0.0, -0.0, 0.0)
    check(network([Masking(), Recurrent(CELLS["lstm"](6))]), x)
    padding = np.full((1, 4, 3), 0.1, np.float32)  # of which 0.1 is another number in float64
    model = network([Masking(0.1), Recurrent(CELLS["lstm"](6), return_sequences=True)])
    assert not model.predict(padding).any()
    x = np.concatenate([padding, NUMBERS[:1, :4]])
    exact(np.stack([model.stream().run(row) for row in x]), model.predict(x), what="stream and predict")


def test_the_list_of_compiled_functions_is_complete():
    assert set(native.FUNCTIONS) == set(FUNCTIONS)
