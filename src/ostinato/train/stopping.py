"""Stop when the model no longer improves, and keep the best weights."""

from __future__ import annotations

import math
from typing import Any

from ostinato.errors import ArgumentError
from ostinato.maps._check import check_choice, check_count, check_number
from ostinato.train.callbacks import Callback, Logs, say


class EarlyStopping(Callback):
    """Ends training when a figure has not improved for some epochs.

    Args:
        monitor: Name of the figure, for example "val_loss" or "loss".
        min_delta: A smaller change is no improvement.
        patience: Epochs without improvement that are tolerated.
        verbose: 1 writes a line when training ends.
        mode: "min", "max", or "auto": "max" for accuracies and areas under curves, else "min".
        baseline: The figure must beat this value first.
        restore_best_weights: Whether the weights of the best epoch come back at the end.
        start_from_epoch: Epochs before this one are not looked at.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        *,
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__()
        check_number("min_delta", min_delta)
        check_count("patience", patience, least=0)
        check_count("start_from_epoch", start_from_epoch, least=0)
        if baseline is not None:
            check_number("baseline", baseline)
        self.monitor = monitor
        self.min_delta = abs(min_delta)
        self.patience, self.verbose = patience, verbose
        self.sign = direction(mode, monitor)
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.best = math.inf
        self.best_epoch = 0
        self.stopped_epoch = 0
        self._wait = 0
        self._weights: Any = None

    def state(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "stopped_epoch": self.stopped_epoch,
            "wait": self._wait,
            "weights": self._weights,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.best, self.best_epoch, self.stopped_epoch = state["best"], state["best_epoch"], state["stopped_epoch"]
        self._wait, self._weights = state["wait"], state["weights"]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.best = math.inf if self.baseline is None else self.sign * self.baseline
        self._wait, self.best_epoch, self.stopped_epoch, self._weights = 0, 0, 0, None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        figure = monitored(self, self.monitor, epoch, logs)
        if figure is None or epoch < self.start_from_epoch:
            return
        value = self.sign * figure
        if value < self.best - self.min_delta:
            self.best, self.best_epoch, self._wait = value, epoch, 0
            if self.restore_best_weights:
                self._weights = self.model.get_weights()
            return
        self._wait += 1
        if self._wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            say(self.verbose, f"epoch {epoch + 1}: no better {self.monitor} since epoch {self.best_epoch + 1}, stopped")

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._weights is not None:
            self.model.set_weights(self._weights)


def direction(mode: str, monitor: str) -> float:
    """1.0 if smaller is better, else -1.0."""
    check_choice("mode", mode, ("auto", "min", "max"))
    if not isinstance(monitor, str):
        raise ArgumentError("monitor must be the name of a figure", got=repr(monitor), fix="Pass, say, 'val_loss'.")
    larger = any(word in monitor for word in ("acc", "auc", "precision", "recall", "f1", "r2"))
    return -1.0 if mode == "max" or (mode == "auto" and larger) else 1.0


def monitored(callback: Callback, name: str, epoch: int, logs: Logs | None) -> float | None:
    """The figure `name` of an epoch; None if it is one of validation data and these are not measured after this epoch.

    Raises:
        ArgumentError: There is no such figure.
    """
    if not logs or name not in logs:
        every = callback.params.get("valid_every", 0)
        if name.startswith("val_") and every and (epoch + 1) % every:
            return None
        raise ArgumentError(
            f"monitor must be one of the figures of an epoch: {', '.join(logs or {})}",
            got=repr(name),
            fix="Pass validation data for figures that begin with val_, or choose another name.",
        )
    return logs[name]
