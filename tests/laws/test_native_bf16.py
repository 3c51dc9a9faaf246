"""Products of bf16: right to float32's last places for rounded operands, and the same bits whatever surrounds a row."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from tests.laws.problems import problem
from tests.laws.tolerance import different, exact, largest, tiny
from tests.unit.runtime.bundle_samples import bundle

from ostinato.cells import CELLS, Cell
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.errors import KernelError
from ostinato.maps.activation import FUNCTIONS
from ostinato.maps.dense import Dense
from ostinato.runtime import bundle as files
from ostinato.runtime import load, native, precision_cost
from ostinato.runtime.arrays import NUMPY
from ostinato.runtime.machine import Machine
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.loop import loop
from ostinato.scans.recurrent import Recurrent

pytestmark = pytest.mark.skipif(native.without_bf16() is not None, reason=str(native.without_bf16()))

KINDS = {name: cls for name, cls in CELLS.items() if not isinstance(native.key(cls(1)), str)}
SIZES = ((1, 1), (3, 7), (2, 16), (5, 33), (33, 20), (257, 16), (600, 40))
"""Features and units: odd and even, around the width of a register, and more than what is rounded at once."""


def variants(units: int) -> list[Cell]:
    """All cells with native code."""
    return [*(cls(units) for cls in KINDS.values()), SimpleRNN(units, activation="relu")]


def name_of(cell: Cell) -> str:
    """The cell's class and activation."""
    return f"{type(cell).__name__}-{getattr(cell, 'activation', '')}"


each = pytest.mark.parametrize(
    ("cell", "features"),
    [pytest.param(c, f, id=f"{name_of(c)}-{f}-{n}") for f, n in SIZES for c in variants(n)],
)


class Sample:
    """A cell with weights, inputs and start states in float32, and its weights packed as bf16."""

    def __init__(self, cell: Cell, features: int, *, batch: int = 13, time: int = 9) -> None:
        made = problem(cell, batch=batch, time=time, features=features)
        self.cell, self.x = cell, made.x.astype(np.float32)
        self.w = {k: (v / max(1.0, v.shape[0] ** 0.5)).astype(np.float32) for k, v in made.w.items()}
        self.state = tuple(s.astype(np.float32) for s in made.state)
        self.prepared = native.Prepared(cell, self.w, precision="bf16")

    def forward(self, *, rows: Any = slice(None), steps: Any = slice(None), **options: Any) -> Any:
        """Outputs and final states of some rows and steps."""
        return self.prepared.forward(self.x[rows, steps], tuple(s[rows] for s in self.state), **options)


def rounded(a: np.ndarray) -> np.ndarray:
    """float32 to the nearest bf16, ties to even, as float64."""
    bits = np.ascontiguousarray(a, np.float32).view(np.uint32).astype(np.uint64)
    bits = bits + 0x7FFF + (bits >> np.uint64(16) & np.uint64(1)) & np.uint64(0xFFFF0000)
    return bits.astype(np.uint32).view(np.float32).astype(np.float64)


class Rounded:
    """Weights that round themselves and what is multiplied with them, and keep account of how far sums may be off.

    A sum of n products in float32 is off by n half units in the last place of what it sums. And a number that was
    computed in float32 and lies close to the middle of two neighbours in bf16 may have become the other one.
    """

    __array_ufunc__ = None

    def __init__(self, weights: np.ndarray, allowed: list[float]) -> None:
        self.weights, self.allowed = rounded(weights), allowed

    def __getitem__(self, key: Any) -> Rounded:
        return Rounded(self.weights[key], self.allowed)

    def __rmatmul__(self, h: np.ndarray) -> np.ndarray:
        near = rounded(h)
        unit = np.ldexp(1.0, np.frexp(near)[1] - 8)
        doubtful = np.abs(np.abs(h - near) - unit / 2) < 2e-6 * np.abs(h)
        size, n = np.abs(near) @ np.abs(self.weights), len(self.weights) + 2
        self.allowed.append(largest(size * n * 2.0**-24 + (doubtful * unit) @ np.abs(self.weights)))
        return near @ self.weights


