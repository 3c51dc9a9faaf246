"""Gradient descent."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from ostinato.train.optimisers._first_order import FirstOrder, Limits
from ostinato.train.optimisers.base import check_shares
from ostinato.train.schedules.base import Schedule


class SGD(FirstOrder):
    """p -= lr g, with momentum m = μ m + g (Polyak 1964; `nesterov` as in Sutskever et al. 2013).

    Args:
        learning_rate: Step size, or a schedule of it.
        momentum: μ; 0 for plain gradient descent.
        nesterov: Look ahead along the momentum.
        limits: See `Limits`.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.0,
        *,
        nesterov: bool = False,
        **limits: Unpack[Limits],
    ) -> None:
        super().__init__(learning_rate, **limits)
        check_shares(momentum=momentum)
        self.momentum, self.nesterov = momentum, nesterov

    @property
    def n_slots(self) -> int:
        return 1 if self.momentum else 0

    def update(self, p: Tensor, g: Tensor, t: int) -> None:
        if self.momentum:
            m = self.slots[0]
            m.mul_(self.momentum).add_(g)
            g = g.add(m, alpha=self.momentum) if self.nesterov else m
        p.add_(g, alpha=-self.learning_rate)
