"""Callbacks that write down or pass on what happens."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ostinato.errors import ArgumentError, NonFiniteLoss
from ostinato.runtime.atomic import replace_file
from ostinato.train.callbacks import Callback, Logs
from ostinato.train.distributed import writes
from ostinato.train.history import History


class CSVLogger(Callback):
    """Writes the figures of each epoch to a CSV file, complete after every epoch; of several processes, the first does.

    Args:
        filename: The file.
        separator: What stands between figures.
        append: Continue a file instead of replacing it.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", *, append: bool = False) -> None:
        super().__init__()
        if not isinstance(filename, (str, os.PathLike)):
            raise ArgumentError("filename must be a path", got=repr(filename), fix="Pass, say, 'log.csv'.")
        if not isinstance(separator, str) or len(separator) != 1:
            raise ArgumentError("separator must be one character", got=repr(separator), fix="Pass, say, ','.")
        self.path = Path(filename)
        self.separator, self.append = separator, append
        self._names: list[str] = []

    def state(self) -> dict[str, Any]:
        return {"text": self.path.read_text(encoding="utf-8") if self.path.exists() else "", "names": self._names}

    def load_state(self, state: dict[str, Any]) -> None:
        self._names = state["names"]
        if writes():
            self.path.write_text(state["text"], encoding="utf-8", newline="")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._names = []
        if not writes():
            return
        if self.append and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                self._names = next(csv.reader(file, delimiter=self.separator), [])
        else:
            self.path.write_text("", encoding="utf-8")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if not writes():
            return
        row = {"epoch": epoch, **(logs or {})}
        names = [*self._names, *(name for name in row if name not in self._names)]
        if self._names and names != self._names:
            self._widen(names)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=self.separator, lineterminator="\n")
            if not self._names:
                writer.writerow(names)
            writer.writerow([row.get(name, "") for name in names])
        self._names = names

    def _widen(self, names: Sequence[str]) -> None:
        """Replace the file by one with these columns, more than it has: figures that not every epoch has."""
        with self.path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file, delimiter=self.separator))[1:]
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.separator, lineterminator="\n")
        writer.writerows([names, *(row + [""] * (len(names) - len(row)) for row in rows)])
        replace_file(os.fspath(self.path), [text.getvalue().encode()])


class LambdaCallback(Callback):
    """Calls the functions it is given, at the points of training that their keywords name.

    Args:
        hooks: `on_epoch_end=function` and so on; each function gets what the method of `Callback` gets.
    """

    def __init__(self, **hooks: Callable[..., Any]) -> None:
        super().__init__()
        known = [name for name in vars(Callback) if name.startswith("on_")]
        for name, hook in hooks.items():
            if name not in known or not callable(hook):
                raise ArgumentError(
                    f"hooks must be functions named {', '.join(known)}", got=f"{name}={hook!r}", fix="Rename it."
                )
            setattr(self, name, hook)


class HistoryCallback(Callback):
    """Keeps the figures of each epoch; the same that `fit` returns.

    Attributes:
        epoch: Numbers of the epochs.
        history: A list per name.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept = History()

    @property
    def epoch(self) -> list[int]:
        return self._kept.epoch

    @property
    def history(self) -> dict[str, list[float]]:
        return self._kept.history

    def state(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "history": self.history}

    def load_state(self, state: dict[str, Any]) -> None:
        self._kept = History(list(state["epoch"]), {name: list(values) for name, values in state["history"].items()})

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._kept = History()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._kept.add(epoch, dict(logs or {}))


class TerminateOnNaN(Callback):
    """Turns a loss that is not finite from an error into an end of training, with the last good epoch's weights.

    Attributes:
        error: What happened and where, or None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.error: NonFiniteLoss | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.error = None
