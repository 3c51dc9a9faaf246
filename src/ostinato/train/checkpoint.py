"""Save the model while it trains."""

from __future__ import annotations

import math
import os
from typing import Any

from ostinato.errors import ArgumentError
from ostinato.maps._check import check_number
from ostinato.train.callbacks import Callback, Logs, say
from ostinato.train.distributed import writes
from ostinato.train.stopping import direction, monitored


class ModelCheckpoint(Callback):
    """Saves the model after epochs, with `model.save`; of several processes, the first one does.

    Args:
        filepath: The file; "{epoch}" and names of figures in braces are filled in, as in "best-{val_loss:.3f}.st".
        monitor: Name of the figure that says which model is better.
        verbose: 1 writes a line at each save.
        save_best_only: Save only when the figure improves; otherwise after every epoch.
        save_weights_only: Save with `model.save_weights`.
        mode: "min", "max" or "auto", as in `EarlyStopping`.
        save_freq: "epoch".
        initial_value_threshold: The figure must beat this value first.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        *,
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__()
        if save_freq != "epoch":
            raise ArgumentError("save_freq must be 'epoch'", got=repr(save_freq), fix="Leave it out.")
        if not isinstance(filepath, (str, os.PathLike)):
            raise ArgumentError("filepath must be a path", got=repr(filepath), fix="Pass, say, 'best.safetensors'.")
        if initial_value_threshold is not None:
            check_number("initial_value_threshold", initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.monitor, self.verbose = monitor, verbose
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.sign = direction(mode, monitor)
        self.best = math.inf if initial_value_threshold is None else self.sign * initial_value_threshold

    def state(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state(self, state: dict[str, Any]) -> None:
        self.best = state["best"]

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_best_only:
            figure = monitored(self, self.monitor, epoch, logs)
            if figure is None or not self.sign * figure < self.best:
                return
            self.best = self.sign * figure
        if not writes():
            return
        try:
            path = self.filepath.format(epoch=epoch + 1, **(logs or {}))
        except (KeyError, ValueError, IndexError) as error:
            raise ArgumentError(
                f"filepath must name epoch or figures in braces: {', '.join(logs or {})}",
                got=repr(self.filepath),
                fix="Pass validation data for figures that begin with val_, or remove the name.",
            ) from error
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        say(self.verbose, f"epoch {epoch + 1}: saved {path}")
