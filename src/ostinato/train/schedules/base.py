"""What a schedule of the learning rate is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from ostinato.errors import ArgumentError


class Schedule(ABC):
    """The learning rate as a pure function of the step, so that a run that is taken up again goes on exactly.

    Pass an object as `learning_rate` of any optimiser. The schedules here are frozen dataclasses of numbers, and a
    saved model holds them; one of your own is not saved with the model.
    """

    @abstractmethod
    def __call__(self, step: int) -> float:
        """The learning rate of the step with this number; steps are batches, counted from 0 over all epochs."""


def check_rates(**values: object) -> None:
    """Raise `ArgumentError` unless all are finite numbers of at least 0."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < math.inf:
            raise ArgumentError(f"{name} must be a number of at least 0", got=repr(value), fix="Pass one.")


def check_steps(least: int = 1, **values: object) -> None:
    """Raise `ArgumentError` unless all are whole numbers of at least `least`."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ArgumentError(f"{name} must be a whole number of at least {least}", got=repr(value), fix="Pass one.")
