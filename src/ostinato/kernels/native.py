"""ostinato's own loops, compiled for the processor at hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ostinato.cells.base import Cell
from ostinato.errors import KernelError
from ostinato.kernels.base import Call, Kernel, States, transformed
from ostinato.kernels.graph import in_graph
from ostinato.kernels.loops import arrange, changed, compute, names_of, pull_back
from ostinato.kernels.reference import slopes_by_formula
from ostinato.runtime import native


class Native(Kernel):
    """Serves `simple_rnn` (tanh, relu), `lstm`, `gru` and `gru_reset_after` in float32 on a CPU, with any mask.

    A row has the same bits alone and in any batch, padded or not, whole or in pieces, on any number of threads. Second
    derivatives are computed by the reference formula: correct, and as slow as it is.
    """

    rank = 20

    def why_not(self, call: Call) -> str | None:
        reason: str | None = _usable()
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
        if call.zone is not None:
            return "native code has no zoneout"
        if 0 in x.shape:
            return "native code refuses empty batches, sequences and steps"
        for part in (*[call.w[name] for name in names_of(call.cell)], *call.state):
            if part.dtype is not torch.float32 or not part.is_cpu:
                return "weights and start states must be float32 on the CPU like the inputs"
        if call.mask is not None and not call.mask.is_cpu:
            return "the mask must be on the CPU like the inputs"
        return transformed()

    def forward(self, call: Call) -> tuple[Tensor, States]:
        if call.noise is not None:
            raise refusal("recurrent dropout")
        if torch.compiler.is_compiling():
            return in_graph(call)
        if call.mask is None:
            return _run(call, None)
        if call.mask.dtype is not torch.bool or not call.mask.is_cpu or call.mask.shape != call.x.shape[:2]:
            raise refusal(f"a mask {tuple(call.mask.shape)} of {call.mask.dtype} on {call.mask.device.type}")
        given = arrange(call.x, call.mask)
        y, state = _run(call._replace(x=given.x), given.spans)
        return given.put_back(y), state


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _usable() -> str | None:
    return native.usable()


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
            ctx.shapes = [t.shape for t in tensors]
            ctx.run = run
            ctx.set_materialize_grads(False)
        return y, *last

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, *dlast: Tensor | None) -> tuple[Any, ...]:
        cell, spans, reverse, names, n_states = ctx.facts
        tensors = ctx.saved_tensors
        if [t.shape for t in tensors] != ctx.shapes:
            raise changed(tensors)
        nothing = (None,) * 5
        if dy is None and all(d is None for d in dlast):
            return *nothing, *(None for _ in tensors)
        if torch.is_grad_enabled():
            return *nothing, *_by_formula(ctx, tensors, dy, dlast)
        run = ctx.run
        if run.spent:  # a second backward pass through a retained graph
            _, _, run = compute(cell, spans, reverse=reverse, names=names, tensors=tensors, training=True)
        needs = ctx.needs_input_grad[5:]
        return *nothing, *pull_back(
            run, cell, names, tensors, (dy, *dlast),
            inputs=needs[0], states=any(needs[1 : 1 + n_states]), weights=any(needs[1 + n_states :]),
        )  # fmt: skip


def _by_formula(ctx: Any, tensors: tuple[Tensor, ...], dy: Tensor | None, dlast: Any) -> list[Tensor | None]:
    """The same slopes as a graph of torch operations, for derivatives of them."""
    cell, spans, reverse, names, n_states = ctx.facts
    x, state, w = tensors[0], tensors[1 : 1 + n_states], dict(zip(names, tensors[1 + n_states :], strict=True))
    mask = None
    if spans is not None:
        t = torch.arange(x.shape[1])[None]
        mask = (t >= spans[0][:, None]) & (t < (spans[0] + spans[1])[:, None])
    needs = ctx.needs_input_grad[5:]
    wanted = [t for t, need in zip(tensors, needs, strict=True) if need]
    found = iter(slopes_by_formula(Call(cell, w, x, state, mask, reverse), wanted, (dy, *dlast)))
    return [next(found) if need else None for need in needs]
