"""The compiled loops as one operation of torch, which torch.compile puts into its graphs as it is.

Outside of torch.compile it is not used: a call of such an operation costs more than a short sequence does.
"""

from __future__ import annotations

import itertools
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.cells.base import Cell
from ostinato.kernels.base import Call, States, check
from ostinato.kernels.loops import arrange, changed, compute, names_of, pull_back
from ostinato.kernels.reference import slopes_by_formula
from ostinato.runtime import native

_WEIGHTS = "Tensor x, Tensor h, Tensor? c, Tensor W, Tensor U, Tensor b, Tensor? b_rec, Tensor? mask"
_LIBRARY: Any = torch.library.Library("ostinato", "DEF")  # type: ignore[no-untyped-call]
_LIBRARY.define(
    f"scan({_WEIGHTS}, int cell, int units, bool reverse, bool training) -> (Tensor, Tensor, Tensor, Tensor)"
)
_LIBRARY.define(
    f"scan_backward(Tensor? dy, Tensor? dh, Tensor? dc, Tensor tape, {_WEIGHTS}, int cell, int units, bool reverse, "
    "bool inputs, bool weights) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)"
)

_TAPES: dict[int, tuple[Any, torch.Size]] = {}
"""Runs whose backward pass may come, with the shape of their inputs, by number. A graph hands the number on in a
tensor, and the run lives as long as the memory of that tensor. A number that leads nowhere costs a second forward pass
and nothing else."""

_NUMBERS = itertools.count(1)


def in_graph(call: Call) -> tuple[Tensor, States]:
    """Outputs and final states as one operation in the graph that torch.compile is making."""
    cell, w, (h, *c) = call.cell, call.w, call.state
    tensors = (call.x, h, c[0] if c else None, w["W"], w["U"], w["b"], w["b_rec"] if "b_rec" in cell.extra() else None)
    training = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    y, *last, _ = torch.ops.ostinato.scan(*tensors, call.mask, native.key(cell), cell.units, call.reverse, training)
    return y, tuple(last[: len(call.state)])


def _given(cell: Cell, x: Tensor, tensors: tuple[Tensor | None, ...]) -> States:
    """Inputs, start states and weights in the order of the loops; what the cell does not have is left out."""
    return (x, *[t for t in tensors if t is not None])


def _checked(cell: Cell, given: States, mask: Tensor | None, slopes: tuple[Tensor | None, ...] = ()) -> None:
    """Raise `ShapeError` unless all shapes fit, whatever happened to the tensors since the graph was made."""
    x, n = given[0], 1 + len(cell.states)
    check(Call(cell, dict(zip(names_of(cell), given[n:], strict=True)), x, given[1:n], mask))
    due = ((*x.shape[:2], cell.units), *((len(x), cell.units),) * 2)
    if any(d is not None and d.shape != shape for d, shape in zip(slopes, due, strict=False)):
        raise changed(given)


