"""Random problems for any cell: unequal weights; start states random, not zero, different from each other."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.cells import Cell
from ostinato.kernels.base import Call, Kernel, States, check

BATCH, TIME, FEATURES, UNITS = 3, 6, 2, 4
_START = "start_"


@dataclass(frozen=True)
class Problem:
    """A cell with numbers for everything, in float64.

    Args:
        cell: The recurrence.
        w: Its weights, and those of learned start states.
        x: `[batch, time, features]`.
        state: Start states `[batch, units]`.
    """

    cell: Cell
    w: dict[str, np.ndarray]
    x: np.ndarray
    state: tuple[np.ndarray, ...]

    def call(self, dtype: torch.dtype, **options: Any) -> Call:
        """The problem as a call of a kernel, every array wants its gradient; the start states depend on their weights.

        As a layer with learned start states does, it hands over all of its weights, those that the cell does not know
        included.
        """
        w = {name: _leaf(value, dtype) for name, value in self.w.items()}
        state = begin(self.cell, w, tuple(_leaf(s, dtype) for s in self.state))
        return Call(self.cell, w, _leaf(self.x, dtype), state, **options)


def problem(cell: Cell, *, batch: int = BATCH, time: int = TIME, features: int = FEATURES) -> Problem:
    """A problem for `cell`; the same one in every run."""
    rng = np.random.default_rng([zlib.crc32(type(cell).__name__.encode()), batch, time, features, cell.units])
    w = {name: rng.normal(0.0, 0.6, weight.shape) for name, weight in cell.weights(features).items()}
    w |= {_START + name: rng.normal(0.0, 0.6, (cell.units,)) for name in cell.states}
    state = tuple(rng.normal(0.3 - 0.6 * k, 0.5, (batch, cell.units)) for k in range(len(cell.states)))
    return Problem(cell, w, rng.normal(0.0, 1.0, (batch, time, features)), state)


def begin(cell: Cell, w: Mapping[str, Tensor], state: States) -> States:
    """`state` with the same numbers, dependent on the weights of learned start states."""
    weights = [w[_START + name] for name in cell.states]
    return tuple(s + (v - v.detach()) for s, v in zip(state, weights, strict=True))


def _leaf(value: np.ndarray, dtype: torch.dtype) -> Tensor:
    return torch.tensor(value, dtype=dtype, requires_grad=True)


RAGGED = torch.tensor(
    [
        [True, False, True, True, False, False],
        [True, True, True, True, True, True],
        [False, False, True, False, True, False],
    ]
)
"""A mask with padding on both sides and holes; the numbers of real steps are in no order."""


def compute(kernel: Kernel, call: Call) -> tuple[Tensor, States]:
    """Outputs and final states by `kernel`, or by its base class, the plain loop, if it cannot."""
    check(call)
    reason = kernel.why_not(call)
    if reason is not None:
        assert reason.strip(), "a kernel must say why it cannot"
        kernel = Kernel()
    y, state = kernel.forward(call)
    batch, time, _ = call.x.shape
    assert y.shape == (batch, time, call.cell.units), f"outputs: shape {tuple(y.shape)}"
    assert [tuple(s.shape) for s in state] == [(batch, call.cell.units)] * len(call.cell.states), "final states: shapes"
    assert y.dtype == call.x.dtype, f"outputs: {y.dtype}"
    return y, state


def weighted_sum(y: Tensor, state: States) -> Tensor:
    """One number in which every output and every final state counts differently."""
    total = torch.zeros((), dtype=y.dtype)
    for k, part in enumerate((y, *state)):
        factors = torch.from_numpy(np.random.default_rng(k).normal(size=tuple(part.shape))).to(part.dtype)
        total = total + (part * factors).sum()
    return total


def leaves(call: Call) -> dict[str, Tensor]:
    """Everything that a result depends on, by name."""
    names = call.cell.states
    return {"x": call.x, **call.w} | {f"start {n}": s for n, s in zip(names, call.state, strict=True)}


def gradients(kernel: Kernel, call: Call) -> dict[str, Tensor]:
    """Gradients of `weighted_sum` with respect to all leaves; None counts as a failure.

    Of weights that the cell does not know only start states can depend; if these do not, None stands for zeros.
    """
    parts = leaves(call)
    total = weighted_sum(*compute(kernel, call))
    assert total.requires_grad, "the result must depend on the weights"
    found = torch.autograd.grad(total, list(parts.values()), allow_unused=True)
    known = {"x", "W", "U", "b", *call.cell.extra()} | {f"start {name}" for name in call.cell.states}
    found = tuple(
        torch.zeros_like(part) if g is None and name not in known else g
        for (name, part), g in zip(parts.items(), found, strict=True)
    )
    missing = [name for name, g in zip(parts, found, strict=True) if g is None]
    assert not missing, f"no gradient for {', '.join(missing)}"
    return dict(zip(parts, found, strict=True))
