"""ostinato's own loops, compiled for the processor at hand."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ostinato.cells.base import Cell
from ostinato.errors import KernelError
from ostinato.kernels.base import TORCH, Call, Kernel, States, transformed
from ostinato.kernels.kept import kept
from ostinato.runtime import native
from ostinato.scans.loop import loop


class Native(Kernel):
    """Serves `simple_rnn` (tanh, relu), `lstm`, `gru` and `gru_reset_after` in float32 on a CPU, with any mask.

    A row has the same bits alone and in any batch, padded or not, whole or in pieces, on any number of threads. Second
    derivatives are computed by the reference formula: correct, and as slow as it is.
    """

    rank = 20

    def why_not(self, call: Call) -> str | None:
        reason = native.usable()
        if reason is not None:
            return reason
        number = native.key(call.cell)
        if isinstance(number, str):
            return number
        x = call.x
        if x.dtype is not torch.float32:
            return f"native code computes in float32, not {str(x.dtype)[6:]}"
        if not x.is_cpu:
            return f"native code runs on a CPU, not on {x.device.type}"
        if call.noise is not None:
            return "native code has no recurrent dropout"
        if 0 in x.shape:
            return "native code refuses empty batches, sequences and steps"
        for part in (*[call.w[name] for name in names_of(call.cell)], *call.state):
            if part.dtype is not torch.float32 or not part.is_cpu:
                return "weights and start states must be float32 on the CPU like the inputs"
        return "torch.compile cannot trace it" if torch.compiler.is_compiling() else transformed()

    def forward(self, call: Call) -> tuple[Tensor, States]:
        batch, time, _ = call.x.shape
        if call.noise is not None:
            raise refusal("recurrent dropout")
        if call.mask is None:
            return _run(call, None)
        if call.mask.dtype is not torch.bool or not call.mask.is_cpu or call.mask.shape != call.x.shape[:2]:
            raise refusal(f"a mask {tuple(call.mask.shape)} of {call.mask.dtype} on {call.mask.device.type}")
        mask = call.mask.contiguous()
        spans = torch.empty(2, batch, dtype=torch.int32)
        kind = native.spans(mask.data_ptr(), batch, time, spans[0].data_ptr(), spans[1].data_ptr())
        if kind == native.ALL:
            return _run(call, None)
        if kind == native.SOME:
            return _run(call, spans)
        # Holes: bring the real steps to the front, which keeps their order, and put the outputs back.
        order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)[:, :, None]
        spans[0].zero_()
        y, state = _run(call._replace(x=call.x.gather(1, order.expand_as(call.x))), spans)
        order = order.expand_as(y)
        return torch.zeros_like(y).scatter(1, order, y), state


@functools.cache
def _share_threads() -> bool:
    """Run on the threads of torch's OpenMP, which keep their cores busy for a while after each operation of torch."""
    libraries = (Path(torch.__file__).parent / "lib").glob("lib*omp*")
    return any(native.module().share_openmp(str(path)) for path in sorted(libraries))


def names_of(cell: Cell) -> tuple[str, ...]:
    return ("W", "U", "b", *cell.extra())


def refusal(got: str) -> KernelError:
    """What a call gets that never asked `why_not`."""
    return KernelError(
        "the compiled kernels must get float32 on the CPU, a bool mask (batch, time) if any, and no recurrent dropout",
        got=got,
        fix="Ask why_not() first, or use ostinato.kernels.scan, which does.",
    )


def _run(call: Call, spans: Tensor | None) -> tuple[Tensor, States]:
    names = names_of(call.cell)  # a layer's weights may hold more, such as learned start states
    tensors = (call.x, *call.state, *[call.w[name] for name in names])
    for t in tensors:
        if t.dtype is not torch.float32 or not t.is_cpu:
            raise refusal(f"{t.dtype} on {t.device.type}")
    if torch.is_grad_enabled():
        y, *state = _Loop.apply(  # type: ignore[no-untyped-call]
            call.cell, spans, call.reverse, names, len(call.state), *tensors
        )
    else:
        y, state, _ = compute(call.cell, spans, reverse=call.reverse, names=names, tensors=tensors, training=False)
    return y, tuple(state)


