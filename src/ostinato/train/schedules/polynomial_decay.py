"""Down to an end along a power; a straight line by default."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ostinato.train.schedules.base import Schedule, check_rates, check_steps


@dataclass(frozen=True)
class PolynomialDecay(Schedule):
    """end + (initial - end) (1 - step / decay_steps)^power.

    Args:
        initial_learning_rate: The first rate.
        decay_steps: Steps until the end, where the rate stays.
        end_learning_rate: The last rate.
        power: 1 is a straight line.
        cycle: Do not stay: each time the end is reached, stretch the decay to the next multiple of `decay_steps`.
    """

    initial_learning_rate: float
    decay_steps: int
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False

    def __post_init__(self) -> None:
        check_rates(
            initial_learning_rate=self.initial_learning_rate, end_learning_rate=self.end_learning_rate, power=self.power
        )
        check_steps(decay_steps=self.decay_steps)

    def __call__(self, step: int) -> float:
        total = self.decay_steps
        if self.cycle:
            total *= max(1, math.ceil(step / total))
        left = 1.0 - min(step, total) / total
        span = self.initial_learning_rate - self.end_learning_rate
        return float(span * left**self.power + self.end_learning_rate)
