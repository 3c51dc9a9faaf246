"""Which column of a table is the time, which names the series, which holds the values; and the step of the times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ostinato._lean_dataclass import lean_dataclass
from ostinato.errors import DataError

_TIME_FIRST = ("ds", "timestamp", "datetime", "date", "time", "period")
_TIME_ELSE = ("year", "quarter", "month", "week", "day", "hour", "step", "t")
_ID = ("unique_id", "series_id", "item_id", "series", "id")
_TARGET = ("y", "target", "value")


@lean_dataclass(frozen=True)
class Columns:
    """The names of a table's columns; None means "find it" by the rules of `ostinato.data.read_panel`.

    Args:
        id: Column that names the series of each row (long form).
        time: Column with the times.
        target: Column with the values.
        time_format: A `strptime` pattern for times that are not in ISO form, for example "%d/%m/%Y".
        freq: The step, such as "MS", "h", "15min"; by default the most common one.
    """

    id: str | None = None
    time: str | None = None
    target: str | None = None
    time_format: str | None = None
    freq: str | None = None


class Roles(NamedTuple):
    """What was found: the id column or None, the time column or None (one column, counted steps), the value columns."""

    id: str | None
    time: str | None
    values: tuple[str, ...]


def find_roles(names: Sequence[str], columns: Columns, *, timelike: Sequence[str]) -> Roles:
    """Give every column its role.

    Args:
        names: The columns present.
        columns: What the user said.
        timelike: Columns that hold dates, found by type or by their first cell.

    Raises:
        DataError: `column`, a named column is absent, or a role is open and cannot be decided.
    """
    for role, given in (("id", columns.id), ("time", columns.time), ("target", columns.target)):
        if given is not None and given not in names:
            raise _absent(role, given, names)
    used = [given for given in (columns.id, columns.time, columns.target) if given is not None]
    if len(set(used)) < len(used):
        raise DataError(
            "id, time and target must be different columns",
            got=", ".join(map(repr, used)),
            fix=_listing(names),
            code="column",
        )
    if len(names) == 1 and columns.time is None and columns.id is None and names[0] not in timelike:
        return Roles(None, None, tuple(names))
    free = [name for name in names if name not in used]
    series = columns.id or next((name for key in _ID for name in free if name.lower() == key), None)
    free = [name for name in free if name != series]
    time = columns.time or _find_time(free, names, timelike)
    free = [name for name in free if name != time]
    if columns.target is not None:
        return Roles(series, time, (columns.target,))
    if not free:
        raise DataError(
            "a table must have a column of values beside its time",
            got=f"only {_quoted(names)}",
            fix="Add the values or name another time column.",
            code="column",
        )
    if series is None:
        return Roles(None, time, tuple(free))
    target = next((name for key in _TARGET for name in free if name.lower() == key), None)
    if target is None and len(free) > 1:
        raise DataError(
            "the column of values must be named when several could be it",
            got=_quoted(free),
            fix=_naming("target", free[0]),
            code="column",
        )
    return Roles(series, time, (target or free[0],))


def _find_time(free: Sequence[str], names: Sequence[str], timelike: Sequence[str]) -> str:
    for key in _TIME_FIRST:
        for name in free:
            if name.lower() == key:
                return name
    parts = [name for name in free if name.lower() in _TIME_ELSE]
    dates = [name for name in free if name in timelike]
    found = parts or dates
    if len(found) > 1 and len(dates) == 1:
        found = dates
    if len(found) == 1:
        return found[0]
    raise DataError(
        "one column must be the time",
        got=f"{_quoted(found)}, which could each be it" if found else f"no such column among {_quoted(names)}",
        fix=_naming("time", (found or free or names)[0]),
        code="column",
    )


def _absent(role: str, given: str, names: Sequence[str]) -> DataError:
    import difflib

    lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(given.lower(), lower, n=1, cutoff=0.6)
    return DataError(
        f"the {role} column must be one of the table's columns",
        got=repr(given),
        fix=(f"Did you mean {lower[close[0]]!r}? " if close else "") + _listing(names),
        code="column",
    )


def _quoted(names: Sequence[str]) -> str:
    text = ", ".join(repr(name) for name in names[:20])
    return f"{text} and {len(names) - 20} more" if len(names) > 20 else text


def _listing(names: Sequence[str]) -> str:
    return f"The columns are {_quoted(names)}."


def _naming(role: str, example: str) -> str:
    return f"Name it, for example {role}={example!r}."
