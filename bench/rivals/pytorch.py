"""torch: `nn.LSTM`, `GRU`, `RNN`, and their cells for single steps. No GRU with the reset before the product; torch's
own GRU stands beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rivals.base import Rival, Way
from rivals.problem import POOLED, RAGGED_TRAIN, STEP, TRAIN, Problem, weigh

LAYERS: dict[str, type[torch.nn.Module]] = {
    "simple_rnn": torch.nn.RNN,
    "lstm": torch.nn.LSTM,
    "gru": torch.nn.GRU,
    "gru_reset_after": torch.nn.GRU,
}
CELLS: dict[str, type[torch.nn.Module]] = {
    "simple_rnn": torch.nn.RNNCell,
    "lstm": torch.nn.LSTMCell,
    "gru": torch.nn.GRUCell,
    "gru_reset_after": torch.nn.GRUCell,
}


class PyTorch(Rival):
    """Ways: batch or time first; with ragged lengths, packed or the padding computed and wiped out."""

    @property
    def version(self) -> str:
        return str(torch.__version__)

    def same(self, problem: Problem) -> bool:
        return problem.name != "gru"

    def ways(self, problem: Problem, kind: str) -> dict[str, Way]:
        size = problem.size
        first, second = layer(problem, batch_first=True), layer(problem, batch_first=False)
        if kind in (STEP, POOLED):
            cell = fill(CELLS[problem.name](size.inputs, size.units), problem, "")
            pair = len(problem.state) > 1
            start = problem.state if pair else problem.state[0]
            x = problem.x[:, 0].contiguous()
            return {
                "cell": stepping(lambda state: cell(x, state), start, pair=pair),
                "layer": stepping(lambda state: second(x[None], state)[1], _grown(start), pair=pair),
            }
        x, turned = problem.x, problem.x.transpose(0, 1).contiguous()
        lengths, mask = problem.lengths, problem.mask
        calls: dict[str, tuple[Any, Callable[[], Tensor], bool]]
        if mask is None:
            calls = {
                "batch first": (first, lambda: first(x)[0], False),
                "time first": (second, lambda: second(turned)[0], True),
            }
        else:
            real = mask.T[:, :, None].contiguous()

            def packed() -> Tensor:
                found = first(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))[0]
                return pad_packed_sequence(found, batch_first=True, total_length=size.time)[0]

            calls = {
                "padded": (second, lambda: second(turned)[0] * real, True),
                "packed": (first, packed, False),
            }
        training = kind in (TRAIN, RAGGED_TRAIN)
        return {
            name: _training(module, forward, problem.slope.transpose(0, 1) if time_first else problem.slope)
            if training
            else Way(_quiet(forward), _by_batch if time_first else Tensor.numpy)
            for name, (module, forward, time_first) in calls.items()
        }


def layer(problem: Problem, *, batch_first: bool) -> Any:
    """torch's layer with our weights (for `gru`, numbers of the same size; its formula is another)."""
    module = LAYERS[problem.name](problem.size.inputs, problem.size.units, batch_first=batch_first)
    return fill(module, problem, "_l0")


def fill(module: Any, problem: Problem, suffix: str) -> Any:
    """Give a module our weights."""
    w = problem.w
    values = {"weight_ih": w["W"].T, "weight_hh": w["U"].T, "bias_ih": w["b"]}
    values["bias_hh"] = w["b_rec"] if "b_rec" in w else torch.zeros_like(w["b"])
    with torch.no_grad():
        for name, value in values.items():
            getattr(module, name + suffix).copy_(value)
    return module


def stepping(advance: Callable[[Any], Any], start: Any, *, pair: bool) -> Way:
    """Single steps; the states are fed back."""
    state = start

    def step() -> Tensor:
        nonlocal state
        with torch.inference_mode():
            state = advance(state)
        h: Tensor = state[0] if pair else state
        return h

    return Way(step, lambda h: h.reshape(-1, 1, h.shape[-1]).numpy())


def _grown(state: Any) -> Any:
    return tuple(s[None] for s in state) if isinstance(state, tuple) else state[None]


def _by_batch(y: Tensor) -> Any:
    return y.transpose(0, 1).numpy()


def _quiet(forward: Callable[[], Tensor]) -> Callable[[], Tensor]:
    def infer() -> Tensor:
        with torch.inference_mode():
            return forward()

    return infer


def _training(module: Any, forward: Callable[[], Tensor], slope: Tensor) -> Way:
    weights = list(module.parameters())
    slope = slope.contiguous()
    return Way(
        lambda: torch.autograd.grad(forward(), weights, slope),
        lambda found: weigh([g.numpy() for g in found[:2]]),
    )
