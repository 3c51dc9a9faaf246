"""What every task has in common."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ostinato.errors import NotFittedError
from ostinato.runtime.bundle import Bundle, load, save
from ostinato.runtime.room import Room
from ostinato.tasks.params import Params

if TYPE_CHECKING:
    from ostinato.train.range_test import RangeTest


class Task(Params, ABC):
    """One estimator: options are stored by the constructor, checked by `fit`, and everything learned ends in `_`.

    A task's file name is its key on the command line and in model files.
    """

    several_files: ClassVar[bool] = False
    """Whether `fit` takes several files or folders at once."""
    reads: ClassVar[str]
    """What files the command line takes as DATA, in a sentence or two."""
    example: ClassVar[str]
    """The name of such a file."""

    @classmethod
    @abstractmethod
    def sample(cls) -> Any:
        """A small made-up data set that `fit` accepts."""

    @abstractmethod
    def fit(self, data: Any, *, verbose: int = 0, room: Room | None = None) -> Self:
        """Learn from `data`.

        Args:
            data: What to learn from.
            verbose: 0 nothing; on standard error, 1 a progress bar, or lines ten seconds apart where that is no
                terminal, 2 a line an epoch.
            room: Of the file that `save` will write: held before the training, which is not begun if there is none.
        """

    @abstractmethod
    def find_learning_rate(self, data: Any, **limits: Any) -> RangeTest:
        """Look for a learning rate on the training part: `.suggestion` and `.plot()`; the task stays as it is.

        Args:
            data: As for `fit`.
            limits: `first`, `last` and `steps` of `ostinato.train.lr_find`.
        """

    @abstractmethod
    def predict(self, data: Any = None) -> Any:
        """What the task is for."""

    @abstractmethod
    def score(self, data: Any) -> float:
        """One figure; more is better."""

    @abstractmethod
    def report(self, path: str | os.PathLike[str] | None = None, *, command: str = "") -> str:
        """The report as one self-contained HTML page; also written to `path`, if given."""

    @abstractmethod
    def summary(self) -> str:
        """How good the fitted model is, in a few lines for a terminal."""

    @abstractmethod
    def explain_choices(self) -> list[dict[str, str]]:
        """Everything that was chosen, as rows of "what", "chosen" and "why"."""

    @abstractmethod
    def to_bundle(self) -> Bundle:
        """The fitted task as data."""

    @classmethod
    @abstractmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """The task that `to_bundle` described."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted task as one model file, at once or not at all; see `docs/model-file.md`.

        Raises:
            ModelFileError: `write`, it cannot be written there; the task is as it was and can be saved elsewhere.
        """
        save(path, self.to_bundle())

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, sha256: str | None = None) -> Self:
        """Read what `save` wrote; nothing in a file is ever executed."""
        return cls.from_bundle(load(path, sha256=sha256))

    def _fitted(self, name: str) -> Any:
        value = getattr(self, name, None)
        if value is None:
            loaded = any(key.endswith("_") for key in vars(self))
            raise NotFittedError(
                f"{type(self).__name__} must be fitted here before it is asked for this",
                got="a model from a file, which keeps only what predicts" if loaded else "no fit",
                fix="Call fit(data) first.",
            )
        return value
