"""How a task trains its networks."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from ostinato.errors import ArgumentError
from ostinato.runtime.native import PRECISIONS
from ostinato.tasks.checks import check_choice, check_number, check_whole

if TYPE_CHECKING:
    from ostinato.train.optimisers import Optimizer

# Names of things above the torch line, written here so that options are checked without it; a test compares them.
OPTIMIZERS = ("adam", "adamw", "hessian_free", "lbfgs", "rmsprop", "sgd")
CLOSURES = ("hessian_free", "lbfgs")
"""Those that look at each step's data several times, and choose their own steps."""
MEMORY = ("truncate", "store", "recompute")

SCHEDULES = ("constant", "cosine", "one_cycle", "plateau")

MOST_MEMBERS = 1024
"""Most networks that a model file can hold."""


def is_object(optimizer: object) -> bool:
    """Whether it is an optimiser with settings of its own."""
    if isinstance(optimizer, str):
        return False
    from ostinato.train.optimisers import Optimizer

    return isinstance(optimizer, Optimizer)


@dataclass(frozen=True, kw_only=True)
class LongSequences:
    """How the gradient goes through long sequences; see `Training`."""

    bptt: int = 0
    memory: str = "truncate"

    def check(self) -> None:
        """Raise `ArgumentError` unless all values are in range."""
        check_whole("bptt", self.bptt, least=0)
        check_choice("memory", self.memory, MEMORY)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How steps are made, how they shrink, and what of the weights is kept; see `Training`."""

    optimizer: str | Optimizer = "adam"
    schedule: str = "constant"
    average: float = 0.0
    precision: str = "float32"
    accumulate: int = 1

    def check(self) -> None:
        """Raise `ArgumentError` unless all values are in range."""
        if not is_object(self.optimizer):
            check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("precision", self.precision, PRECISIONS)
        check_whole("accumulate", self.accumulate, least=1)
        check_number("average", self.average)
        if self.average >= 1.0:
            raise ArgumentError("average must be below 1", got=repr(self.average), fix="Pass, say, 0.999.")


@dataclass(frozen=True, kw_only=True)
class Saving:
    """How a run is saved while it goes; see `Training`."""

    checkpoint: str | os.PathLike[str] | None = None
    every: float = 30.0

    def check(self) -> None:
        """Raise `ArgumentError` unless all values are in range."""
        if self.checkpoint is not None and not isinstance(self.checkpoint, (str, os.PathLike)):
            raise ArgumentError(
                "checkpoint must be a folder or None", got=f"{self.checkpoint!r:.80}", fix="Pass a folder's path."
            )
        check_number("every", self.every)


@dataclass(frozen=True)
class Training(LongSequences, Rates, Saving):
    """Options of training; the defaults suit a few hundred to some million windows.

    Args:
        epochs: At most so many passes; an epoch is at most 100 steps, so a large data set is seen part by part.
        batch_size: Windows a step.
        learning_rate: Step size of "adam", "adamw", "rmsprop" and "sgd"; the others find their own.
        weight_decay: Decoupled weight decay; with 0, "adamw" has 0.004, which is its own, and the others have none.
        clip_norm: Longest gradient; 0 for no limit. "lbfgs" and "hessian_free" take it as it is.
        patience: Epochs without a better validation loss before training stops.
        members: Networks whose forecasts are averaged; 0 means 5 up to 1,000 windows, else 1.
        seed: Decides first weights, order of windows and dropout; the same seed gives the same model.
        bptt: Steps of the windows that a sequence is computed in, which bounds the memory; 0 for whole sequences.
        memory: "truncate" cuts the gradient where windows meet; "store" and "recompute" give the whole gradient, the
            same to the last bit, with every window's intermediate values kept, or computed twice.
        optimizer: "adam", "adamw", "rmsprop", "sgd", "lbfgs" or "hessian_free". The last two look at each step's data
            several times: pass a `batch_size` of hundreds. In Python also an object, whose own settings then count.
        schedule: "constant"; "cosine", down to a hundredth over all epochs, after a short warm-up; "one_cycle" (Smith &
            Topin 2019); or "plateau", to a third whenever the validation loss has not fallen for a third of `patience`.
            For "cosine" and "one_cycle" set `epochs` to what will be trained, and `patience` as high.
        average: Share of the old average in a running mean of the weights, which is then what is kept (0.999, say); 0
            keeps the weights themselves.
        accumulate: Batches whose gradients are averaged for one update: the memory of one, the step of all of them.
        precision: "bf16" multiplies matrices in bf16 while it trains, except in compiled kernels; weights stay float32.
        checkpoint: Folder in which the run is saved while it goes; the same call then goes on where it was stopped.
        every: Seconds between two saves.
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
        LongSequences.check(self)
        Rates.check(self)
        Saving.check(self)
        for name in ("epochs", "batch_size", "patience"):
            check_whole(name, getattr(self, name), least=1)
        check_whole("members", self.members, least=0, most=MOST_MEMBERS)
        check_whole("seed", self.seed, least=0, most=2**32 - 1)
        for name in ("learning_rate", "weight_decay", "clip_norm"):
            check_number(name, getattr(self, name))
        self._check_optimizer()

    def _check_optimizer(self) -> None:
        """Refuse options that the optimiser would not heed."""
        own = is_object(self.optimizer)
        if not own and self.optimizer not in CLOSURES:
            return
        unheeded = {"weight_decay": self.weight_decay > 0.0, "schedule": self.schedule != "constant"}
        unheeded |= {"accumulate": self.accumulate > 1}
        unheeded |= {"average": own and self.average > 0.0}
        for name, given in unheeded.items():
            if given:
                raise ArgumentError(
                    f"{name} must be left out with an optimizer that has no such option or settings of its own",
                    got=f"{name} {getattr(self, name)!r} and {self.optimizer!r:.60}",
                    fix="Leave it out, or choose another optimizer.",
                )


OF_THE_RUN = frozenset(f.name for owner in (LongSequences, Rates, Saving) for f in fields(owner))
"""Options that say how a run goes, not what the model is: model files do not hold them."""