@each
def test_every_step_is_that_of_rounded_operands(cell, features):
    s = Sample(cell, features)
    state = s.state
    for t in range(9):
        x = s.x[:, t : t + 1]
        allowed: list[float] = []
        wide = {name: value.astype(np.float64) for name, value in s.w.items()}
        wide |= {name: Rounded(s.w[name], allowed) for name in ("W", "U")}
        truth, last = loop(NUMPY, cell, wide, x.astype(np.float64), tuple(a.astype(np.float64) for a in state))
        y, state = s.prepared.forward(x, state)
        for got, right in zip((y, *state), (truth, *last), strict=True):
            limit = tiny(np.float32, largest(right)) + 2.0 * sum(allowed)
            error = largest(got - right)
            assert error <= limit, f"step {t}: error {error:.3g}, allowed {limit:.3g}"


@pytest.mark.parametrize("cell", variants(40), ids=name_of)
def test_it_is_not_float32(cell):
    s = Sample(cell, 30, time=1)
    y, plain = s.forward()[0], native.forward(cell, s.w, s.x, s.state)[0]
    different(10.0 * y, 10.0 * plain, what="outputs")  # a rounding of 2^-9 in each operand shows
    assert largest(y - plain) < 0.03


@each
def test_a_row_has_the_same_bits_in_any_batch(cell, features):
    s = Sample(cell, features)
    y, last = s.forward()
    rows = np.random.default_rng(1).permutation(13)
    for n in range(1, 14):
        one, final = s.forward(rows=rows[:n])
        exact(one, y[rows[:n]], what="outputs")
        for a, b in zip(final, last, strict=True):
            exact(a, b[rows[:n]], what="final state")


@each
def test_a_row_has_the_same_bits_in_pieces(cell, features):
    s = Sample(cell, features)
    y, last = s.forward()
    for cuts in ((0, 2, 9), tuple(range(10))):
        state, parts = s.state, []
        for start, stop in itertools.pairwise(cuts):
            part, state = s.prepared.forward(s.x[:, start:stop], state)
            parts.append(part)
        exact(np.concatenate(parts, 1), y, what="outputs")
        for a, b in zip(state, last, strict=True):
            exact(a, b, what="final state")


@each
def test_a_row_has_the_same_bits_padded_or_not(cell, features):
    lengths = (9, 1, 4, 0, 6)
    s = Sample(cell, features, batch=len(lengths))
    for reverse, shift in itertools.product((False, True), (0, 1, 100)):
        x, mask = np.full_like(s.x, np.nan), np.zeros((len(lengths), 9), bool)
        for i, n in enumerate(lengths):
            at = min(shift, 9 - n)
            x[i, at : at + n], mask[i, at : at + n] = s.x[i, :n], True
        y, last = s.prepared.forward(x, s.state, mask=mask, reverse=reverse)
        for i, n in enumerate(lengths):
            one, final = s.forward(rows=slice(i, i + 1), steps=slice(n), reverse=reverse)
            exact(one[0], y[i][mask[i]], what="outputs")
            for a, b in zip(final, last, strict=True):
                exact(a[0], b[i], what="final state")
        assert not y[~mask].any()


@each
def test_steps_that_are_not_real_change_no_bit(cell, features):
    s = Sample(cell, features)
    mask = np.random.default_rng(0).random((13, 9)) < 0.6
    y, last = s.forward(mask=mask)
    for i in range(13):
        one, final = s.prepared.forward(s.x[i : i + 1, mask[i]], tuple(a[i : i + 1] for a in s.state))
        exact(one[0], y[i][mask[i]], what="outputs")
        for a, b in zip(final, last, strict=True):
            exact(a[0], b[i], what="final state")


@pytest.mark.parametrize("cell", variants(130), ids=name_of)
def test_threads_change_no_bit(cell, monkeypatch):
    ragged = np.arange(30)[None] < np.arange(40)[:, None] % 31
    for features, batch, mask in ((3, 40, None), (40, 40, ragged), (1300, 40, ragged), (40, 1, None), (40, 3, None)):
        s = Sample(cell, features, batch=batch, time=30)
        found = []
        for n in ("1", "2", "3", "8"):
            monkeypatch.setenv("OSTINATO_THREADS", n)
            again = native.Prepared(cell, s.w, precision="bf16")
            y, last = again.forward(s.x, s.state, mask=mask)
            found.append([y, *last])
        for other in found[1:]:
            for a, b in zip(other, found[0], strict=True):
                exact(a, b, what="with more threads")


