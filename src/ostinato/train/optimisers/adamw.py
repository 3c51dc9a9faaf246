"""Adam with weight decay."""

from __future__ import annotations

from typing import Unpack

from ostinato.train.optimisers._first_order import Clips
from ostinato.train.optimisers.adam import Adam
from ostinato.train.schedules.base import Schedule


class AdamW(Adam):
    """Adam with decoupled weight decay, 0.004 by default (Loshchilov & Hutter 2019); arguments as for `Adam`."""

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        *,
        epsilon: float = 1e-7,
        **limits: Unpack[Clips],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon=epsilon, weight_decay=weight_decay, **limits)
