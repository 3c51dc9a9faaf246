"""How a task trains its networks."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ostinato.errors import ArgumentError
from ostinato.tasks.checks import check_number, check_whole
from ostinato.train.truncated import MEMORY

MOST_MEMBERS = 1024
"""Most networks that a model file can hold."""


@dataclass(frozen=True, kw_only=True)
class LongSequences:
    """How the gradient goes through long sequences; see `Training`."""

    bptt: int = 0
    memory: str = "truncate"

    def check(self) -> None:
        """Raise `ArgumentError` unless all values are in range."""
        check_whole("bptt", self.bptt, least=0)
        if self.memory not in MEMORY:
            names = ", ".join(map(repr, MEMORY))
            raise ArgumentError(
                f"memory must be one of {names}", got=f"{self.memory!r:.80}", fix="Choose from the list."
            )


@dataclass(frozen=True)
class Training(LongSequences):
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
        bptt: Steps of the windows that a sequence is computed in, which bounds the memory; 0 for whole sequences.
        memory: "truncate" cuts the gradient where windows meet; "store" and "recompute" give the whole gradient, the
            same to the last bit, with every window's intermediate values kept, or computed twice.
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
        super().check()
        for name in ("epochs", "batch_size", "patience"):
            check_whole(name, getattr(self, name), least=1)
        check_whole("members", self.members, least=0, most=MOST_MEMBERS)
        check_whole("seed", self.seed, least=0, most=2**32 - 1)
        for name in ("learning_rate", "weight_decay", "clip_norm"):
            check_number(name, getattr(self, name))


OF_THE_RUN = frozenset(f.name for f in fields(LongSequences))
"""Options that say how a run goes, not what the model is: model files do not hold them."""
