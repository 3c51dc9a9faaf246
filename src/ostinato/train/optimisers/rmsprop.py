"""RMSprop."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from ostinato.train.optimisers._first_order import FirstOrder, Limits
from ostinato.train.optimisers.base import check_shares, check_size
from ostinato.train.schedules.base import Schedule


class RMSprop(FirstOrder):
    """p -= lr g / sqrt(v + epsilon) with a running mean v of g² (Tieleman & Hinton 2012).

    Args:
        learning_rate: Step size, or a schedule of it.
        rho: Share of the old v.
        momentum: Share of the last step that is taken again.
        epsilon: Keeps the quotient finite.
        limits: See `Limits`.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        *,
        epsilon: float = 1e-7,
        **limits: Unpack[Limits],
    ) -> None:
        super().__init__(learning_rate, **limits)
        check_shares(rho=rho, momentum=momentum)
        check_size("epsilon", epsilon)
        self.rho, self.momentum, self.epsilon = rho, momentum, epsilon

    @property
    def n_slots(self) -> int:
        return 2 if self.momentum else 1

    def update(self, p: Tensor, g: Tensor, t: int) -> None:
        v = self.slots[0]
        v.mul_(self.rho).addcmul_(g, g, value=1.0 - self.rho)
        move = g / (v + self.epsilon).sqrt_()
        if self.momentum:
            move = self.slots[1].mul_(self.momentum).add_(move)
        p.add_(move, alpha=-self.learning_rate)
