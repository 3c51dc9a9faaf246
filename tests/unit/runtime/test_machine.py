"""A machine brings its weights into the order of the compiled loops once; they are fixed."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from ostinato.cells import CELLS
from ostinato.maps.base import silence
from ostinato.maps.dense import Dense
from ostinato.runtime import native
from ostinato.runtime.arrays import CONTEXT, NUMPY
from ostinato.runtime.compiled_maps import row_map
from ostinato.runtime.machine import Machine, expected
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

compiled = pytest.mark.skipif(native.available() is not None, reason=str(native.available()))
RNG = np.random.default_rng(3)
X = RNG.normal(size=(5, 7, 3)).astype(np.float32)
MASK = np.arange(7)[None] < np.array([7, 3, 0, 5, 1])[:, None]


def machine(*, hold=lambda value: value) -> Machine:
    """A machine with every cell, one direction and two, whose weights are what `hold` makes of them."""
    cells = [cls(6) for cls in CELLS.values()]
    parts = [
        *(Recurrent(cell, return_sequences=True) for cell in cells),
        *(Bidirectional(Recurrent(cell, return_sequences=True, start="learned")) for cell in cells),
        Dense(2),
    ]
    needed = expected(parts, (None, 3))
    draw = [{n: RNG.normal(0, 0.3, w.shape).astype(np.float32) for n, w in layer.items()} for layer in needed]
    return Machine(parts, [{n: hold(value) for n, value in layer.items()} for layer in draw])


def plainly(m: Machine, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What the machine must give, computed without keeping anything."""
    for part, w in zip(m.parts, m.weights, strict=True):
        if isinstance(part, Dense):
            x = row_map(part, w)(silence(NUMPY, x, mask))
        else:
            x, mask, _ = part.apply(CONTEXT, w, x, mask=mask)
    return x


@compiled
def test_weights_are_brought_into_order_once_a_layer_and_direction(monkeypatch):
    calls = []
    real = native.packed
    monkeypatch.setattr(native, "packed", lambda cell, *rest: (calls.append(cell), real(cell, *rest))[1])
    m = machine()
    first = m.run(X, mask=MASK)[0]
    n = sum(not isinstance(native.key(cls(6)), str) for cls in CELLS.values())
    assert len(calls) == 3 * n
    for _ in range(3):
        assert np.array_equal(m.run(X, mask=MASK)[0], first)
    assert len(calls) == 3 * n
    assert np.array_equal(plainly(m, X, MASK), first)


def test_layers_with_one_cell_object_do_not_share_weights():
    cell = CELLS["lstm"](4)
    parts = [Recurrent(cell, return_sequences=True)] * 3
    needed = expected(parts, (None, 4))
    m = Machine(parts, [{n: RNG.normal(size=w.shape).astype(np.float32) for n, w in one.items()} for one in needed])
    x = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    for _ in range(2):
        assert np.array_equal(m.run(x)[0], plainly(m, x, np.ones((2, 3), bool)))


@pytest.mark.parametrize("when", ["before the first run", "after it"])
def test_writing_into_the_given_arrays_changes_nothing(when):
    given = []

    def hold(value: np.ndarray) -> np.ndarray:
        given.append(value)
        view = value[...]
        view.flags.writeable = False
        return view if len(given) % 2 else value

    m = machine(hold=hold)
    if when == "after it":
        m.run(X, mask=MASK)
    kept = plainly(m, X, MASK)
    for value in given:
        value += 1.0
    assert np.array_equal(m.run(X, mask=MASK)[0], kept)
    assert np.array_equal(m.run(X, mask=MASK)[0], plainly(m, X, MASK))


def test_weights_are_read_only_and_not_copied_without_need():
    m = machine()
    for w in m.weights:
        for value in w.values():
            with pytest.raises(ValueError, match="read-only"):
                value[...] = 0.0
    again = Machine(m.parts, m.weights)
    assert all(a[n] is b[n] for a, b in zip(m.weights, again.weights, strict=True) for n in a)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copied", "pickled"])
def test_a_machine_that_has_run_can_be_copied_and_pickled(twin):
    m = machine()
    y = m.run(X, mask=MASK)[0]
    assert np.array_equal(twin(m).run(X, mask=MASK)[0], y)
