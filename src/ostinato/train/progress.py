"""One quiet line on a terminal, plain lines in logs."""

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
        every: With verbose 1, seconds between two lines in a log, which then has one of the last epoch, too, and of
            steps where epochs take longer; 0 for a line an epoch.
    """

    lasting = False

    def __init__(self, verbose: int = 1, stream: TextIO | None = None, *, label: str = "", every: float = 0.0) -> None:
        super().__init__()
        self.stream = stream or sys.stdout
        self.label = f"{label} " if label else ""
        self.bar = verbose == 1 and self.stream.isatty()
        self.every = 0.0 if self.bar or verbose != 1 else every
        self._epoch = 0
        self._next = 0.0
        self._began = 0.0
        self._unsaid = ""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._next, self._unsaid = time.monotonic() + self.every, ""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch, self._began = epoch, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if (not self.bar and not self.every) or (now := time.monotonic()) < self._next:
            return
        self._next = now + (self.every or _INTERVAL)
        steps = self.params["steps"]
        if self.bar:
            done = 24 * (batch + 1) // steps
            self._write(f"{'━' * done}{'─' * (24 - done)} {batch + 1}/{steps} {_figures(logs)}")
        elif batch + 1 < steps:
            self._line(f"step {batch + 1}/{steps} {_figures(logs)}")
        else:
            self._next = now  # the epoch ends in a moment, and says more

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        text = f"{time.monotonic() - self._began:.1f} s {_figures(logs)}"
        self._unsaid = ""
        if self.bar:
            self._write(text)
        elif (now := time.monotonic()) >= self._next:
            self._next = now + self.every
            self._line(text)
        else:
            self._unsaid = text

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.bar:
            self.stream.write("\n")
        if self._unsaid:
            self._line(self._unsaid)
        self.stream.flush()

    def _line(self, text: str) -> None:
        self.stream.write(f"{self.label}epoch {self._epoch + 1}/{self.params['epochs']} {text}\n")
        self.stream.flush()

    def _write(self, text: str) -> None:
        self.stream.write(f"\r\x1b[K{self.label}epoch {self._epoch + 1}/{self.params['epochs']} {text}")
        self.stream.flush()


def _figures(logs: Logs | None) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in (logs or {}).items())
