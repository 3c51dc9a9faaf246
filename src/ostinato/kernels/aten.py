"""PyTorch's own fused loops: oneDNN and ATen on a CPU, cuDNN on a CUDA device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.kernels.base import Call, Kernel, States, transformed


class Aten(Kernel):
    """Serves `lstm`, `gru_reset_after` and `simple_rnn` with their standard nonlinearities.

    It has no second derivative on some devices: `kernels.force("reference")` has.
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
        if 0 in call.x.shape[:2]:
            return "PyTorch's fused loops refuse empty batches and sequences"
        if call.x.dtype not in (torch.float32, torch.float64):
            return f"not used for {call.x.dtype}"
        return transformed()

    def forward(self, call: Call) -> tuple[Tensor, States]:
        if call.mask is not None:
            return _masked(call, call.mask)
        x = call.x.flip(1) if call.reverse else call.x
        ys, state = _run(call, x, None)
        return ys.flip(1) if call.reverse else ys, state


def _masked(call: Call, mask: Tensor) -> tuple[Tensor, States]:
    """Bring each row's real steps to the front, in the order of computation; run them packed; put the outputs back."""
    time = mask.shape[1]
    lengths = mask.sum(1)
    t = torch.arange(time, device=mask.device)
    order = torch.where(mask, -t if call.reverse else t, time).argsort(dim=1, stable=True)
    index = order[:, :, None]
    x = torch.where(mask[:, :, None], call.x, torch.zeros_like(call.x))  # rows without real steps run one step of zeros
    x = x.gather(1, index.expand(-1, -1, x.shape[2]))
    packed = pack_padded_sequence(x, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
    data, state = _run(call, packed.data, packed)
    ys, _ = pad_packed_sequence(packed._replace(data=data), batch_first=True, total_length=time)
    ys = torch.zeros_like(ys).scatter(1, index.expand(-1, -1, ys.shape[2]), ys)
    ys = torch.where(mask[:, :, None], ys, torch.zeros_like(ys))
    some = (lengths > 0)[:, None]
    return ys, tuple(torch.where(some, new, old) for new, old in zip(state, call.state, strict=True))


def _run(call: Call, x: Tensor, packed: Any) -> tuple[Tensor, States]:
    w, cell = call.w, call.cell
    weights = [w["W"].T.contiguous(), w["U"].T.contiguous(), w["b"], w.get("b_rec", torch.zeros_like(w["b"]))]
    state = [s[None].contiguous() for s in call.state]
    if packed is not None and packed.sorted_indices is not None:
        state = [s.index_select(1, packed.sorted_indices) for s in state]
    hx: Any = state if isinstance(cell, LSTM) else state[0]
    # biases, layers, dropout, train (without dropout: keep what the backward pass of cuDNN needs), bidirectional
    rest = (True, 1, 0.0, torch.is_grad_enabled(), False)
    function = _FUNCTIONS[cell.activation if isinstance(cell, SimpleRNN) else type(cell)]
    if packed is None:
        ys, *final = function(x, hx, weights, *rest, True)  # noqa: FBT003, batch_first
    else:
        ys, *final = function(x, packed.batch_sizes, hx, weights, *rest)
        if packed.unsorted_indices is not None:
            final = [s.index_select(1, packed.unsorted_indices) for s in final]
    return ys, tuple(s[0] for s in final)


_FUNCTIONS: dict[Any, Any] = {
    LSTM: torch.lstm,
    GRUResetAfter: torch.gru,
    "tanh": torch.rnn_tanh,
    "relu": torch.rnn_relu,
}
