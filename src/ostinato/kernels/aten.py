"""PyTorch's own fused loops: oneDNN and ATen on a CPU, cuDNN on a CUDA device."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.backends.cudnn.rnn
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ostinato.cells.base import Cell
from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.kernels.base import Call, Kernel, States, check_device, transformed
from ostinato.kernels.loops import names_of
from ostinato.kernels.reference import slopes_by_formula


class Aten(Kernel):
    """Serves `lstm`, `gru_reset_after` and `simple_rnn` with their standard nonlinearities.

    Second derivatives, which cuDNN does not have, are computed by the reference formula: correct, and as slow as it is.
    """

    rank = 10

    def why_not(self, call: Call) -> str | None:
        cell = call.cell
        if type(cell) not in (LSTM, GRUResetAfter, SimpleRNN):
            return f"PyTorch has no fused loop for {type(cell).__name__}"
        if isinstance(cell, SimpleRNN):
            if cell.activation not in ("tanh", "relu"):
                return f"PyTorch's fused loop has no activation {cell.activation!r}"
        elif (cell.activation, cell.recurrent_activation) != ("tanh", "sigmoid"):  # type: ignore[attr-defined]
            return "PyTorch's fused loops have no other activations than tanh and sigmoid"
        if call.noise is not None:
            return "PyTorch's fused loops have no recurrent dropout"
        if call.zone is not None:
            return "PyTorch's fused loops have no zoneout"
        if 0 in call.x.shape:
            return "PyTorch's fused loops refuse empty batches, sequences and steps"
        if call.x.dtype not in (torch.float32, torch.float64):
            return f"not used for {call.x.dtype}"
        if any(part.dtype != call.x.dtype for part in (*call.state, *(call.w[name] for name in names_of(cell)))):
            return f"weights and start states must be {call.x.dtype} like the inputs"
        if call.mask is not None and torch.compiler.is_compiling():
            return "torch.compile cannot look into packed sequences"
        return transformed()

    def forward(self, call: Call) -> tuple[Tensor, States]:
        check_device(call)
        if torch.compiler.is_compiling():  # the compiler brings its own formulas of these loops
            return _compute(call, _weights(call))
        if torch.is_grad_enabled():
            tensors = (call.x, *call.state, *(call.w[name] for name in names_of(call.cell)))
            facts = _Facts(call.cell, call.mask, call.reverse)
            y, *state = _Fused.apply(facts, *tensors)  # type: ignore[no-untyped-call]
            return y, tuple(state)
        return _compute(call, _flattened(call, _weights(call)))


class _Facts(NamedTuple):
    """What a call is besides the tensors that may have slopes."""

    cell: Cell
    mask: Tensor | None
    reverse: bool

    def call(self, tensors: States) -> Call:
        """The whole call, from inputs, start states and weights."""
        n = 1 + len(self.cell.states)
        w = dict(zip(names_of(self.cell), tensors[n:], strict=True))
        return Call(self.cell, w, tensors[0], tensors[1:n], self.mask, self.reverse)


class _Fused(torch.autograd.Function):
    """One node of the graph for a whole layer; below it lies the graph that torch's loop made."""

    @staticmethod
    def forward(ctx: Any, facts: _Facts, *tensors: Tensor) -> tuple[Tensor, ...]:
        outputs, leaves = _record(facts, ctx.needs_input_grad[1:], tensors)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(*tensors)
            ctx.facts = facts
            ctx.below = outputs, leaves
            ctx.set_materialize_grads(False)
        return tuple(o.detach() for o in outputs)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor | None) -> tuple[Tensor | None, ...]:
        tensors, needs = ctx.saved_tensors, ctx.needs_input_grad[1:]
        if all(d is None for d in slopes):
            return None, *(None for _ in tensors)
        if torch.is_grad_enabled():
            wanted = [t for t, need in zip(tensors, needs, strict=True) if need]
            found = iter(slopes_by_formula(ctx.facts.call(tensors), wanted, slopes))
            return None, *(next(found) if need else None for need in needs)
        outputs, leaves = ctx.below or _record(ctx.facts, needs, tensors)
        ctx.below = None  # it serves once, as what cuDNN keeps for its backward pass does
        pairs = [(o, d) for o, d in zip(outputs, slopes, strict=True) if d is not None]
        wanted = [t for t, need in zip(leaves, needs, strict=False) if need]
        found = iter(torch.autograd.grad([o for o, _ in pairs], wanted, [d for _, d in pairs], allow_unused=True))
        every = [next(found) if need else None for need in needs]
        weights = 1 + len(ctx.facts.cell.states)
        return None, *every[:weights], *(d if d is None or d.ndim < 2 else d.T for d in every[weights:])