def _pack(cell: Cell, names: tuple[str, ...], w: States, n_threads: int) -> Any:
    plain = [value.contiguous() for value in w]
    features = w[0].shape[0]
    return native.packed(cell, features, dict(zip(names, plain, strict=True)), _address, native.FORWARD, n_threads)


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
    if training or tensors[first + 1].is_contiguous():  # U
        packed = _pack(cell, names, tensors[first:], n)
    else:
        w = tensors[first:]
        packed = kept(cell, w, functools.partial(_pack, cell, names, w, n))
    y = x.new_empty((x.shape[0], x.shape[1], cell.units))
    last = [torch.empty_like(s) for s in state]
    run = native.module().Run(
        packed, x.shape[0], x.shape[1], reverse, _address(x), _address(state[0]), _address(_second(state)),
        *((0, 0) if spans is None else (spans[0].data_ptr(), spans[1].data_ptr())),
        _address(y), _address(last[0]), _address(_second(last)), training, n,
    )  # fmt: skip
    return y, last, run


def _second(items: Any) -> Any:
    return items[1] if len(items) > 1 else None


class _Loop(torch.autograd.Function):
    """One node of the graph for a whole layer."""

    @staticmethod
    def forward(ctx: Any, cell: Cell, spans: Tensor | None, reverse: bool, names: tuple[str, ...], n_states: int,  # noqa: FBT001
                *tensors: Tensor) -> tuple[Tensor, ...]:  # fmt: skip
        training = any(ctx.needs_input_grad)
        y, last, run = compute(cell, spans, reverse=reverse, names=names, tensors=tensors, training=training)
        if training:
            ctx.save_for_backward(*tensors)
            ctx.facts = cell, spans, reverse, names, n_states
            ctx.run = run
            ctx.set_materialize_grads(False)
        return y, *last

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, *dlast: Tensor | None) -> tuple[Any, ...]:
        cell, spans, reverse, names, n_states = ctx.facts
        tensors = ctx.saved_tensors
        nothing = (None,) * 5
        if dy is None and all(d is None for d in dlast):
            return *nothing, *(None for _ in tensors)
        if torch.is_grad_enabled():
            return *nothing, *_by_formula(ctx, tensors, dy, dlast)
        plain = tuple(t.contiguous() for t in tensors)
        x, state, w = plain[0], plain[1 : 1 + n_states], dict(zip(names, plain[1 + n_states :], strict=True))
        run = ctx.run
        if run.spent:  # a second backward pass through a retained graph
            _, _, run = compute(cell, spans, reverse=reverse, names=names, tensors=tensors, training=True)
        needs = ctx.needs_input_grad[5:]
        n = native.threads(torch.get_num_threads())
        packed = native.packed(
            cell, x.shape[2], w, _address, native.BACKWARD_INPUTS if needs[0] else native.BACKWARD, n
        )
        dx = torch.empty_like(x) if needs[0] else None
        dstate = [torch.empty_like(s) for s in state]
        dw = {name: torch.empty_like(v) for name, v in w.items()} if any(needs[1 + n_states :]) else {}
        slopes = [None if d is None else d.contiguous() for d in (dy, *dlast)]
        run.backward(
            packed, _address(slopes[0]), _address(slopes[1]), _address(_second(slopes[1:])), _address(dx),
            *(_address(dw.get(name)) for name in ("W", "U", "b", "b_rec")),
            _address(dstate[0]), _address(_second(dstate)), n,
        )  # fmt: skip
        return *nothing, dx, *dstate, *(dw.get(name) for name in names)


def _by_formula(ctx: Any, tensors: tuple[Tensor, ...], dy: Tensor | None, dlast: Any) -> list[Tensor | None]:
    """The same slopes as a graph of torch operations, for derivatives of them."""
    cell, spans, reverse, names, n_states = ctx.facts
    x, state, w = tensors[0], tensors[1 : 1 + n_states], dict(zip(names, tensors[1 + n_states :], strict=True))
    mask = None
    if spans is not None:
        t = torch.arange(x.shape[1])[None]
        mask = (t >= spans[0][:, None]) & (t < (spans[0] + spans[1])[:, None])
    y, last = loop(TORCH, cell, w, x, state, mask=mask, reverse=reverse)
    pairs = [(o, d) for o, d in zip((y, *last), (dy, *dlast), strict=True) if d is not None]
    needs = ctx.needs_input_grad[5:]
    wanted = [t for t, need in zip(tensors, needs, strict=True) if need]
    found = iter(
        torch.autograd.grad([o for o, _ in pairs], wanted, [d for _, d in pairs], create_graph=True, allow_unused=True)
    )
    return [next(found) if need else None for need in needs]
