"""How a task trains its networks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ostinato.errors import ArgumentError
from ostinato.tasks.checks import check_whole


@dataclass(frozen=True)
class Training:
    """Options of training; the defaults suit a few hundred to some million windows.

    Args:
        epochs: At most so many passes; an epoch is at most 100 steps, so a large data set is seen part by part.
        batch_size: Windows a step.
        learning_rate: Step size of Adam.
        weight_decay: Decoupled weight decay.
        clip_norm: Longest gradient; 0 for no limit.
        patience: Epochs without a better validation loss before training stops.
        members: Networks whose forecasts are averaged; 0 means 5 up to 1,000 windows, else 1.
        seed: Decides first weights, order of windows and dropout; the same seed gives the same model.
    """

    epochs: int = 200
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    patience: int = 20
    members: int = 0
    seed: int = 0

    def check(self) -> None:
        """Raise `ArgumentError` unless all values are in range."""
        for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 1), ("members", 0), ("seed", 0)):
            check_whole(name, getattr(self, name), least=least)
        for name in ("learning_rate", "weight_decay", "clip_norm"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < math.inf:
                raise ArgumentError(f"{name} must be a number of at least 0", got=repr(value), fix="Pass one.")
