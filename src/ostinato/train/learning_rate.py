"""Callbacks that change the step size."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from ostinato.errors import ArgumentError
from ostinato.maps._check import check_count, check_number, check_size
from ostinato.train.callbacks import Callback, Logs, say
from ostinato.train.stopping import direction, monitored


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    Args:
        schedule: `schedule(epoch, learning_rate)` or `schedule(epoch)`, returning the new rate; epochs count from 0.
        verbose: 1 writes a line an epoch.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise ArgumentError("schedule must be a function", got=repr(schedule), fix="Pass schedule(epoch).")
        self.schedule, self.verbose = schedule, verbose
        self._both = len(inspect.signature(schedule).parameters) > 1

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        old = self.model.optimizer.learning_rate
        new = float(self.schedule(epoch, old) if self._both else self.schedule(epoch))
        if not 0.0 <= new < math.inf:
            raise ArgumentError(
                "a schedule must return a learning rate of at least 0",
                got=repr(new),
                where=f"epoch {epoch + 1}",
                fix="Correct the function.",
            )
        self.model.optimizer.learning_rate = new
        say(self.verbose, f"epoch {epoch + 1}: learning rate {new:.4g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate


class ReduceLROnPlateau(Callback):
    """Multiplies the learning rate by `factor` when a figure has not improved for `patience` epochs.

    The rate of each epoch is in the history as "learning_rate".

    Args:
        monitor: Name of the figure.
        factor: Above 0 and below 1.
        patience: Epochs without improvement that are tolerated.
        verbose: 1 writes a line at each reduction.
        mode: "min", "max" or "auto", as in `EarlyStopping`.
        min_delta: A smaller change is no improvement.
        cooldown: Epochs after a reduction in which nothing is counted.
        min_lr: The rate is never set below this.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        *,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__()
        check_count("patience", patience, least=0)
        check_count("cooldown", cooldown, least=0)
        check_number("min_delta", min_delta)
        check_size("min_lr", min_lr)
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0.0 < factor < 1.0:
            raise ArgumentError("factor must be above 0 and below 1", got=repr(factor), fix="Pass, say, 0.5.")
        self.monitor, self.factor, self.patience = monitor, factor, patience
        self.sign, self.verbose = direction(mode, monitor), verbose
        self.min_delta, self.cooldown, self.min_lr = abs(min_delta), cooldown, min_lr
        self.best, self._wait, self._pause = math.inf, 0, 0

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self._wait, "pause": self._pause}

    def load_state(self, state: dict[str, Any]) -> None:
        self.best, self._wait, self._pause = state["best"], state["wait"], state["pause"]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.best, self._wait, self._pause = math.inf, 0, 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate
        figure = monitored(self, self.monitor, epoch, logs)
        if figure is None:
            return
        value = self.sign * figure
        if self._pause > 0:
            self._pause -= 1
            self._wait = 0
        if value < self.best - self.min_delta:
            self.best, self._wait = value, 0
        elif self._pause <= 0:
            self._wait += 1
            if self._wait >= self.patience:
                optimizer = self.model.optimizer
                optimizer.learning_rate = max(optimizer.learning_rate * self.factor, self.min_lr)
                say(self.verbose, f"epoch {epoch + 1}: learning rate {optimizer.learning_rate:.4g}")
                self._pause, self._wait = self.cooldown, 0
