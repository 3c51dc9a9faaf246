"""What must hold for every cell on every kernel, as functions `law(kernel, cell, dtype)` that raise AssertionError.

The tests run them on what ostinato has; the saboteurs run them on what is wrong on purpose.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from tests.laws.formulas import FORMULAS
from tests.laws.problems import RAGGED, TIME, compute, gradients, leaves, problem
from tests.laws.tolerance import as_good_as, different, exact, same
from torch import Tensor

from ostinato.cells import CELLS, Cell
from ostinato.kernels.base import TORCH, Call, Kernel
from ostinato.runtime.arrays import NUMPY
from ostinato.scans.loop import loop

Law = Callable[[Kernel, Cell, torch.dtype], None]
TRUTH = Kernel()
"""The base class is the plain loop; in float64 it is what the others are measured against."""


def _part(call: Call, start: int, stop: int) -> Call:
    mask = None if call.mask is None else call.mask[:, start:stop]
    return call._replace(x=call.x[:, start:stop], mask=mask)


def _masks() -> tuple[Tensor | None, ...]:
    return None, RAGGED


def chunked(kernel: Kernel, cell: Cell, dtype: torch.dtype) -> None:
    """Full ≡ chunked ≡ stepwise, with the state carried, masked or not, in both directions."""
    for mask in _masks():
        for reverse in (False, True):
            call = problem(cell).call(dtype, mask=mask, reverse=reverse)
            y, final = compute(kernel, call)
            for cuts in ((0, 2, TIME), tuple(range(TIME + 1))):
                spans = list(itertools.pairwise(cuts))
                state, parts = call.state, []
                for start, stop in reversed(spans) if reverse else spans:
                    part, state = compute(kernel, _part(call._replace(state=state), start, stop))
                    parts.append(part)
                same(torch.cat(parts[::-1] if reverse else parts, dim=1), y, what="outputs in chunks")
                for name, one, other in zip(cell.states, state, final, strict=True):
                    same(one, other, what=f"final {name} in chunks")


def padding(kernel: Kernel, cell: Cell, dtype: torch.dtype) -> None:
    """The same steps padded left, right or in between, with anything in the padding, give the same as alone."""
    lengths = (TIME, 4, 2)
    for reverse in (False, True):
        whole = problem(cell).call(dtype, reverse=reverse)
        alone = [
            compute(kernel, whole._replace(x=whole.x[i : i + 1, :n], state=tuple(s[i : i + 1] for s in whole.state)))
            for i, n in enumerate(lengths)
        ]
        right = [list(range(n)) for n in lengths]
        left = [list(range(TIME - n, TIME)) for n in lengths]
        holes = [[0, 1, 2, 3, 4, 5], [0, 2, 3, 5], [1, 4]]
        for places in (right, left, holes):
            for garbage in (0.0, 1e3, float("nan"), float("inf")):
                x = torch.full_like(whole.x, garbage)
                mask = torch.zeros(len(lengths), TIME, dtype=torch.bool)
                for i, at in enumerate(places):
                    x[i, at] = whole.x[i, : len(at)]
                    mask[i, at] = True
                y, final = compute(kernel, whole._replace(x=x, mask=mask))
                exact(y[~mask], torch.zeros_like(y[~mask]), what="outputs at masked steps")
                for i, at in enumerate(places):
                    same(y[i : i + 1, at], alone[i][0], what=f"outputs of a padded row, {garbage} in the padding")
                    for name, one, other in zip(cell.states, final, alone[i][1], strict=True):
                        same(one[i : i + 1], other, what=f"final {name} of a padded row")


def batch(kernel: Kernel, cell: Cell, dtype: torch.dtype) -> None:
    """One row ≡ the same row inside any batch, in any place, and its result depends on no other row."""
    for mask in _masks():
        call = problem(cell).call(dtype, mask=mask)
        y, final = compute(kernel, call)
        for rows in ([0], [1], [2], [2, 0, 1], [1, 1, 0, 2, 2]):
            some = call._replace(
                x=call.x[rows], state=tuple(s[rows] for s in call.state), mask=None if mask is None else mask[rows]
            )
            one, last = compute(kernel, some)
            same(one, y[rows], what=f"outputs of rows {rows}")
            for name, a, b in zip(cell.states, last, final, strict=True):
                same(a, b[rows], what=f"final {name} of rows {rows}")
        (g,) = torch.autograd.grad(y[1].sum() + sum(s[1].sum() for s in final), call.x)
        exact(g[[0, 2]], torch.zeros_like(g[[0, 2]]), what="gradient of a row with respect to other rows")


def backwards(kernel: Kernel, cell: Cell, dtype: torch.dtype) -> None:
    """Running in reverse ≡ flipping time, running forward, flipping the outputs."""
    for mask in _masks():
        call = problem(cell).call(dtype, mask=mask)
        y, final = compute(kernel, call._replace(reverse=True))
        flipped = call._replace(x=call.x.flip(1), mask=None if mask is None else mask.flip(1))
        other, last = compute(kernel, flipped)
        same(y, other.flip(1), what="outputs in reverse")
        for name, a, b in zip(cell.states, final, last, strict=True):
            same(a, b, what=f"final {name} in reverse")
        different(y, compute(kernel, call)[0], what="forward and reverse")


def empty(kernel: Kernel, cell: Cell, dtype: torch.dtype) -> None:
    """Rows without real steps keep their start state exactly, give zeros, and pass gradients on; so does time 0."""
    mask = RAGGED.clone()
    mask[1] = False
    for garbage in (1.0, float("nan")):
        call = problem(cell).call(dtype, mask=mask)
        x = torch.where(mask[:, :, None], call.x, garbage).detach().requires_grad_()
        call = call._replace(x=x)
        y, final = compute(kernel, call)
        exact(y[1], torch.zeros_like(y[1]), what="outputs of an empty row")
        for name, a, b in zip(cell.states, final, call.state, strict=True):
            exact(a[1], b[1], what=f"final {name} of an empty row")
            assert a.isfinite().all(), f"final {name} beside an empty row must be finite"
        for name, g in gradients(kernel, call).items():
            assert g.isfinite().all(), f"gradient of {name} beside an empty row must be finite"
    none = torch.zeros_like(mask)
    y, final = compute(kernel, call._replace(x=problem(cell).call(dtype).x, mask=none))
    exact(y, torch.zeros_like(y), what="outputs without any real step")
    for name, a, b in zip(cell.states, final, call.state, strict=True):
        exact(a, b, what=f"final {name} without any real step")
    for reverse in (False, True):
        call = problem(cell, time=0).call(dtype, reverse=reverse)
        y, final = compute(kernel, call)
        for name, a, b in zip(cell.states, final, call.state, strict=True):
            exact(a, b, what=f"final {name} of time 0")
    call = problem(cell, batch=0).call(dtype)
    assert compute(kernel, call)[0].shape == (0, TIME, cell.units)


def start(kernel: Kernel, cell: Cell, dtype: torch.dtype) -> None:
    """The first step is the cell's own step on the start states, each of which matters by itself."""
    call = problem(cell, time=1).call(dtype)
    y, final = compute(kernel, call)
    a = cell.project(call.x, call.w["W"], call.w["b"])[:, 0]
    expected = loop_step(cell, a, call)
    same(y[:, 0], expected[0], what="output of the first step")
    for name, one, other in zip(cell.states, final, expected, strict=True):
        same(one, other, what=f"{name} after the first step")
    for k, name in enumerate(cell.states):
        changed = tuple(torch.zeros_like(s) if k == j else s for j, s in enumerate(call.state))
        different(compute(kernel, call._replace(state=changed))[0], y, what=f"outputs with another start {name}")


