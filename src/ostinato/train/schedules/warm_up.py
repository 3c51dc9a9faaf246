"""A slow beginning for any schedule."""

from __future__ import annotations

from dataclasses import dataclass

from ostinato.errors import ArgumentError
from ostinato.train.schedules.base import Schedule, check_rates, check_steps


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A straight line from `start` to the rate that follows, and then that rate (Goyal et al. 2017).

    Args:
        learning_rate: What follows: a number, or a schedule, whose steps then count from the end of the warm-up.
        warmup_steps: Steps of the line.
        start: Where it begins, as a share of the rate that follows.
    """

    learning_rate: float | Schedule
    warmup_steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        check_steps(0, warmup_steps=self.warmup_steps)
        check_rates(start=self.start)
        if isinstance(self.learning_rate, WarmUp):
            raise ArgumentError("a warm-up must be the only one", got="another inside", fix="Add their steps.")
        if not isinstance(self.learning_rate, Schedule):
            check_rates(learning_rate=self.learning_rate)

    def __call__(self, step: int) -> float:
        after = max(step - self.warmup_steps, 0)
        rate = self.learning_rate(after) if isinstance(self.learning_rate, Schedule) else self.learning_rate
        if step >= self.warmup_steps:
            return rate
        return rate * (self.start + (1.0 - self.start) * step / self.warmup_steps)
