"""Checks that the constructors of maps, cells and scans share."""

from __future__ import annotations

import math

from ostinato.errors import ArgumentError, ShapeError
from ostinato.maps.base import Shape


def check_count(name: str, value: object, *, least: int = 1) -> None:
    """Raise `ArgumentError` unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(
            f"{name} must be a whole number of at least {least}", got=repr(value), fix=f"Pass such a number as {name}."
        )


def check_rate(name: str, value: object) -> None:
    """Raise `ArgumentError` unless `value` is a share in [0, 1)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < 1.0:
        raise ArgumentError(
            f"{name} must be a number of at least 0 and below 1", got=repr(value), fix=f"Pass such a number as {name}."
        )


def check_size(name: str, value: object) -> None:
    """Raise `ArgumentError` unless `value` is a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < math.inf:
        raise ArgumentError(
            f"{name} must be a number of at least 0", got=repr(value), fix=f"Pass such a number as {name}."
        )


def check_number(name: str, value: object) -> None:
    """Raise `ArgumentError` unless `value` is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -math.inf < value < math.inf:
        raise ArgumentError(f"{name} must be a finite number", got=repr(value), fix=f"Pass such a number as {name}.")


def check_positive(name: str, value: object) -> None:
    """Raise `ArgumentError` unless `value` is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value < math.inf:
        raise ArgumentError(f"{name} must be a positive number", got=repr(value), fix="Pass, say, 1e-5.")


def check_flag(name: str, value: object) -> None:
    """Raise `ArgumentError` unless `value` is True or False."""
    if not isinstance(value, bool):
        raise ArgumentError(f"{name} must be True or False", got=repr(value), fix="Pass a bool.")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise `ArgumentError` unless `value` is one of `choices`."""
    if value not in choices:
        raise ArgumentError(
            f"{name} must be one of {', '.join(map(repr, choices))}",
            got=repr(value),
            fix="Choose a name from the list.",
        )


def features(layer: str, shape: Shape) -> int:
    """The size of the last axis of `shape`, which must be known."""
    if not shape or shape[-1] is None:
        raise ShapeError(
            f"{layer} must know the number of features of its input",
            got=f"shape {show(shape)}",
            fix="Give the first layer an input_shape whose last number is set.",
        )
    return shape[-1]


def sequence(layer: str, shape: Shape) -> tuple[int | None, int]:
    """(time, features) of a shape that must be a sequence of vectors."""
    if len(shape) != 2:
        raise ShapeError(
            f"{layer} must get sequences of shape (batch, time, features)",
            got=f"shape {show(shape)}",
            fix="Reshape the input, or let the recurrent layer before it return sequences.",
        )
    return shape[0], features(layer, shape)


def show(shape: Shape) -> str:
    """A shape as Keras prints it, with the open batch axis in front."""
    return "(" + ", ".join(["None", *("None" if n is None else str(n) for n in shape)]) + ")"