def loop_step(cell: Cell, a: Tensor, call: Call) -> tuple[Tensor, ...]:
    """The cell's formula, without any kernel."""
    return cell.step(TORCH, a, call.w["U"], call.state, **{name: call.w[name] for name in cell.extra()})


def final(kernel: Kernel, cell: Cell, dtype: torch.dtype) -> None:
    """The final h is the output of the last real step, and the states after t steps are those of the first t steps."""
    call = problem(cell).call(dtype)
    y, last = compute(kernel, call)
    exact(last[0], y[:, -1], what="final h")
    exact(compute(kernel, call._replace(reverse=True))[1][0], compute(kernel, call._replace(reverse=True))[0][:, 0],
          what="final h in reverse")  # fmt: skip
    y, last = compute(kernel, call._replace(mask=RAGGED))
    for i, t in enumerate((3, 5, 4)):
        exact(last[0][i], y[i, t], what="final h of a masked row")
    cut = torch.arange(TIME)[None] < torch.tensor([[2], [5], [3]])
    for i, n in enumerate((2, 5, 3)):
        one = compute(kernel, call._replace(mask=cut))[1]
        other = compute(kernel, call._replace(x=call.x[:, :n]))[1]
        for name, a, b in zip(cell.states, one, other, strict=True):
            same(a[i], b[i], what=f"{name} after {n} steps")


