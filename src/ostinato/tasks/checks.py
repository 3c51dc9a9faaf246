"""Checks of options that tasks share."""

from __future__ import annotations

import math

import numpy as np

from ostinato.errors import ArgumentError

NUMBER = (int, float, np.integer, np.floating)
"""What passes as a number."""

_MOST = 2**31 - 1


def check_whole(name: str, value: object, *, least: int, most: int = _MOST) -> None:
    """Raise `ArgumentError` unless `value` is a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= most:
        above = isinstance(value, (int, np.integer)) and value > most
        rule = f"from {least} to {most}" if above else f"of at least {least}"
        raise ArgumentError(f"{name} must be a whole number {rule}", got=_shown(value), fix="Pass one.")


def check_number(name: str, value: object) -> None:
    """Raise `ArgumentError` unless `value` is a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, NUMBER) or not 0.0 <= value < math.inf:
        raise ArgumentError(f"{name} must be a finite number of at least 0", got=_shown(value), fix="Pass one.")


def check_kind(name: str, value: object, kind: type) -> None:
    """Raise `ArgumentError` unless `value` is an option object of this kind."""
    if not isinstance(value, kind):
        raise ArgumentError(
            f"{name} must be an object of type {kind.__name__}", got=_shown(value), fix=f"Pass {kind.__name__}(...)."
        )


def _shown(value: object) -> str:
    return f"{value!r:.80}"
