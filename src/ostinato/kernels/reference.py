"""The plain time loop on torch: correct for every cell, mask and derivative, slow on long sequences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ostinato.kernels.base import Call, Kernel


class Reference(Kernel):
    """The formula itself. Forward-mode, double backward and vmap work, since it consists of torch operations."""

    rank = 0


def slopes_by_formula(call: Call, wanted: Sequence[Tensor], slopes: Sequence[Tensor | None]) -> list[Tensor | None]:
    """What another kernel's backward pass gives, as a graph of torch operations, for derivatives of it.

    Args:
        call: What the kernel computed.
        wanted: Tensors of `call`.
        slopes: Of the outputs and of each final state; None for zeros.
    """
    y, state = Kernel().forward(call)
    pairs = [(o, d.to(o.dtype)) for o, d in zip((y, *state), slopes, strict=True) if d is not None]
    return list(
        torch.autograd.grad([o for o, _ in pairs], wanted, [d for _, d in pairs], create_graph=True, allow_unused=True)
    )
