"""What can watch and steer training: the hooks that Keras users know, and the loop's own callbacks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor

from ostinato.errors import ArgumentError

Logs = dict[str, float]


class Callback:
    """Does something at the points of training that its methods name.

    `model` is the model in training; setting `model.stop_training = True` ends it after the current epoch. `params`
    holds "epochs", "steps", "verbose" and "valid_every": after every so many epochs validation data are measured; 0 if
    there are none.

    `lasting` says whether its state belongs to a saved run. A run goes on without a callback that only shows something.
    """

    lasting = True

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Called before training, with the model."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before training, with "epochs", "steps", "verbose" and "valid_every"."""
        self.params = params

    def state(self) -> dict[str, Any]:
        """What has to be saved so that a run can go on: plain values, tensors and arrays in dictionaries and lists."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave; called after `on_train_begin`."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called once, before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called once, after the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before each epoch, which counts from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called after each epoch with "loss", the metrics, and the same names with "val_" in front."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before each step."""

    def on_gradient(self, batch: int, gradient: Tensor) -> None:
        """Called in each step with the whole gradient, flat, before it is clipped and used; it must stay as it is."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after each step with the running means of the epoch."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Keras' older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Keras' older name of `on_train_batch_end`."""


class Callbacks:
    """Calls the callbacks that have something to say at each point, no others, so that silent hooks cost nothing."""

    def __init__(self, callbacks: Iterable[Callback], model: Any, params: dict[str, Any]) -> None:
        self.all = list(callbacks)
        for callback in self.all:
            _check_hooks(callback)
            callback.set_model(model)
            callback.set_params(params)
        self.train_begin = self._those("on_train_begin")
        self.train_end = self._those("on_train_end")
        self.epoch_begin = self._those("on_epoch_begin")
        self.epoch_end = self._those("on_epoch_end")
        self.batch_begin = self._those("on_train_batch_begin", "on_batch_begin")
        self.gradient = self._those("on_gradient")
        self.batch_end = self._those("on_train_batch_end", "on_batch_end")

    def _those(self, *hooks: str) -> list[Callable[..., None]]:
        return [
            getattr(callback, hook)
            for callback in self.all
            for hook in hooks
            if getattr(type(callback), hook) is not getattr(Callback, hook) or hook in vars(callback)
        ]


_HOOKS = frozenset(name for name in vars(Callback) if name.startswith("on_"))


def _check_hooks(callback: object) -> None:
    """Raise `ArgumentError` for what is no callback, and for hooks that would never be called."""
    if not isinstance(callback, Callback):
        raise ArgumentError(
            "callbacks must be objects of classes derived from Callback",
            got=type(callback).__name__,
            fix="Derive the class from ostinato.train.Callback and pass an object of it.",
        )
    foreign = sorted(name for name in dir(callback) if name.startswith("on_") and name not in _HOOKS)
    if foreign:
        raise ArgumentError(
            f"a callback must have no other hooks than {', '.join(sorted(_HOOKS))}",
            got=", ".join(foreign),
            where=type(callback).__name__,
            fix="Rename the method; it would never be called.",
        )


def say(verbose: int, text: str) -> None:
    """Write a line to standard output if the user asked a callback to (`verbose=1`)."""
    if verbose:
        sys.stdout.write(text + "\n")
