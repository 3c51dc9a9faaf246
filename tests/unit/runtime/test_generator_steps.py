"""Sampling one text goes through the step machine, and gives what the network gives."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.runtime.generators import VOCABULARIES, generator, parts

from ostinato.cells import CELLS
from ostinato.maps.activity_penalty import ActivityPenalty
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.runtime.decode import Sampling
from ostinato.runtime.machine import Machine
from ostinato.runtime.rows import Rows
from ostinato.scans.recurrent import Recurrent

GREEDY = Sampling(temperature=0.0)


@pytest.mark.parametrize("cells", [[name] for name in CELLS] + [["lstm", "lstm"], ["gru", "lstm", "gru_reset_after"]])
@pytest.mark.parametrize("tied", [False, True], ids=["dense", "tied"])
def test_steps_are_those_of_the_rows(cells, tied):
    vocabulary = VOCABULARIES["characters"]
    model = generator(vocabulary, parts(vocabulary.size, cells, tied=tied))
    stream = Rows(Machine(model.parts, model.weights))
    stream.run(np.array([[1, 2, 3]]))
    before = tuple(tuple(s.copy() for s in state) for state in stream.states)
    step = model._stepper(stream)
    found = [step(symbol).copy() for symbol in (4, 0, 5, 5)]
    stream.states = before
    want = [stream.step(np.array([symbol]))[0] for symbol in (4, 0, 5, 5)]
    np.testing.assert_allclose(found, want, rtol=0, atol=2e-6 * np.abs(want).max())


def test_any_layers_are_sampled():
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
