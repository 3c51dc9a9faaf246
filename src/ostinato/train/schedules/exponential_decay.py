"""The same factor every so many steps."""

from __future__ import annotations

from dataclasses import dataclass

from ostinato.train.schedules.base import Schedule, check_rates, check_steps


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """initial_learning_rate · decay_rate^(step / decay_steps).

    Args:
        initial_learning_rate: The first rate.
        decay_steps: Steps until the rate is `decay_rate` times the first one.
        decay_rate: The factor.
        staircase: Round step / decay_steps down, so that the rate falls in stairs.
    """

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def __post_init__(self) -> None:
        check_rates(initial_learning_rate=self.initial_learning_rate, decay_rate=self.decay_rate)
        check_steps(decay_steps=self.decay_steps)

    def __call__(self, step: int) -> float:
        power = step // self.decay_steps if self.staircase else step / self.decay_steps
        return float(self.initial_learning_rate * self.decay_rate**power)
