"""The short way through a generator's network gives what the network gives."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.runtime.generators import VOCABULARIES, generator, parts

from ostinato.cells import CELLS
from ostinato.errors import ShapeError
from ostinato.maps.activity_penalty import ActivityPenalty
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.runtime import native
from ostinato.runtime.decode import Sampling
from ostinato.runtime.machine import Machine
from ostinato.runtime.rows import Rows
from ostinato.runtime.steps import Steps, stepping
from ostinato.scans.recurrent import Recurrent

GREEDY = Sampling(temperature=0.0)
compiled = pytest.mark.skipif(native.available() is not None, reason=str(native.available()))


@pytest.mark.parametrize("cells", [[name] for name in CELLS] + [["lstm", "lstm"], ["gru", "lstm", "gru_reset_after"]])
@pytest.mark.parametrize("tied", [False, True], ids=["dense", "tied"])
def test_the_short_way_gives_what_the_stream_gives(cells, tied):
    vocabulary = VOCABULARIES["characters"]
    model = generator(vocabulary, parts(vocabulary.size, cells, tied=tied))
    stream = Rows(Machine(model.parts, model.weights))
    stream.run(np.array([[1, 2, 3]]))
    before = [s.copy() for state in stream.states for s in state]
    step = stepping(stream)
    found = [step(symbol).copy() for symbol in (4, 0, 5, 5)]
    after = [s for state in stream.states for s in state]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    want = [stream.step(np.array([symbol]))[0] for symbol in (4, 0, 5, 5)]
    np.testing.assert_allclose(found, want, rtol=0, atol=2e-6 * np.abs(want).max())


def test_other_layers_take_the_long_way():
    size = VOCABULARIES["characters"].size
    cell = CELLS["lstm"](5)
    others = [
        (Embedding(size, 4), Recurrent(cell, return_sequences=True, zoneout=0.2), Dense(size)),
        (Embedding(size, 4), Recurrent(cell, return_sequences=True), Dense(size, activation="tanh")),
        (Embedding(size, 4), Recurrent(cell, return_sequences=True), Dense(6), Dense(size)),
        (Embedding(size, 4, mask_zero=True), Recurrent(cell, return_sequences=True), Dense(size)),
        (Embedding(size, 4), Dense(size)),
        (Embedding(size, 4), ActivityPenalty(1.0, 1.0), Recurrent(cell, start="learned"), Dense(size, use_bias=False)),
    ]
    for layers in others:
        model = generator(VOCABULARIES["characters"], layers)
        ids = [model.first, *model.sample(length=8, sampling=GREEDY)]
        machine = Machine(layers, model.weights)
        assert ids[1:] == [int(Rows(machine).run(np.array([ids[: i + 1]]))[0, -1].argmax()) for i in range(8)]


@compiled
def test_steps_take_over_the_states():
    model = generator(VOCABULARIES["characters"])
    stream = Rows(Machine(model.parts, model.weights))
    stream.run(np.array([[1, 2, 3]]))
    fresh = Steps(stream.machine, [tuple(np.zeros_like(s) for s in state) for state in stream.states])
    assert not np.allclose(fresh.step(4), Steps(stream.machine, stream.states).step(4))


@compiled
def test_a_stepper_reads_an_array_that_fits_or_none():
    cell = CELLS["gru"](3)
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=w.shape).astype(np.float32) for name, w in cell.weights(4).items()}
    prepared = native.Prepared(cell, weights)
    x = np.ones((2, 4), np.float32)
    reading, own = prepared.stepper(2, reads=x), prepared.stepper(2)
    for _ in range(3):
        x[:] = rng.normal(size=x.shape)
        reading.advance()
        assert np.array_equal(reading.state[0], own.step(x))
    for wrong in (
        np.ones((2, 3), np.float32),
        np.ones((1, 4), np.float32),
        np.ones((2, 4)),
        np.ones((2, 8), np.float32)[:, ::2],
    ):
        with pytest.raises(ShapeError, match="reads"):
            prepared.stepper(2, reads=wrong)
