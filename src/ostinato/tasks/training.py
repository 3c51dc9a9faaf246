"""How a task trains its networks."""

from __future__ import annotations

from dataclasses import dataclass

from ostinato.tasks.checks import check_number, check_whole

MOST_MEMBERS = 1024
"""Most networks that a model file can hold."""


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
        for name in ("epochs", "batch_size", "patience"):
            check_whole(name, getattr(self, name), least=1)
        check_whole("members", self.members, least=0, most=MOST_MEMBERS)
        check_whole("seed", self.seed, least=0, most=2**32 - 1)
        for name in ("learning_rate", "weight_decay", "clip_norm"):
            check_number(name, getattr(self, name))
