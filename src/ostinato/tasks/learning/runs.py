"""What the options of `Training` ask for: the optimiser, its schedule, and the folder of a saved run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ostinato.tasks.training import Training
from ostinato.train.callbacks import Callback
from ostinato.train.distributed import team
from ostinato.train.learning_rate import ReduceLROnPlateau
from ostinato.train.optimisers import OPTIMIZERS, Optimizer
from ostinato.train.resume import Checkpoint, describe
from ostinato.train.schedules import CosineDecay, OneCycle, Schedule, WarmUp


def optimiser(training: Training, steps: int) -> Optimizer:
    """What changes the weights of one network, in a training of at most so many steps."""
    if isinstance(training.optimizer, Optimizer):
        return training.optimizer.fresh_copy()
    kind: Any = OPTIMIZERS[training.optimizer]
    options: dict[str, Any] = {"use_ema": True, "ema_momentum": training.average} if training.average else {}
    if kind.closures:
        return kind(**options)  # type: ignore[no-any-return]
    if training.weight_decay:
        options["weight_decay"] = training.weight_decay
    if training.accumulate > 1:
        options["gradient_accumulation_steps"] = training.accumulate
    return kind(rate(training, steps), global_clipnorm=training.clip_norm or None, **options)  # type: ignore[no-any-return]


def rate(training: Training, steps: int) -> float | Schedule:
    """The step size of a training of at most so many steps."""
    first = training.learning_rate
    if training.schedule == "cosine":
        warm = min(100, steps // 20)
        return WarmUp(CosineDecay(first, steps - warm, alpha=0.01), warm)
    if training.schedule == "one_cycle":
        return OneCycle(first, steps)
    return first


def slower(training: Training) -> list[Callback]:
    """What makes steps smaller as a training goes, beside their schedule."""
    if training.schedule != "plateau":
        return []
    patience = max(1, training.patience // 3)  # so that it acts before the training is stopped for the same reason
    least = training.learning_rate / 1000.0
    return [ReduceLROnPlateau(factor=1.0 / 3.0, patience=patience, min_delta=0.0, min_lr=least)]


def saved_run(training: Training, settings: Mapping[str, Any]) -> AbstractContextManager[Checkpoint | None]:
    """The saved run, if there is to be one, as a context.

    Args:
        training: Options, which name its folder.
        settings: What makes the run what it is; see `Checkpoint`.

    Raises:
        ArgumentError: The processes that train together do not have the same settings.
    """
    together = team()
    if together is not None:
        together.agree({name: describe(value) for name, value in settings.items()})
    if training.checkpoint is None:
        return nullcontext()
    return Checkpoint(training.checkpoint, settings, every=training.every, team=together)