def _record(facts: _Facts, needs: tuple[bool, ...], tensors: States) -> tuple[States, States]:
    """Outputs and final states with a graph of their own, and its leaves, with W and U as torch's loops take them."""
    n = 1 + len(facts.cell.states)
    with torch.no_grad():
        call = facts.call(tensors)
        given = (*tensors[:n], *_flattened(call, _weights(call)))
    wanted = (*needs, *(False,) * (len(given) - len(needs)))  # torch's second bias may be none of the cell's
    leaves = tuple(t.detach().requires_grad_(need) for t, need in zip(given, wanted, strict=True))
    with torch.set_grad_enabled(any(needs)):
        # Views, since autocast keeps the bf16 copy of a leaf, and slopes of all steps would be added up in bf16.
        y, state = _compute(call._replace(x=leaves[0], state=leaves[1:n]), [v.view_as(v) for v in leaves[n:]])
    return (y, *state), leaves


def _weights(call: Call) -> list[Tensor]:
    """The weights as torch's loops take them, with two biases."""
    w = call.w
    return [w["W"].T.contiguous(), w["U"].T.contiguous(), w["b"], w.get("b_rec", torch.zeros_like(w["b"]))]


def _flattened(call: Call, weights: list[Tensor]) -> list[Tensor]:
    """The same as pieces of one block, which cuDNN wants; it warns at every call that has to make the block itself."""
    cudnn: Any = torch.backends.cudnn
    if not (cudnn.is_available() and cudnn.is_acceptable(call.x)):
        return weights
    pieces = [v.clone(memory_format=torch.contiguous_format) for v in weights]
    mode = cudnn.rnn.get_cudnn_mode(_MODES[_key(call.cell)])
    with torch.no_grad(), torch.cuda.device(call.x.device):
        # weights a layer, features, mode, units, projection, layers
        torch._cudnn_rnn_flatten_weight(
            pieces, len(pieces), call.x.shape[2], mode, call.cell.units, 0, 1, batch_first=True, bidirectional=False
        )
    return pieces


def _compute(call: Call, weights: list[Tensor]) -> tuple[Tensor, States]:
    if call.mask is not None:
        return _masked(call, weights, call.mask)
    x = call.x.flip(1) if call.reverse else call.x
    ys, state = _run(call, weights, x, None)
    return ys.flip(1) if call.reverse else ys, state


def _masked(call: Call, weights: list[Tensor], mask: Tensor) -> tuple[Tensor, States]:
    """Bring each row's real steps to the front, in the order of computation; run them packed; put the outputs back."""
    time = mask.shape[1]
    lengths = mask.sum(1)
    t = torch.arange(time, device=mask.device)
    order = torch.where(mask, -t if call.reverse else t, time).argsort(dim=1, stable=True)
    index = order[:, :, None]
    x = torch.where(mask[:, :, None], call.x, torch.zeros_like(call.x))  # rows without real steps run one step of zeros
    x = x.gather(1, index.expand(-1, -1, x.shape[2]))
    packed = pack_padded_sequence(x, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
    data, state = _run(call, weights, packed.data, packed)
    ys, _ = pad_packed_sequence(packed._replace(data=data), batch_first=True, total_length=time)
    ys = torch.zeros_like(ys).scatter(1, index.expand(-1, -1, ys.shape[2]), ys)
    ys = torch.where(mask[:, :, None], ys, torch.zeros_like(ys))
    some = (lengths > 0)[:, None]
    return ys, tuple(torch.where(some, new, old) for new, old in zip(state, call.state, strict=True))


def _run(call: Call, weights: list[Tensor], x: Tensor, packed: Any) -> tuple[Tensor, States]:
    state = [s[None].contiguous() for s in call.state]
    if packed is not None and packed.sorted_indices is not None:
        state = [s.index_select(1, packed.sorted_indices) for s in state]
    hx: Any = state if isinstance(call.cell, LSTM) else state[0]
    # biases, layers, dropout, train (without dropout: keep what the backward pass of cuDNN needs), bidirectional
    rest = (True, 1, 0.0, torch.is_grad_enabled(), False)
    function = _FUNCTIONS[_key(call.cell)]
    if packed is None:
        ys, *final = function(x, hx, weights, *rest, True)  # noqa: FBT003, batch_first
    else:
        ys, *final = function(x, packed.batch_sizes, hx, weights, *rest)
        if packed.unsorted_indices is not None:
            final = [s.index_select(1, packed.unsorted_indices) for s in final]
    return ys, tuple(s[0] for s in final)


def _key(cell: Cell) -> Any:
    return cell.activation if isinstance(cell, SimpleRNN) else type(cell)


_FUNCTIONS: dict[Any, Any] = {
    LSTM: torch.lstm,
    GRUResetAfter: torch.gru,
    "tanh": torch.rnn_tanh,
    "relu": torch.rnn_relu,
}
_MODES = {LSTM: "LSTM", GRUResetAfter: "GRU", "tanh": "RNN_TANH", "relu": "RNN_RELU"}
