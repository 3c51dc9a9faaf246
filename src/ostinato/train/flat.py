"""All weights of a model in one piece of memory, and all gradients in another."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Flat:
    """Moves parameters into one flat tensor `data`, and their gradients into one flat `grad`.

    The parameters stay what they are, as views. An optimiser step, clipping, a copy of the best weights and a check for
    NaN then cost one operation each, however many weights a model has.

    Args:
        parameters: Weights of one dtype on one device; those that need no gradient are left alone.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters = [p for p in dict.fromkeys(parameters) if p.requires_grad]
        total = sum(p.numel() for p in self.parameters)
        like = self.parameters[0] if self.parameters else torch.zeros(0)
        self.data = torch.empty(total, dtype=like.dtype, device=like.device)
        self.grad = torch.zeros_like(self.data)
        first = 0
        for p in self.parameters:
            last = first + p.numel()
            self.data[first:last] = p.detach().reshape(-1)
            p.data = self.data[first:last].view(p.shape)
            p.grad = self.grad[first:last].view(p.shape)
            first = last

    def finite(self) -> bool:
        """Whether all weights are finite."""
        return bool(self.data.isfinite().all())

    def finite_gradient(self) -> bool:
        """Whether all gradients are finite. A sum costs less than a look at each; only a large one needs that."""
        return math.isfinite(self.grad.sum()) or bool(self.grad.isfinite().all())

    def intact(self) -> bool:
        """Whether the parameters are still views of `data`."""
        at = self.data.data_ptr()
        for p in self.parameters:
            if p.numel() and p.data_ptr() != at:
                return False
            at += p.numel() * self.data.element_size()
        return True

    def copy(self) -> Tensor:
        """A copy of all weights."""
        return self.data.clone()

    def restore(self, data: Tensor) -> None:
        """Put a copy back."""
        self.data.copy_(data)
