"""The compiled kernels: the same bits whatever surrounds a row, on every instruction set that this processor has."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tests.laws.problems import RAGGED, begin, compute, gradients, leaves, problem, weighted_sum
from tests.laws.recurrence import FLOAT64_ONLY, LAWS
from tests.laws.tolerance import as_good_as
from torch import Tensor

from ostinato.cells import CELLS, Cell
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.kernels import KERNELS, choose
from ostinato.kernels.base import Call, Kernel
from ostinato.runtime import native

pytestmark = pytest.mark.skipif(native.available() is not None, reason=str(native.available()))

NATIVE, TRUTH = KERNELS["native"], Kernel()
ISAS = () if native.available() else tuple(native.module().engines())
KINDS = {name: cls for name, cls in CELLS.items() if not isinstance(native.key(cls(1)), str)}
SIZES = ((1, 1), (3, 7), (2, 16), (5, 33), (200, 20), (7, 64))
"""Features and units: below, at and above the width of a register; many features, which take another path."""


def variants(units: int) -> list[Cell]:
    """All cells with native code."""
    return [*(cls(units) for cls in KINDS.values()), SimpleRNN(units, activation="relu")]


def call(cell: Cell, features: int, *, batch: int = 13, time: int = 9, **options: object) -> Call:
    """A problem whose weights are small enough for states to stay away from saturation."""
    made = problem(cell, batch=batch, time=time, features=features).call(torch.float32, **options)
    w = {name: (value / max(1.0, value.shape[0] ** 0.5)).detach().requires_grad_() for name, value in made.w.items()}
    return made._replace(w=w, state=begin(cell, w, tuple(s.detach().requires_grad_() for s in made.state)))


def identical(a: Tensor, b: Tensor) -> None:
    """Raise AssertionError unless both have the same bits."""
    assert torch.equal(a.detach(), b.detach()), f"differs by {(a - b).abs().max():.3g}"


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each instruction set in turn."""
    monkeypatch.setenv("OSTINATO_ISA", request.param)
    assert native.engine() == request.param
    return request.param


def name_of(cell: Cell) -> str:
    """The cell's class and activation."""
    return f"{type(cell).__name__}-{getattr(cell, 'activation', '')}"


each = pytest.mark.parametrize(
    ("cell", "features"),
    [pytest.param(c, f, id=f"{name_of(c)}-{f}-{n}") for f, n in SIZES for c in variants(n)],
)


@pytest.mark.parametrize("law", [name for name in LAWS if name not in FLOAT64_ONLY])
@pytest.mark.parametrize("cell", variants(4), ids=name_of)
def test_every_instruction_set_keeps_the_laws(isa, cell, law):
    assert NATIVE.why_not(problem(cell).call(torch.float32)) is None
    LAWS[law](NATIVE, cell, torch.float32)


@each
def test_as_exact_as_torch(isa, cell, features):
    mask = torch.rand(13, 9, generator=torch.Generator().manual_seed(0)) < 0.7
    for options in ({}, {"mask": mask}, {"mask": mask, "reverse": True}):
        c = call(cell, features, **options)
        w = {k: v.double().detach().requires_grad_() for k, v in c.w.items()}
        state = begin(cell, w, tuple(s.double().detach().requires_grad_() for s in c.state))
        wide = c._replace(x=c.x.double().detach().requires_grad_(), state=state, w=w)
        for got, truth, peer in zip(compute(NATIVE, c)[1], compute(TRUTH, wide)[1], compute(TRUTH, c)[1], strict=True):
            as_good_as(got, truth, peer, what="final state")
        slopes = [gradients(k, p) for k, p in ((NATIVE, c), (TRUTH, wide), (TRUTH, c))]
        for name in slopes[0]:
            as_good_as(*(g[name] for g in slopes), what=f"gradient of {name}")


