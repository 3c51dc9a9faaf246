"""Schedules by name, and as plain values in a model file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ostinato._folder import catalogue
from ostinato.errors import ArgumentError
from ostinato.train.schedules.base import Schedule

SCHEDULES = catalogue("ostinato.train.schedules", Schedule)
"""Schedules by name."""

_INNER = "learning_rate"
"""The field of a schedule that can hold another one."""


def to_settings(rate: float | Schedule) -> dict[str, Any] | None:
    """A rate as plain values, or None if it is a schedule of somebody's own.

    A number is {"": number}; a schedule is {"": name, field: value, …}, and one inside it has a path in front.
    """
    if not isinstance(rate, Schedule):
        return {"": rate}
    name = next((name for name, cls in SCHEDULES.items() if type(rate) is cls), None)
    if name is None:
        return None
    found: dict[str, Any] = {"": name}
    for field in fields(rate):  # type: ignore[arg-type]
        value = getattr(rate, field.name)
        if field.name == _INNER:
            inner = to_settings(value)
            if inner is None:
                return None
            found |= {f"{_INNER}/{key}".rstrip("/"): v for key, v in inner.items()}
        else:
            found[field.name] = list(value) if isinstance(value, tuple) else value
    return found


def from_settings(settings: Mapping[str, Any], *, depth: int = 0) -> float | Schedule:
    """The rate that `to_settings` described.

    Raises:
        ArgumentError: The description is none.
    """
    kind = settings.get("")
    if not isinstance(kind, str):
        if set(settings) != {""} or isinstance(kind, bool) or not isinstance(kind, (int, float)):
            raise _damaged(settings)
        return kind
    cls = SCHEDULES.get(kind)
    if cls is None or depth > 1:
        raise ArgumentError(f"a schedule must be one of {', '.join(SCHEDULES)}", got=repr(kind), fix="Save again.")
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    if {key.partition("/")[0] for key in settings} != known | {""}:
        raise _damaged(settings)
    values = {key: value for key, value in settings.items() if key and key.partition("/")[0] != _INNER}
    if _INNER in known:
        inner = {key[len(_INNER) + 1 :]: v for key, v in settings.items() if key.partition("/")[0] == _INNER}
        values[_INNER] = from_settings(inner, depth=depth + 1)
    return cls(**values)


def _damaged(settings: Mapping[str, Any]) -> ArgumentError:
    return ArgumentError("a learning rate must be a number or a schedule", got=", ".join(settings), fix="Save again.")
