"""How the training of a task ended, and what that advises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ostinato.tasks.learning.networks import Trained
from ostinato.tasks.training import Training

_MORE = "More epochs may be better"
_DECAYING = ("cosine", "one_cycle")
"""Schedules whose last epochs are meant to be the best ones, however many there are."""


class _Course(NamedTuple):
    """One network: how many epochs it was trained, and after how many it was best."""

    made: int
    best: int


def ended(trained: Sequence[Trained], training: Training) -> str:
    """Whether early stopping or the number of epochs ended the training of networks, in one or two sentences.

    Args:
        trained: The networks.
        training: Their options.
    """
    courses = [_Course(len(one.history.epoch), one.epochs) for one in trained]
    said = _one(courses[0], training.epochs) if len(courses) == 1 else _several(courses, training.epochs)
    return f"{said} {_MORE}." if _rising(trained, training) else said


def ending(trained: Sequence[Trained], training: Training) -> str:
    """As `ended`, with what to pass if training might gain from going on."""
    said = ended(trained, training)
    return f"{said[:-1]}: pass epochs={2 * training.epochs}." if _rising(trained, training) else said


def _rising(trained: Sequence[Trained], training: Training) -> bool:
    """Whether a network was best when its epochs ran out, though the schedule does not end with them."""
    return any(one.epochs == training.epochs for one in trained) and training.schedule not in _DECAYING


def _one(course: _Course, most: int) -> str:
    if course.made < most:
        return f"Training stopped early, after {course.made} of {most} epochs: epoch {course.best} was the best."
    if course.best < most:
        return f"Training ended after all {most} epochs; epoch {course.best} was the best, and is kept."
    return f"Training ended after all {most} epochs, of which the last was the best."


def _several(courses: Sequence[_Course], most: int) -> str:
    n, early = len(courses), sum(c.made < most for c in courses)
    if early == n:
        longest = max(c.made for c in courses)
        return f"Training stopped early for all {n} networks, after at most {longest} of {most} epochs."
    said = f"Training ended after all {most} epochs for {n - early} of {n} networks"
    last = sum(c.best == most for c in courses)
    if last:
        return f"{said}, of which {last} had their best epoch last."
    return f"{said}; the others stopped early." if early else f"{said}."