@each
def test_a_row_has_the_same_bits_in_any_batch(isa, cell, features):
    c = call(cell, features)
    y, last = compute(NATIVE, c)
    rows = torch.randperm(13, generator=torch.Generator().manual_seed(1))
    for n in range(1, 14):
        some = rows[:n]
        one, final = compute(NATIVE, c._replace(x=c.x[some], state=tuple(s[some] for s in c.state)))
        identical(one, y[some])
        for a, b in zip(final, last, strict=True):
            identical(a, b[some])


@each
def test_a_row_has_the_same_bits_with_and_without_tape(isa, cell, features):
    c = call(cell, features)
    with torch.no_grad():
        bare = compute(NATIVE, c)[0]
    identical(bare, compute(NATIVE, c)[0])


@each
def test_weights_as_torch_holds_them_change_no_bit(isa, cell, features):
    c = call(cell, features)
    by_gate = {name: c.w[name].detach().T.contiguous().T.requires_grad_() for name in ("W", "U")}
    turned = c._replace(w=c.w | by_gate)
    identical(compute(NATIVE, turned)[0], compute(NATIVE, c)[0])
    found, truth = gradients(NATIVE, turned), gradients(NATIVE, c)
    for name in truth:
        identical(found[name], truth[name])


@each
def test_a_row_has_the_same_bits_padded_or_not(isa, cell, features):
    lengths = (9, 1, 4, 0, 6)
    c = call(cell, features, batch=len(lengths))
    for reverse in (False, True):
        for shift in (0, 1, 100):
            x, mask = torch.full_like(c.x, torch.nan), torch.zeros(len(lengths), 9, dtype=torch.bool)
            for i, n in enumerate(lengths):
                at = min(shift, 9 - n)
                x[i, at : at + n], mask[i, at : at + n] = c.x[i, :n], True
            y, last = compute(NATIVE, c._replace(x=x, mask=mask, reverse=reverse))
            for i, n in enumerate(lengths):
                alone = c._replace(x=c.x[i : i + 1, :n], state=tuple(s[i : i + 1] for s in c.state), reverse=reverse)
                one, final = (alone.x.new_zeros(1, 0, cell.units), alone.state) if n == 0 else compute(NATIVE, alone)
                identical(one[0], y[i][mask[i]])
                for a, b in zip(final, last, strict=True):
                    identical(a[0], b[i])
            assert not y[~mask].any()


@each
def test_a_row_has_the_same_bits_in_pieces(isa, cell, features):
    c = call(cell, features)
    y, last = compute(NATIVE, c)
    for cuts in ((0, 2, 9), tuple(range(10))):
        state, parts = c.state, []
        for start, stop in itertools.pairwise(cuts):
            part, state = compute(NATIVE, c._replace(x=c.x[:, start:stop], state=state))
            parts.append(part)
        identical(torch.cat(parts, 1), y)
        for a, b in zip(state, last, strict=True):
            identical(a, b)


@pytest.mark.parametrize("cell", variants(64), ids=name_of)
def test_threads_change_no_bit(isa, cell, monkeypatch):
    lengths = torch.arange(40)[:, None] % 31
    for features, mask in ((3, None), (40, torch.arange(30)[None] < lengths), (600, torch.arange(30)[None] < lengths)):
        c = call(cell, features, batch=40, time=30, mask=mask)
        found = []
        for n in ("1", "2", "3", "8"):
            monkeypatch.setenv("OSTINATO_THREADS", n)
            y, last = compute(NATIVE, c)
            found.append([y, *last, *gradients(NATIVE, c).values()])
        for other in found[1:]:
            for a, b in zip(other, found[0], strict=True):
                identical(a, b)


def slices(cell: Cell, batch: int, time: int, features: int, threads: int) -> int:
    """Slices of the units that a run of this shape is cut into; 0 if its rows are shared out."""
    w = {name: np.zeros(s.shape, np.float32) for name, s in cell.weights(features).items()}
    x, y = np.zeros((batch, time, features), np.float32), np.zeros((batch, time, cell.units), np.float32)
    h, c = np.zeros((2, 2, batch, cell.units), np.float32)
    packed = native.packed(cell, features, [v.ctypes.data for v in w.values()], native.FORWARD, threads)
    run = native.module().Run(
        packed, batch, time, False, x.ctypes.data, h[0].ctypes.data, c[0].ctypes.data, 0, 0, y.ctypes.data,
        h[1].ctypes.data, c[1].ctypes.data, False, threads,
    )  # fmt: skip
    return int(run.slices)


