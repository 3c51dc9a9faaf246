"""Checks of options that tasks share."""

from __future__ import annotations

from ostinato.errors import ArgumentError


def check_whole(name: str, value: object, *, least: int) -> None:
    """Raise `ArgumentError` unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(f"{name} must be a whole number of at least {least}", got=repr(value), fix="Pass one.")
