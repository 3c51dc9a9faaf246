"""Layers one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.errors import ArgumentError, NotBuiltError, ShapeError
from ostinato.layers.module import Layer
from ostinato.layers.noise import Noise
from ostinato.maps.base import Shape, State
from ostinato.runtime.native import PRECISIONS

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


class Stack(nn.Module):
    """A sequence of layers that are computed one after the other; masks travel along.

    `precision = "bf16"` multiplies matrices in bf16 while it trains (`torch.autocast`): dense layers on every device,
    and recurrent layers where torch or cuDNN computes them. Weights, all that passes from layer to layer, states, sums
    and the compiled kernels stay float32, and so does everything outside training.

    Args:
        layers: The layers, first one first.
        seed: Decides first weights, data order and dropout noise.
    """

    def __init__(self, layers: Sequence[Layer] = (), *, seed: int = 0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.noise = Noise(seed)
        self.built_shape: Shape | None = None
        self.stop_training = False
        self.optimizer: Any = None
        self.precision = "float32"

    def build(self, shape: Shape) -> None:
        """Draw all weights for samples of `shape` (no batch axis)."""
        out = shape
        for index, layer in enumerate(self.layers):
            out = layer.build(out, noise=self.noise, index=index)  # type: ignore[operator]
        self.built_shape = shape

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The output for `x [batch, *input_shape]`; `mask [batch, time]` is True for real steps."""
        return self.run(x, mask=mask)[0]

    def run(
        self, x: Tensor, *, mask: Tensor | None = None, states: Sequence[State] = ()
    ) -> tuple[Tensor, Tensor | None, tuple[State, ...]]:
        """Output, its mask, and each layer's final states; `states` are the start states, () for zeros."""
        if self.built_shape is None:
            raise NotBuiltError(
                "a stack must be built before it computes", got="no input shape", fix="Call build(input_shape)."
            )
        check_precision(self.precision)
        final = []
        lower = self.training and self.precision != "float32"
        with torch.autocast(x.device.type, torch.bfloat16) if lower else nullcontext():
            for layer, state in zip(self.layers, states or ((),) * len(self.layers), strict=True):
                x, mask, state = layer.run(x, mask=mask, state=state)  # type: ignore[operator]
                if lower:
                    x, state = _widened(x), tuple(map(_widened, state))
                final.append(state)
        return x, mask, tuple(final)

    def charges(self) -> Tensor | None:
        """What layers added to the loss in the last run in training mode, or None."""
        found = [charge for layer in self.layers for charge in layer.charges]  # type: ignore[union-attr]
        return torch.stack(found).sum() if found and self.training else None

    def get_weights(self) -> list[Floats]:
        """Copies of all weights, in a fixed order."""
        return [p.detach().cpu().numpy().copy() for p in self.parameters()]

    def set_weights(self, values: Sequence[Floats]) -> None:
        """Replace all weights by `values`, ordered and shaped as `get_weights` gives them."""
        own = list(self.parameters())
        got = [tuple(np.shape(v)) for v in values]
        if got != [tuple(p.shape) for p in own]:
            raise ShapeError(
                f"weights must have the shapes {[tuple(p.shape) for p in own]}",
                got=str(got),
                fix="Pass what get_weights() of the same model gave.",
            )
        with torch.no_grad():
            for p, v in zip(own, values, strict=True):
                p.copy_(torch.as_tensor(np.asarray(v)))

    def count_params(self) -> int:
        """Number of trainable and fixed numbers in all weights."""
        return sum(p.numel() for p in self.parameters())


def check_precision(precision: object) -> None:
    """Raise `ArgumentError` unless it is "float32" or "bf16"."""
    if precision not in PRECISIONS:
        names = " or ".join(map(repr, PRECISIONS))
        raise ArgumentError(f"precision must be {names}", got=f"{precision!r:.80}", fix="Choose one of them.")


def _widened(x: Tensor) -> Tensor:
    return x.float() if x.dtype is torch.bfloat16 else x