def test_few_rows_of_many_units_are_cut_by_units():
    for cell in variants(256):
        assert [slices(cell, 1, 40, 8, n) for n in (1, 2, 3)] == [0, 2, 3], name_of(cell)
        assert slices(cell, 64, 10, 8, 2) == 0
    assert slices(LSTM(8), 1, 5000, 8, 2) == 0
    assert slices(LSTM(16), 2, 5000, 8, 8) == 0


@pytest.mark.parametrize("cell", [c for n in (250, 244) for c in variants(n)], ids=lambda c: f"{name_of(c)}-{c.units}")
def test_slices_of_the_units_change_no_bit(isa, cell, monkeypatch):
    """Outputs, states and all slopes; also of rows that end, in both directions, with a part of a block at the end."""
    mask = torch.arange(40)[None] < torch.tensor([40, 0, 23])[:, None]
    assert slices(cell, 1, 40, 5, 2) == 2
    assert slices(cell, 2, 40, 5, 3) == 3
    for batch, options in ((1, {}), (2, {"reverse": True}), (3, {"mask": mask}), (3, {"mask": mask, "reverse": True})):
        c = call(cell, 5, batch=batch, time=40, **options)
        found = []
        for n in ("1", "2", "3"):
            monkeypatch.setenv("OSTINATO_THREADS", n)
            y, last = compute(NATIVE, c)
            with torch.no_grad():
                bare = compute(NATIVE, c)[0]
            found.append([y, bare, *last, *gradients(NATIVE, c).values()])
        for other in found[1:]:
            for a, b in zip(other, found[0], strict=True):
                identical(a, b)


ONE_CORE = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np
from ostinato.cells.lstm import LSTM
from ostinato.runtime import native
cell = LSTM(256)
rng = np.random.default_rng(0)
w = {n: rng.standard_normal(s.shape).astype(np.float32) / 16 for n, s in cell.weights(8).items()}
x, state = rng.standard_normal((1, 300, 8)).astype(np.float32), (np.zeros((1, 256), np.float32),) * 2
found = []
for n in "14":
    os.environ["OSTINATO_THREADS"] = n
    found.append(native.forward(cell, w, x, state)[0])