def noise(kernel: Kernel, cell: Cell, dtype: torch.dtype) -> None:
    """Recurrent dropout: factors of h in the recurrent product ≡ the same factors on the rows of U, row by row."""
    call = problem(cell).call(dtype)
    factors = torch.tensor([[0.0, 2.0, 2.0, 0.0], [2.0, 2.0, 0.0, 2.0], [0.0, 0.0, 0.0, 0.0]], dtype=dtype)
    y, last = compute(kernel, call._replace(noise=factors))
    for i in range(3):
        alone = call._replace(
            x=call.x[i : i + 1],
            state=tuple(s[i : i + 1] for s in call.state),
            w={**call.w, "U": factors[i][:, None] * call.w["U"]},
        )
        one, states = compute(kernel, alone)
        same(y[i : i + 1], one, what="outputs under recurrent dropout")
        for name, a, b in zip(cell.states, last, states, strict=True):
            same(a[i : i + 1], b, what=f"final {name} under recurrent dropout")
    same(
        compute(kernel, call._replace(noise=torch.ones_like(factors)))[0],
        compute(kernel, call)[0],
        what="noise of ones",
    )


def zones(kernel: Kernel, cell: Cell, dtype: torch.dtype) -> None:
    """Zoneout: each state moves by the share that its zone leaves, step by step; masked steps move nothing."""
    for mask in _masks():
        call = problem(cell).call(dtype, mask=mask)
        shares = [
            torch.from_numpy(np.random.default_rng(k).choice([0.0, 0.25, 1.0], (3, TIME, cell.units))).to(dtype)
            for k in range(len(cell.states))
        ]
        y, last = compute(kernel, call._replace(zone=shares))
        state = call.state
        for t in range(TIME):
            before = state
            _, state = compute(kernel, _part(call._replace(state=state), t, t + 1))
            state = tuple(z[:, t] * s + (1 - z[:, t]) * n for z, s, n in zip(shares, before, state, strict=True))
            real = torch.ones(3, dtype=torch.bool) if mask is None else mask[:, t]
            same(y[real, t], state[0][real], what="outputs under zoneout")
        for name, a, b in zip(cell.states, last, state, strict=True):
            same(a, b, what=f"final {name} under zoneout")
        constant = tuple(torch.full_like(z, 0.25) for z in shares)
        same(
            compute(kernel, call._replace(zone=0.25))[0], compute(kernel, call._replace(zone=constant))[0],
            what="zoneout by one number",
        )  # fmt: skip


def reference(kernel: Kernel, cell: Cell, dtype: torch.dtype) -> None:
    """Outputs, final states and all gradients against the plain loop in float64, within the tolerance rule."""
    for mask in _masks():
        for reverse in (False, True):
            p = problem(cell)
            options = {"mask": mask, "reverse": reverse}
            calls = [p.call(t, **options) for t in (dtype, torch.float64, dtype)]
            results = [compute(k, c) for k, c in zip((kernel, TRUTH, TRUTH), calls, strict=True)]
            as_good_as(*(y for y, _ in results), what="outputs")
            for k, name in enumerate(cell.states):
                as_good_as(*(s[k] for _, s in results), what=f"final {name}")
            slopes = [gradients(k, c) for k, c in zip((kernel, TRUTH, TRUTH), calls, strict=True)]
            for name in slopes[0]:
                as_good_as(*(g[name] for g in slopes), what=f"gradient of {name}")
            if mask is not None:
                g = slopes[0]["x"][~mask]
                exact(g, torch.zeros_like(g), what="gradient of masked inputs")