def test_nan_and_infinity_stay_in_their_rows():
    for cell in variants(21):
        s = Sample(cell, 3, batch=7, time=4)
        good, plain = s.forward()[0], native.Prepared(cell, s.w)
        s.x[2, 1, 0], s.x[4, 0, 1] = np.nan, np.inf
        y = s.forward()[0]
        others = [0, 1, 3, 5, 6]
        exact(y[others], good[others], what="other rows")
        exact(y[2, :1], good[2, :1], what="steps before")
        assert np.array_equal(np.isnan(y[4]), np.isnan(plain.forward(s.x, s.state)[0][4])), name_of(cell)
        if getattr(cell, "activation", "") != "relu":
            assert np.isnan(y[2, 1:]).all()


def test_training_is_refused():
    s, address = Sample(LSTM(4), 2), lambda a: 0 if a is None else a.ctypes.data
    places = [address(s.w[name]) for name in ("W", "U", "b")]
    for what in (native.BACKWARD, native.BACKWARD_INPUTS):
        with pytest.raises(KernelError, match="training must be in float32"):
            native.packed(s.cell, 2, places, what, 1, precision="bf16")
        arguments = (2, 2, 4, *(address(s.w.get(name)) for name in ("W", "U", "b", "b_rec")), what, 1)
        with pytest.raises(ValueError, match="computes no slopes"):
            native.module().Packed(native.module().bf16_engine(), *arguments)
    packed = native.packed(s.cell, 2, places, native.FORWARD, 1, precision="bf16")
    assert packed.engine == native.module().bf16_engine()
    room = [address(a) for a in (s.x, *s.state, None, None, np.empty((13, 9, 4), np.float32), *s.state)]
    with pytest.raises(ValueError, match="computes no slopes"):
        native.module().Run(packed, 13, 9, False, *room, True, 1)


def test_it_is_never_chosen_by_itself(monkeypatch):
    assert native.module().bf16_engine() not in native.module().engines()
    monkeypatch.setenv("OSTINATO_ISA", native.module().bf16_engine())
    with pytest.raises(KernelError, match="must be there"):
        native.engine()


def with_functions(name: str) -> list[Cell]:
    """The cell by itself, and with each function in each place that has one."""
    cell = CELLS[name](6)
    places = [f.name for f in fields(cell) if f.name in ("activation", "recurrent_activation")]
    return [cell, *(replace(cell, **{place: function}) for place in places for function in FUNCTIONS)]


@pytest.mark.parametrize("cell", [pytest.param(c, id=repr(c)) for name in CELLS for c in with_functions(name)])
@pytest.mark.parametrize("zoneout", [0.0, 0.4, 1.0 - 1e-9])
def test_a_model_is_computed_in_bf16_or_refused_and_never_in_float32(cell, zoneout, tmp_path):
    made = bundle([Recurrent(cell, return_sequences=True, zoneout=zoneout), Dense(2)], (None, 3))
    x = np.random.default_rng(2).normal(size=(3, 5, 3)).astype(np.float32)
    number, path = native.key(cell), tmp_path / "m.safetensors"
    files.save(path, made)
    model = load(path)
    plain = model.predict(x)
    if isinstance(number, int) and zoneout < 0.5:
        rough = load(path, precision="bf16")
        y = rough.predict(x)
        assert np.isfinite(y).all()
        assert not np.array_equal(y, plain)
        stream = rough.stream()
        exact(np.stack([stream.step(step) for step in x[0]]), y[0], what="a stream in bf16")
        return
    reason = number if isinstance(number, str) else "zoneout that is 1"
    for ask in (
        lambda: load(path, precision="bf16"),
        lambda: model.at("bf16"),
        lambda: precision_cost(model, x),
        lambda: Machine((Bidirectional(made.parts[0]),), [{}], precision="bf16"),
    ):
        with pytest.raises(KernelError, match="must have native code to compute in bf16") as caught:
            ask()
        assert reason in caught.value.got
        assert "float32" in caught.value.fix
