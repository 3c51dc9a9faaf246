"""A network step by step."""

from __future__ import annotations

import numpy as np
import pytest

from ostinato.cells import CELLS
from ostinato.errors import ArgumentError
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.maps.flatten import Flatten
from ostinato.runtime.machine import Machine, expected
from ostinato.runtime.one_step import why_not
from ostinato.runtime.rows import Rows
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent


def machine(cell, *, last=True):
    parts = (Embedding(7, 5), Recurrent(cell(6), return_sequences=True), Recurrent(cell(4), return_sequences=not last))
    parts = (*parts, Dense(3))
    rng = np.random.default_rng(0)
    weights = [
        {name: rng.normal(0.0, 0.4, w.shape).astype(np.float32) for name, w in needed.items()}
        for needed in expected(parts, (None,))
    ]
    return Machine(parts, weights)


IDS = np.random.default_rng(1).integers(0, 7, (3, 9))


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_any_cut_gives_what_the_whole_gives(cell):
    whole, _ = machine(cell, last=False).run(IDS)
    stream = Rows(machine(cell), batch=3)
    parts = [stream.run(IDS[:, :4]), stream.step(IDS[:, 4])[:, None], stream.run(IDS[:, 5:])]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=0, atol=1e-6)
    np.testing.assert_allclose(parts[-1][:, -1], machine(cell).run(IDS)[0], rtol=0, atol=1e-6)


def test_rows_are_chosen_and_repeated():
    stream, alone = Rows(machine(CELLS["lstm"]), batch=3), Rows(machine(CELLS["lstm"]), batch=1)
    stream.run(IDS)
    alone.run(IDS[2:])
    stream.select([2, 0, 2])
    y = stream.step(np.array([1, 2, 3]))
    np.testing.assert_allclose(y[:1], alone.step(np.array([1])), rtol=0, atol=1e-6)
    assert stream.batch == 3
    assert not np.allclose(y[0], y[2])


def test_a_fork_goes_its_own_way():
    stream = Rows(machine(CELLS["gru"]), batch=3)
    stream.run(IDS)
    fork = stream.fork()
    before = [s.copy() for state in stream.states for s in state]
    fork.run(IDS)
    assert all(np.array_equal(a, b) for a, b in zip(before, [s for st in stream.states for s in st], strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(before, [s for st in fork.states for s in st], strict=True))


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Recurrent(CELLS["lstm"](2), return_sequences=True, reverse=True), "from the last step"),
        (Bidirectional(Recurrent(CELLS["lstm"](2), return_sequences=True)), "needs more than one step"),
        (Flatten(), "needs more than one step"),
    ],
)
def test_what_needs_later_steps_is_refused(part, words):
    with pytest.raises(ArgumentError, match=words):
        Rows(Machine([part], [{}]))
    assert words in why_not([part])