def _scan(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *tensors, mask, number, units, reverse, training = rest
    cell = native.cell_of(number, units)
    _checked(cell, _given(cell, x, tuple(tensors)), mask)
    given = arrange(x, mask)
    y, last, run = compute(
        cell, given.spans, reverse=reverse, names=names_of(cell), tensors=_given(cell, given.x, tuple(tensors)),
        training=training,
    )  # fmt: skip
    place = np.zeros(1, np.int64)
    if training:
        place[0] = key = next(_NUMBERS)
        _TAPES[key] = run, x.shape
        weakref.finalize(place, _TAPES.pop, key, None).atexit = False
    return given.put_back(y), last[0], last[1] if len(last) > 1 else x.new_empty(0), torch.from_numpy(place)


def _scan_fake(x: Tensor, h: Tensor, c: Tensor | None, *rest: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    units = rest[-3]
    batch, time, _ = x.shape
    last = [x.new_empty(batch, units), x.new_empty(0) if c is None else x.new_empty(batch, units)]
    return x.new_empty(batch, time, units), last[0], last[1], torch.empty(1, dtype=torch.int64, device=x.device)


def _backward(*arguments: Any) -> tuple[Tensor, ...]:
    dy, dh, dc, tape, x, *tensors, mask, number, units, reverse, inputs, weights = arguments
    cell = native.cell_of(number, units)
    names = names_of(cell)
    _checked(cell, _given(cell, x, tuple(tensors)), mask, (dy, dh, dc))
    given = arrange(x, mask)
    plain = _given(cell, given.x, tuple(tensors))
    run, shape = _TAPES.get(int(tape), (None, x.shape))
    if shape != x.shape:
        raise changed((x,))
    if run is None or run.spent:
        _, _, run = compute(cell, given.spans, reverse=reverse, names=names, tensors=plain, training=True)
    if dy is not None and given.order is not None:
        dy = dy.gather(1, given.order.expand_as(dy))
    slopes = (dy, dh) if len(cell.states) == 1 else (dy, dh, dc)
    found = iter(pull_back(run, cell, names, plain, slopes, inputs=inputs, states=True, weights=weights))
    result = [None if t is None else next(found) for t in (x, *tensors)]
    result = [t if t is None else t.contiguous() for t in result]  # as `_backward_fake` says
    if result[0] is not None:
        result[0] = given.put_back(result[0])
    return tuple(x.new_empty(0) if t is None else t for t in result)


def _backward_fake(*arguments: Any) -> tuple[Tensor, ...]:
    _, _, _, _, x, h, c, W, U, b, b_rec, _, _, _, _, inputs, weights = arguments
    wanted = (x if inputs else None, h, c, *((W, U, b, b_rec) if weights else (None,) * 4))
    return tuple(x.new_empty(0) if t is None else t.new_empty(t.shape) for t in wanted)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, number, units, reverse, _ = inputs
    ctx.save_for_backward(*tensors, output[3])
    ctx.facts = number, units, reverse
    ctx.set_materialize_grads(False)


def _slopes(ctx: Any, dy: Tensor | None, dh: Tensor | None, dc: Tensor | None, _: Any) -> tuple[Any, ...]:
    *tensors, tape = ctx.saved_tensors
    needs = ctx.needs_input_grad
    if torch.is_grad_enabled():
        found = _by_formula(ctx, (dy, dh, dc))
    else:
        found = torch.ops.ostinato.scan_backward(dy, dh, dc, tape, *tensors, *ctx.facts, needs[0], any(needs[3:7]))
    return *[t if need else None for t, need in zip(found, needs, strict=False)], *(None,) * 5


def _by_formula(ctx: Any, slopes: tuple[Tensor | None, ...]) -> list[Tensor | None]:
    """The same slopes as a graph of torch operations, for derivatives of them."""
    *tensors, mask, _ = ctx.saved_tensors
    number, units, reverse = ctx.facts
    cell = native.cell_of(number, units)
    x, *given = _given(cell, tensors[0], tuple(tensors[1:]))
    n = len(cell.states)
    w = dict(zip(names_of(cell), given[n:], strict=True))
    wanted = [t for t, need in zip(tensors, ctx.needs_input_grad, strict=False) if need]
    found = iter(slopes_by_formula(Call(cell, w, x, tuple(given[:n]), mask, reverse), wanted, slopes[: 1 + n]))
    return [next(found) if need else None for need in ctx.needs_input_grad[:7]]


_LIBRARY.impl("scan", _scan, "CPU")
_LIBRARY.impl("scan_backward", _backward, "CPU")
torch.library.register_fake("ostinato::scan", _scan_fake, lib=_LIBRARY)
torch.library.register_fake("ostinato::scan_backward", _backward_fake, lib=_LIBRARY)
torch.library.register_autograd("ostinato::scan", _slopes, setup_context=_remember, lib=_LIBRARY)
