"""One quiet line on a terminal, one line an epoch in logs."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from ostinato.train.callbacks import Callback, Logs

_INTERVAL = 0.1


class Progress(Callback):
    """Shows how far training is.

    Args:
        verbose: 1 draws a bar on a terminal and prints a line an epoch elsewhere; 2 always prints a line an epoch.
        stream: Where to; standard output if None.
        label: Put in front of each line.
    """

    lasting = False

    def __init__(self, verbose: int = 1, stream: TextIO | None = None, *, label: str = "") -> None:
        super().__init__()
        self.stream = stream or sys.stdout
        self.label = f"{label} " if label else ""
        self.bar = verbose == 1 and self.stream.isatty()
        self._epoch = 0
        self._next = 0.0
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch, self._began = epoch, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.bar and (now := time.monotonic()) >= self._next:
            self._next = now + _INTERVAL
            steps = self.params["steps"]
            done = 24 * (batch + 1) // steps
            self._write(f"{'━' * done}{'─' * (24 - done)} {batch + 1}/{steps} {_figures(logs)}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        text = f"{time.monotonic() - self._began:.1f} s {_figures(logs)}"
        if self.bar:
            self._write(text)
        else:
            self.stream.write(f"{self.label}epoch {epoch + 1}/{self.params['epochs']} {text}\n")

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.bar:
            self.stream.write("\n")
        self.stream.flush()

    def _write(self, text: str) -> None:
        self.stream.write(f"\r\x1b[K{self.label}epoch {self._epoch + 1}/{self.params['epochs']} {text}")
        self.stream.flush()


def _figures(logs: Logs | None) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in (logs or {}).items())
