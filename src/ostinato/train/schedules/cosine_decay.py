"""Half a wave down, after a warm-up (Loshchilov & Hutter 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ostinato.train.schedules.base import Schedule, check_rates, check_steps


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """peak · (alpha + (1 - alpha) (1 + cos(π k / decay_steps)) / 2), k steps after the warm-up.

    Args:
        initial_learning_rate: The first rate; the peak, too, if there is no warm-up.
        decay_steps: Steps from the peak to the end; the last rate stays.
        alpha: The last rate as a share of the peak.
        warmup_target: The peak, which a straight line of `warmup_steps` leads to; None for no warm-up.
        warmup_steps: Steps of the warm-up.
    """

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    warmup_target: float | None = None
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        check_rates(initial_learning_rate=self.initial_learning_rate, alpha=self.alpha)
        check_steps(decay_steps=self.decay_steps)
        check_steps(0, warmup_steps=self.warmup_steps)
        if self.warmup_target is not None:
            check_rates(warmup_target=self.warmup_target)

    def __call__(self, step: int) -> float:
        peak, k = self.initial_learning_rate, step
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return peak + (self.warmup_target - peak) * step / self.warmup_steps
            peak, k = self.warmup_target, step - self.warmup_steps
        wave = 0.5 * (1.0 + math.cos(math.pi * min(k, self.decay_steps) / self.decay_steps))
        return peak * ((1.0 - self.alpha) * wave + self.alpha)
