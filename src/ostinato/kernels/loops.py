"""The compiled loops on torch's tensors: one run, its backward pass, and masks of any kind."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ostinato.cells.base import Cell
from ostinato.errors import ShapeError
from ostinato.kernels.base import States
from ostinato.kernels.kept import kept
from ostinato.runtime import native


class Arranged(NamedTuple):
    """Inputs as the loops take them, each row's real steps in one piece.

    Args:
        x: `[batch, time, features]`.
        spans: First real step and number of real steps of each row, int32 `[2, batch]`; None if all steps are real.
        order: Where each step of x comes from, `[batch, time, 1]`; None if it stays where it was.
    """

    x: Tensor
    spans: Tensor | None = None
    order: Tensor | None = None

    def put_back(self, y: Tensor) -> Tensor:
        """Outputs, or slopes of inputs, at the steps that they belong to."""
        if self.order is None:
            return y
        order = self.order.expand_as(y)
        return torch.zeros_like(y).scatter(1, order, y)


def arrange(x: Tensor, mask: Tensor | None) -> Arranged:
    """`x` as the loops take it; `mask [batch, time]` is True for real steps."""
    if mask is None:
        return Arranged(x)
    batch, time, _ = x.shape
    mask = mask.contiguous()
    spans = torch.empty(2, batch, dtype=torch.int32)
    kind = native.spans(mask.data_ptr(), batch, time, spans[0].data_ptr(), spans[1].data_ptr())
    if kind == native.ALL:
        return Arranged(x)
    if kind == native.SOME:
        return Arranged(x, spans)
    # Holes: bring the real steps to the front, which keeps their order.
    order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)[:, :, None]
    spans[0].zero_()
    return Arranged(x.gather(1, order.expand_as(x)), spans, order)


def names_of(cell: Cell) -> tuple[str, ...]:
    """Names of the weights that the loops take, in their order."""
    return ("W", "U", "b", *cell.extra())


@functools.cache
def _share_threads() -> bool:
    """Run on the threads of torch's OpenMP, which keep their cores busy for a while after each operation of torch."""
    libraries = (Path(torch.__file__).parent / "lib").glob("lib*omp*")
    return any(native.module().share_openmp(str(path)) for path in sorted(libraries))


def _taken(w: States) -> tuple[list[Tensor], bool]:
    """Weights as the loops read them, and whether W and U lie by gate, as torch's modules hold them; no copy then."""
    W, U = w[0], w[1]
    by_gate = not U.is_contiguous() and U.T.is_contiguous() and W.T.is_contiguous()
    return [value if by_gate and value.ndim == 2 else value.contiguous() for value in w], by_gate


def _pack(cell: Cell, w: States, n_threads: int, what: int) -> Any:
    plain, by_gate = _taken(w)
    return native.packed(cell, w[0].shape[0], [v.data_ptr() for v in plain], what, n_threads, by_gate=by_gate)


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def compute(
    cell: Cell, spans: Tensor | None, *, reverse: bool, names: tuple[str, ...], tensors: States, training: bool
) -> tuple[Tensor, list[Tensor], Any]:
    """Outputs, final states, and the run with its tape, from inputs, start states and weights of any strides."""
    _share_threads()
    n = native.threads(torch.get_num_threads())
    first = len(tensors) - len(names)
    x, *state = [t.contiguous() for t in tensors[:first]]
    batch, time, _ = x.shape
    w = tensors[first:]
    if training or w[1].is_contiguous():  # U
        packed = _pack(cell, w, n, native.FORWARD)
    else:
        packed = kept(cell, w, functools.partial(_pack, cell, w, n, native.FORWARD))
    y = x.new_empty(batch, time, cell.units)
    last = [torch.empty_like(s) for s in state]
    run = native.module().Run(
        packed, batch, time, reverse, _address(x), _address(state[0]), _address(_second(state)),
        *((0, 0) if spans is None else (spans[0].data_ptr(), spans[1].data_ptr())),
        _address(y), _address(last[0]), _address(_second(last)), training, n,
    )  # fmt: skip
    return y, last, run


def changed(tensors: Sequence[Tensor]) -> ShapeError:
    """What a backward pass raises whose tensors got other shapes since the forward pass, through `.data` say."""
    return ShapeError(
        "inputs, start states and weights must keep their shapes until the backward pass",
        got=", ".join(str(tuple(t.shape)) for t in tensors),
        fix="Change them after it.",
    )


def _second(items: Any) -> Any:
    return items[1] if len(items) > 1 else None


def pull_back(
    run: Any,
    cell: Cell,
    names: tuple[str, ...],
    tensors: States,
    slopes: tuple[Tensor | None, ...],
    *,
    inputs: bool,
    states: bool,
    weights: bool,
) -> list[Tensor | None]:
    """Slopes of `tensors` from those of outputs and final states; uses up the tape.

    Args:
        run: As `compute` gave it.
        cell: The recurrence.
        names: Names of its weights.
        tensors: As `compute` got them.
        slopes: Of the outputs and of each final state; None for zeros.
        inputs: Whether the slope of the inputs is wanted.
        states: Whether those of the start states are.
        weights: Whether those of the weights are.
    """
    first = len(tensors) - len(names)
    n = native.threads(torch.get_num_threads())
    w, by_gate = _taken(tensors[first:])
    packed = _pack(cell, tensors[first:], n, native.BACKWARD_INPUTS if inputs else native.BACKWARD)
    dx = tensors[0].new_empty(tensors[0].shape) if inputs else None
    dstate = [torch.empty_like(s, memory_format=torch.contiguous_format) if states else None for s in tensors[1:first]]
    dw = [torch.empty_like(v) if weights else None for v in w]
    plain = [None if d is None else d.contiguous() for d in slopes]
    run.backward(
        packed, _address(plain[0]), _address(plain[1]), _address(_second(plain[1:])), _address(dx),
        *map(_address, dw), *((0,) if len(dw) == 3 else ()), _address(dstate[0]), _address(_second(dstate)), n, by_gate,
    )  # fmt: skip
    return [dx, *dstate, *dw]
