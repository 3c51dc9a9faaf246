"""One over the time."""

from __future__ import annotations

from dataclasses import dataclass

from ostinato.train.schedules.base import Schedule, check_rates, check_steps


@dataclass(frozen=True)
class InverseTimeDecay(Schedule):
    """initial_learning_rate / (1 + decay_rate · step / decay_steps) (Robbins & Monro 1951).

    Args:
        initial_learning_rate: The first rate.
        decay_steps: Unit of time.
        decay_rate: How much the denominator grows in a unit.
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
        time = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate / (1.0 + self.decay_rate * time)
