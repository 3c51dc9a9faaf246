"""What a kernel is. The base class is the reference: what a kernel does not override the plain formula computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import array_api_compat.torch
import torch
from torch import Tensor
from torch.autograd import forward_ad

from ostinato.cells.base import Cell
from ostinato.errors import ArgumentError, ShapeError
from ostinato.maps.base import Weights
from ostinato.runtime.arrays import Namespace
from ostinato.scans.loop import loop

TORCH = Namespace(array_api_compat.torch, torch.sigmoid)
"""The array namespace of training."""

States = tuple[Tensor, ...]


class Call(NamedTuple):
    """One run of a cell along time; the fields are those of `ostinato.scans.loop.loop`."""

    cell: Cell
    w: Weights
    x: Tensor
    state: States
    mask: Tensor | None = None
    reverse: bool = False
    noise: Tensor | None = None
    zone: Sequence[Tensor] | float | None = None


class Kernel:
    """One way to compute a recurrence.

    `rank` orders the kernels: the highest that can compute a call does. `why_not` says why it cannot, in one sentence
    that begins with a lower-case letter.
    """

    rank = 0

    def why_not(self, call: Call) -> str | None:
        """None if this kernel can compute `call`, else the reason."""
        return None

    def forward(self, call: Call) -> tuple[Tensor, States]:
        """Outputs `[batch, time, units]` and final states `[batch, units]`, differentiable by autograd."""
        check_device(call)
        return loop(
            TORCH, call.cell, call.w, call.x, call.state,
            mask=call.mask, reverse=call.reverse, noise=call.noise, zone=call.zone,
        )  # fmt: skip


def transformed() -> str | None:
    """Why code that torch cannot look into has to stay away: a transform other than the plain backward pass is on."""
    if forward_ad._current_level >= 0:
        return "it has no forward-mode derivative"
    return "it has no rules for the transforms of torch.func" if _within_func() else None


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _within_func() -> bool:
    """torch.compile compiles anew for each stack of transforms by itself."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def check(call: Call) -> None:
    """Raise `ShapeError` unless all shapes of `call` fit each other: fused loops read beyond too small a weight."""
    x, w, cell = call.x, call.w, call.cell
    units, width = cell.units, len(cell.gates) * cell.units
    W, U, b = w["W"], w["U"], w["b"]
    if x.ndim != 3 or x.shape[2] != W.shape[0]:
        _refuse(f"the input of {type(cell).__name__} must be (batch, time, {W.shape[0]})", x)
    batch, time, features = x.shape
    if W.shape != (features, width):
        _refuse(f"the weight W of {type(cell).__name__} must be ({features}, {width})", W)
    if U.shape != (units, width):
        _refuse(f"the weight U of {type(cell).__name__} must be ({units}, {width})", U)
    if b.shape != (width,):
        _refuse(f"the weight b of {type(cell).__name__} must be ({width},)", b)
    for name, weight in cell.extra().items():
        if w[name].shape != weight.shape:
            _refuse(f"the weight {name} of {type(cell).__name__} must be {weight.shape}", w[name])
    if len(call.state) != len(cell.states):
        raise ShapeError(
            f"{type(cell).__name__} must get {len(cell.states)} start states ({', '.join(cell.states)})",
            got=str(len(call.state)),
            fix="Pass one tensor per state.",
        )
    for name, s in zip(cell.states, call.state, strict=True):
        if s.shape != (batch, units):
            _refuse(f"the start state {name} must be ({batch}, {units})", s)
    if call.mask is not None and (call.mask.shape != (batch, time) or call.mask.dtype != torch.bool):
        _refuse(f"the mask must be a bool tensor ({batch}, {time})", call.mask)


def check_device(call: Call) -> None:
    """Raise `ArgumentError` unless all of `call` is on one device."""
    mask = () if call.mask is None else (call.mask,)
    weights = (call.w[name] for name in ("W", "U", "b", *call.cell.extra()))
    others = {part.device for part in (*call.state, *mask, *weights)} - {call.x.device}
    if others:
        raise ArgumentError(
            "inputs, mask, start states and weights must be on one device",
            got=", ".join(sorted(map(str, (call.x.device, *others)))),
            fix="Move them with .to(device).",
        )


def _refuse(rule: str, got: Any) -> None:
    raise ShapeError(rule, got=f"{tuple(got.shape)} of {got.dtype}", fix="Reshape or convert it.")