assert np.array_equal(*found)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores")
def test_threads_that_share_one_core_do_not_wait_for_ever():
    done = subprocess.run([sys.executable, "-c", ONE_CORE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("cell", variants(5), ids=name_of)
def test_a_retained_graph_gives_the_same_gradients_again(cell):
    c = call(cell, 3)
    total = weighted_sum(*compute(NATIVE, c))
    parts = list(leaves(c).values())
    first, second = torch.autograd.grad(total, parts, retain_graph=True), torch.autograd.grad(total, parts)
    for a, b in zip(first, second, strict=True):
        identical(a, b)


@pytest.mark.parametrize("cell", variants(4), ids=name_of)
@pytest.mark.parametrize("mask", [None, RAGGED], ids=["dense", "masked"])
def test_second_derivatives_are_those_of_the_formula(cell, mask):
    def curvature(kernel: Kernel, dtype: torch.dtype) -> list[Tensor]:
        c = problem(cell).call(dtype, mask=mask)
        parts = list(leaves(c).values())
        slopes = torch.autograd.grad(weighted_sum(*compute(kernel, c)), parts, create_graph=True)
        return list(torch.autograd.grad(sum((g * g).sum() for g in slopes), parts, allow_unused=True))

    for got, truth, peer in zip(
        curvature(NATIVE, torch.float32), curvature(TRUTH, torch.float64), curvature(TRUTH, torch.float32), strict=True
    ):
        assert (got is None) == (truth is None)
        if got is not None:
            as_good_as(got, truth, peer, what="second derivative")


def test_only_what_is_asked_for_is_computed():
    c = call(LSTM(5), 3)
    own = [c.w[name] for name in ("W", "U", "b")]
    _, (h, _) = compute(NATIVE, c._replace(x=c.x.detach(), state=tuple(s.detach() for s in c.state)))
    found = torch.autograd.grad(h.sum(), own)
    whole = torch.autograd.grad(compute(NATIVE, c)[1][0].sum(), own)
    for a, b in zip(found, whole, strict=True):
        identical(a, b)
    frozen = {k: v.detach() for k, v in c.w.items()}
    (dx,) = torch.autograd.grad(compute(NATIVE, c._replace(w=frozen))[0].sum(), c.x)
    identical(dx, torch.autograd.grad(compute(NATIVE, c)[0].sum(), c.x)[0])


@pytest.mark.parametrize("cell", variants(5), ids=name_of)
def test_every_number_that_comes_back_was_computed(cell, monkeypatch):
    """Torch fills what is not computed with NaN; weights that are not the cell's are left alone."""
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True)
    try:
        for mask in (None, RAGGED):
            c = call(cell, 3, batch=3, time=6, mask=mask)
            y, last = NATIVE.forward(c)
            found = torch.autograd.grad(weighted_sum(y, last), [c.x, *c.w.values()])
            assert all(t.isfinite().all() for t in (y, *last, *found))
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own forward mode calls it
def test_transforms_go_to_a_kernel_that_has_them():
    c = call(LSTM(4), 2)
    x, one = c.x.detach(), torch.ones_like(c.x)

    def function(x: Tensor) -> Tensor:
        reason = NATIVE.why_not(c._replace(x=x))
        assert reason
        assert choose(c._replace(x=x)).reasons["native"] == reason
        return TRUTH.forward(c._replace(x=x))[0]

    torch.func.vjp(function, x)
    torch.func.vmap(function)(x[None])
    with torch.autograd.forward_ad.dual_level():
        function(torch.autograd.forward_ad.make_dual(x, one))


def test_strides_of_any_kind():
    c = call(LSTM(8), 4)
    y, _ = compute(NATIVE, c)
    odd = c._replace(
        x=c.x.transpose(0, 1).contiguous().transpose(0, 1),
        w={k: torch.stack([v, v], -1)[..., 0] for k, v in c.w.items()},
        state=tuple(torch.stack([s, s], -1)[..., 0] for s in c.state),
    )
    identical(compute(NATIVE, odd)[0], y)
    same = c._replace(state=tuple(s[:1].expand(13, 8) for s in c.state))
    spread = c._replace(state=tuple(s[:1].repeat(13, 1) for s in c.state))
    identical(compute(NATIVE, same)[0], compute(NATIVE, spread)[0])
    (g,) = torch.autograd.grad(y.sum(), c.x, retain_graph=True)  # a gradient of stride 0
    (whole,) = torch.autograd.grad((y * torch.ones_like(y)).sum(), c.x)
    identical(g, whole)


def test_nan_stays_in_its_row(isa):
    for cell in variants(20):
        c = call(cell, 3, batch=7, time=4)
        x = c.x.detach().clone()
        x[2, 1, 0], x[4, 0, 1] = torch.nan, torch.inf
        y, good = compute(NATIVE, c._replace(x=x))[0], compute(NATIVE, c)[0]
        others = [0, 1, 3, 5, 6]
        identical(y[others], good[others])
        identical(y[2, :1], good[2, :1])
        if getattr(cell, "activation", "") != "relu":
            assert y[2, 1:].isnan().all()


def test_functions_are_exact_to_a_few_units(isa):
    a = torch.cat([torch.linspace(-100, 100, 40001), torch.logspace(-30, 0, 2000), -torch.logspace(-30, 0, 2000)])
    a = torch.cat([a, torch.tensor([0.0, -0.0, torch.inf, -torch.inf])])[:, None, None]
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    y, _ = NATIVE.forward(Call(SimpleRNN(1), {"W": one, "U": zero, "b": torch.zeros(1)}, a, (zero.expand(len(a), 1),)))
    limit = 3.0 if isa in ("avx512", "avx2", "neon") else 5.0  # without fused multiply-adds
    ulps(y, a.double().tanh(), limit)
    assert y.abs().max() <= 1.0
    # f = 1, i c~ = 0 and a large c leave h' = o.
    w = {"W": torch.tensor([[0.0, 0.0, 0.0, 1.0]]), "U": torch.zeros(1, 4), "b": torch.tensor([0.0, 50.0, 0.0, 0.0])}
    y, _ = NATIVE.forward(Call(LSTM(1), w, a[:-2], (torch.zeros(len(a) - 2, 1), torch.full((len(a) - 2, 1), 50.0))))
    ulps(torch.where(a[:-2] < -86, 0.0, y), torch.where(a[:-2] < -86, 0.0, a[:-2].double().sigmoid()), limit)


def ulps(got: Tensor, truth: Tensor, limit: float) -> None:
    """Raise AssertionError unless all numbers are right to `limit` units in the last place of each."""
    unit = torch.from_numpy(np.spacing(np.abs(truth.float().numpy()))).double()
    worst = float(((got.double() - truth).abs() / unit).max())
    assert worst <= limit, f"{worst:.2f} units in the last place"


def test_numpy_gets_the_same_bits_as_torch(isa):
    holes = np.random.default_rng(0).random((13, 9)) < 0.6
    for cell in variants(20):
        for mask in (None, holes, np.arange(9)[None] < np.arange(13)[:, None] % 10):
            for reverse in (False, True):
                c = call(cell, 3, reverse=reverse, mask=None if mask is None else torch.from_numpy(mask))
                y, last = compute(NATIVE, c)
                w = {k: v.detach().numpy() for k, v in c.w.items()}
                state = tuple(s.detach().numpy() for s in c.state)
                x = c.x.detach().numpy()
                assert native.why_not(cell, x) is None
                ours, final = native.forward(cell, w, x, state, mask=mask, reverse=reverse)
                identical(torch.from_numpy(ours), y)
                for a, b in zip(final, last, strict=True):
                    identical(torch.from_numpy(a), b)
        empty, kept = native.forward(cell, w, x[:, :0], state)
        assert empty.shape == (13, 0, 20)
        assert all(np.array_equal(a, b) for a, b in zip(kept, state, strict=True))


def test_several_threads_of_python_at_once():
    calls = [call(cell, 30, batch=40, time=30) for cell in variants(64)] * 3
    alone = [gradients(NATIVE, c) for c in calls]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda c: gradients(NATIVE, c), calls))
    for a, b in zip(alone, together, strict=True):
        for name in a:
            identical(a[name], b[name])


FORK = """
import os, sys, torch
from ostinato.cells.lstm import LSTM
from ostinato.kernels import force, scan
cell = LSTM(64)
w = {n: torch.randn(s.shape).mul_(0.1).requires_grad_() for n, s in cell.weights(8).items()}
x, state = torch.randn(40, 50, 8), (torch.zeros(40, 64), torch.zeros(40, 64))
def run():
    with force("native"):
        y, _ = scan(cell, w, x, state)
        return [y, *torch.autograd.grad(y.sum(), list(w.values()))]
before = run()
child = os.fork()
if child == 0:
    torch.set_num_threads(1)  # torch's own operations hang in a forked process otherwise; its DataLoader does the same
    ok = all(torch.equal(a, b) for a, b in zip(run(), before, strict=True))
    os._exit(0 if ok else 3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert all(torch.equal(a, b) for a, b in zip(run(), before, strict=True))
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_forked_process_computes_too(threads):
    env = {**os.environ, "OMP_NUM_THREADS": threads, "OSTINATO_THREADS": threads}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