def numpy_loop(kernel: Kernel, cell: Cell, dtype: torch.dtype) -> None:
    """The loop on NumPy, which is what a saved model runs on, gives what the kernel gives."""
    kind = np.float32 if dtype is torch.float32 else np.float64
    p = problem(cell)
    for mask in _masks():
        for reverse in (False, True):
            y, last = compute(kernel, p.call(dtype, mask=mask, reverse=reverse))
            ours, states = loop(
                NUMPY,
                cell,
                {name: value.astype(kind) for name, value in p.w.items()},
                p.x.astype(kind),
                tuple(s.astype(kind) for s in p.state),
                mask=None if mask is None else mask.numpy(),
                reverse=reverse,
            )
            assert ours.dtype == kind, f"NumPy gave {ours.dtype}"
            same(y, ours, what="outputs on NumPy")
            for name, a, b in zip(cell.states, last, states, strict=True):
                same(a, b, what=f"final {name} on NumPy")


def formula(kernel: Kernel, cell: Cell, dtype: torch.dtype) -> None:
    """The published formula, written independently in the tests; for the cells that have one and standard options."""
    key = next((k for k, cls in CELLS.items() if isinstance(cell, cls)), "")
    options = (getattr(cell, "activation", "tanh"), getattr(cell, "recurrent_activation", "sigmoid"))
    if key not in FORMULAS or options != ("tanh", "sigmoid"):
        return
    p = problem(cell)
    y, last = compute(kernel, p.call(dtype))
    expected, states = FORMULAS[key](p.x, p.w, p.state)
    w32, state32 = {k: v.astype(np.float32) for k, v in p.w.items()}, tuple(s.astype(np.float32) for s in p.state)
    plain, plain_states = FORMULAS[key](p.x.astype(np.float32), w32, state32)
    single = dtype is torch.float32
    as_good_as(y, expected, plain if single else expected, what="outputs")
    for name, a, b, c in zip(cell.states, last, states, plain_states, strict=True):
        as_good_as(a, b, c if single else b, what=f"final {name}")


def slopes(kernel: Kernel, cell: Cell, dtype: torch.dtype) -> None:
    """The gradient is the derivative, by finite differences in float64 (whatever the dtype asked for)."""
    for mask in (None, RAGGED[:2, :4]):
        call = problem(cell, batch=2, time=4).call(torch.float64, mask=mask, reverse=mask is not None)
        _gradcheck(torch.autograd.gradcheck, kernel, call)


def _gradcheck(check: Callable[..., bool], kernel: Kernel, call: Call, **options: bool) -> None:
    call = call._replace(state=tuple(s.detach().requires_grad_() for s in call.state))
    names = [name for name in call.w if name in {"W", "U", "b", *call.cell.extra()}]
    parts = {name: part for name, part in leaves(call).items() if name in names or name not in call.w}

    def function(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        w = {**call.w, **dict(zip(names, rest, strict=False))}
        y, state = compute(kernel, call._replace(x=x, w=w, state=rest[len(names) :]))
        return (y, *state)

    try:
        check(function, tuple(parts.values()), fast_mode=True, **options)
    except RuntimeError as error:  # GradcheckError, and torch's refusal of a graph without gradients
        raise AssertionError(f"gradcheck: {str(error).splitlines()[0]}") from error


def double(kernel: Kernel, cell: Cell, dtype: torch.dtype) -> None:
    """Second derivatives and forward mode; promised by the reference kernel only."""
    if type(kernel).forward is not Kernel.forward:
        return
    for mask in (None, RAGGED[:2, :4]):
        call = problem(cell, batch=2, time=4).call(torch.float64, mask=mask, reverse=mask is not None)
        _gradcheck(torch.autograd.gradcheck, kernel, call, check_forward_ad=True)
        _gradcheck(torch.autograd.gradgradcheck, kernel, call)

        def of_x(x: Tensor, call: Call = call) -> Tensor:
            return compute(kernel, call._replace(x=x))[0]

        x, step = call.x.detach(), 1e-6
        _, slope = torch.func.jvp(of_x, (x,), (torch.ones_like(x),))
        quotient = (of_x(x + step) - of_x(x - step)) / (2 * step)
        assert float((slope - quotient).detach().abs().max()) < 1e-7, "torch.func.jvp"


FLOAT64_ONLY = ("slopes", "double")
"""Laws that use finite differences, which need float64, and ignore the dtype."""

LAWS: dict[str, Law] = {
    f.__name__: f
    for f in (
        chunked, padding, batch, backwards, empty, start, final, noise, zones, reference, numpy_loop, formula, slopes,
        double,
    )
}  # fmt: skip
"""All laws by name."""
