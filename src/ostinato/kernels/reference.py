"""The plain time loop on torch: correct for every cell, mask and derivative, slow on long sequences."""

from __future__ import annotations

from ostinato.kernels.base import Kernel


class Reference(Kernel):
    """The formula itself. Forward-mode, double backward and vmap work, since it consists of torch operations."""

    rank = 0
