"""Up and down once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ostinato.errors import ArgumentError
from ostinato.train.schedules.base import Schedule, check_rates, check_steps


@dataclass(frozen=True)
class OneCycle(Schedule):
    """From max / div up to max and down to max / (div · final_div), along half waves (Smith & Topin 2019).

    Args:
        max_learning_rate: The peak; `lr_find` suggests one.
        total_steps: Steps of the whole cycle: epochs times steps of an epoch. The last rate stays.
        pct_start: Share of the steps that lead up.
        div_factor: The peak over the first rate.
        final_div_factor: The first rate over the last.
    """

    max_learning_rate: float
    total_steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        check_rates(
            max_learning_rate=self.max_learning_rate,
            pct_start=self.pct_start,
            div_factor=self.div_factor,
            final_div_factor=self.final_div_factor,
        )
        check_steps(2, total_steps=self.total_steps)
        if not (self.pct_start <= 1.0 and self.div_factor > 0.0 and self.final_div_factor > 0.0):
            raise ArgumentError(
                "pct_start must be at most 1, and both factors must be positive",
                got=f"{self.pct_start}, {self.div_factor}, {self.final_div_factor}",
                fix="Leave them out for 0.3, 25 and 10,000.",
            )

    def __call__(self, step: int) -> float:
        first = self.max_learning_rate / self.div_factor
        peak = self.pct_start * self.total_steps - 1.0
        last = self.total_steps - 1.0
        k = min(float(step), last)
        if k <= peak:
            return _wave(first, self.max_learning_rate, k / peak) if peak > 0.0 else self.max_learning_rate
        top = max(peak, 0.0)
        return _wave(self.max_learning_rate, first / self.final_div_factor, (k - top) / (last - top))


def _wave(a: float, b: float, share: float) -> float:
    """From a to b along half a wave."""
    return b + (a - b) * 0.5 * (1.0 + math.cos(math.pi * share))
