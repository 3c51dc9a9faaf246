"""Time columns in any usual form become one of two: int64 (plain steps or years) or datetime64 in microseconds.

Microseconds hold the years 1 to 9999 without overflow. Times with a UTC offset are moved to UTC; if all of them are
midnight on their own clock they are calendar dates and keep their day, so daily data survive daylight saving.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato.errors import ArgumentError, DataError

Place = Callable[[int], str]
"""Where row number `i` (from 0) stands in the user's source: "line 17", "row 3"."""

_ISO = (
    r"(?P<body>\d{4}-\d\d(?:-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?)?) ?(?P<zone>Z|[+-]\d\d:?\d\d)?"
    r"|(?P<year>\d{4})-?Q(?P<quarter>[1-4])|(?P<int>[+-]?\d{1,18})"
)
"""Compiled when the first time is read: that takes as long as some ten modules."""

_GUESSES = (
    ("%d/%m/%Y", "day first"),
    ("%m/%d/%Y", "month first"),
    ("%d/%m/%Y %H:%M", "day first"),
    ("%m/%d/%Y %H:%M", "month first"),
    ("%d/%m/%y", "day first"),
    ("%m/%d/%y", "month first"),
    ("%d.%m.%Y", "day first"),
    ("%d.%m.%Y %H:%M", "day first"),
    ("%d-%m-%Y", "day first"),
    ("%m-%d-%Y", "month first"),
    ("%Y/%m/%d", "year first"),
    ("%Y/%m/%d %H:%M", "year first"),
    ("%Y/%m", "year first"),
    ("%Y-%m-%d", "year first"),
    ("%Y-%m", "year first"),
    ("%Y.%m.%d", "year first"),
    ("%Y%m%d", "year first"),
    ("%b %Y", "month names"),
    ("%B %Y", "month names"),
    ("%b-%Y", "month names"),
    ("%b-%y", "month names"),
    ("%d %b %Y", "month names"),
    ("%d-%b-%Y", "month names"),
    ("%B %d, %Y", "month names"),
    ("%b %d, %Y", "month names"),
)
_READABLE = 'Write times as "2024-01", "2024-01-31" or "2024-01-31 05:00", or pass time_format, for example "%d/%m/%Y".'


class Times(NamedTuple):
    """Times `[row]` as int64 or datetime64[us]; `aware` is True if they carried UTC offsets and are now in UTC."""

    values: NDArray[Any]
    aware: bool


def row_place(row: int) -> str:
    """The place of a row that came from memory; rows count from 0."""
    return f"row {row}"


def time_text(times: NDArray[Any]) -> list[str]:
    """Times `[time]` as text: dates without a clock if all are at midnight, else down to the smallest part in use."""
    if times.dtype.kind != "M":
        return [str(int(t)) for t in times]
    us = times.astype("datetime64[us]").astype(np.int64)
    sizes: dict[Literal["D", "m", "s", "us"], int] = {"D": 86_400_000_000, "m": 60_000_000, "s": 1_000_000, "us": 1}
    unit = next(unit for unit, size in sizes.items() if not np.any(us % size))
    texts: list[str] = np.datetime_as_string(times, unit=unit).tolist()
    return [text.replace("T", " ") for text in texts]


def read_times(
    column: Sequence[Any] | NDArray[Any], *, name: str = "ds", time_format: str | None = None, place: Place = row_place
) -> Times:
    """Read a column of times `[row]`.

    Args:
        column: ISO text, quarters ("2020Q1"), datetime or date objects, datetime64 of any unit, or whole numbers.
        name: Column name for messages.
        time_format: A `strptime` pattern for text in another form; None reads ISO forms only.
        place: Turns a row number into a place for messages.

    Raises:
        DataError: `time` (missing, unreadable, outside the years 1 to 9999) or `timezone` (some with offset, some not).
    """
    if isinstance(column, np.ndarray) and column.ndim == 1 and column.dtype.kind in "Miufbcm":
        if time_format is None or column.dtype.kind not in "iu":
            return _from_array(column, name, place)
        column = [str(value) for value in column.tolist()]
    items = list(column)
    kinds = {type(item) for item in items}
    if kinds <= {str, np.str_}:
        return _from_text([item.strip() for item in items], name, time_format, place)
    missing = [i for i, item in enumerate(items) if item is None or item != item]
    if missing:
        raise _missing(missing, name, place)
    if all(issubclass(kind, dt.date) for kind in kinds):
        return _from_objects(items, name, place)
    if all(issubclass(kind, np.datetime64) for kind in kinds):
        return _from_array(np.array([item.astype("datetime64[us]") for item in items]), name, place)
    if all(issubclass(kind, (int, float, np.integer, np.floating)) and kind is not bool for kind in kinds) and any(
        issubclass(kind, (float, np.floating)) for kind in kinds
    ):
        return _from_array(np.array(items, dtype=np.float64), name, place)
    if all(issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds):
        if time_format is not None:
            return _from_text([str(item) for item in items], name, time_format, place)
        return _from_array(_whole(items, name, place), name, place)
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise DataError(
        f"all times in column {name!r} must be of one kind (text, dates or whole numbers)",
        got=f"values of type {names}",
        fix="Convert the column to one of them.",
        code="time",
    )


def _from_array(column: NDArray[Any], name: str, place: Place) -> Times:
    kind = column.dtype.kind
    if kind == "M":
        return Times(_microseconds(column, name, place), aware=False)
    if kind in "iu":
        return Times(_integers(column, name, place), aware=False)
    if kind == "f":
        absent = np.flatnonzero(np.isnan(column))
        if absent.size:
            raise _missing(absent.tolist(), name, place)
        wrong = np.flatnonzero(~(np.abs(column) < 2**53) | (column != np.round(column)))
        if not wrong.size:
            return Times(_integers(column.astype(np.int64), name, place), aware=False)
        got, at = f"{float(column[wrong[0]])!r}", [place(int(i)) for i in wrong[:5]]
        count: int | None = int(wrong.size)
    else:
        got, at, count = f"values of type {column.dtype}", [], None
    raise DataError(
        f"times in column {name!r} must be dates, text or whole numbers",
        got=got,
        fix="Convert the column to dates, or to steps 0, 1, 2 and so on.",
        where=at,
        count=count,
        code="time",
    )


def _whole(items: list[Any], name: str, place: Place) -> NDArray[np.int64]:
    big = [i for i, item in enumerate(items) if not -(2**63) <= int(item) < 2**63]
    if big:
        raise _unreadable([str(items[i]) for i in big], big, name, place)
    return np.array([int(item) for item in items], dtype=np.int64)


def _integers(column: NDArray[Any], name: str, place: Place) -> NDArray[np.int64]:
    if column.dtype.kind == "u" and column.size and int(column.max()) >= 2**63:
        raise _unreadable([str(column.max())], [int(column.argmax())], name, place)
    values = column.astype(np.int64)
    if values.size and np.all((values >= 10_000_101) & (values <= 99_991_231)):
        month, day = values // 100 % 100, values % 100
        if np.all((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)):
            raise DataError(
                f"whole numbers in the time column {name!r} must be steps or years",
                got=f"{values[0]}, which looks like a date",
                fix='Pass time_format="%Y%m%d" to read them as dates.',
                where=place(0),
                count=int(values.size),
                code="time",
            )
    return values


def _microseconds(column: NDArray[Any], name: str, place: Place) -> NDArray[Any]:
    absent = np.flatnonzero(np.isnat(column))
    if absent.size:
        raise _missing(absent.tolist(), name, place)
    years = column.astype("datetime64[Y]").astype(np.int64) + 1970
    outside = np.flatnonzero((years < 1) | (years > 9999))
    if outside.size:
        raise DataError(
            f"times in column {name!r} must lie in the years 1 to 9999",
            got=f"the year {years[outside[0]]}",
            fix="Correct these times.",
            where=[place(int(i)) for i in outside[:5]],
            count=int(outside.size),
            code="time",
        )
    times = column.astype("datetime64[us]")
    if np.datetime_data(column.dtype)[0] in ("ns", "ps", "fs", "as"):
        lost = np.flatnonzero(times.astype(column.dtype) != column)
        if lost.size:
            raise DataError(
                f"times in column {name!r} must be whole microseconds",
                got=str(column[lost[0]]),
                fix='Round them first, for example with .astype("datetime64[us]").',
                where=[place(int(i)) for i in lost[:5]],
                count=int(lost.size),
                code="time",
            )
    return times


def _from_objects(items: list[Any], name: str, place: Place) -> Times:
    walls, shifts, aware = [], [], []
    for item in items:
        offset = item.utcoffset() if isinstance(item, dt.datetime) else None
        aware.append(offset is not None)
        shifts.append(offset or dt.timedelta(0))
        walls.append(dt.datetime(item.year, item.month, item.day) if not isinstance(item, dt.datetime) else item)
    wall = np.array([w.replace(tzinfo=None) for w in walls], dtype="datetime64[us]")
    return _to_utc(wall, np.array(shifts, dtype="timedelta64[us]"), np.array(aware, dtype=bool), name, place)


def _to_utc(wall: NDArray[Any], shift: NDArray[Any], aware: NDArray[np.bool_], name: str, place: Place) -> Times:
    """One clock for all times `[row]`: UTC, except that pure local dates stay the dates they are."""
    if aware.any() and not aware.all():
        few = np.flatnonzero(aware if aware.sum() <= aware.size / 2 else ~aware)
        which = "with" if aware.sum() <= aware.size / 2 else "without"
        raise DataError(
            f"all times in column {name!r} must have a UTC offset, or none",
            got=f"{few.size} of {aware.size} times {which} an offset",
            fix="Write the offset (Z or +hh:mm) for all of them, or drop it for all.",
            where=[place(int(i)) for i in few[:5]],
            count=int(few.size),
            code="timezone",
        )
    if not aware.any() or not np.any(wall.astype(np.int64) % 86_400_000_000):
        return Times(_microseconds(wall, name, place), aware=False)
    return Times(_microseconds(wall - shift, name, place), aware=True)


def _from_text(items: list[str], name: str, time_format: str | None, place: Place) -> Times:
    position: dict[str, int] = {}
    inverse = np.fromiter((position.setdefault(item, len(position)) for item in items), np.int64, len(items))
    distinct = list(position)
    first: NDArray[np.int64] = np.unique(inverse, return_index=True)[1] if items else inverse
    blank = [i for i, text in enumerate(distinct) if text.lower() in ("", "na", "nan", "nat", "null", "none")]
    if blank:
        raise _missing(np.flatnonzero(np.isin(inverse, blank)).tolist(), name, place)

    def at(which: int) -> str:
        return place(int(first[which]))

    read = _by_format(distinct, name, time_format, at) if time_format is not None else _iso(distinct, name, at)
    return Times(read.values[inverse], read.aware)


def _by_format(texts: list[str], name: str, time_format: str, place: Place) -> Times:
    if not any(code in time_format for code in ("%Y", "%y", "%G")):
        raise ArgumentError(
            "time_format must contain the year (%Y or %y)",
            got=repr(time_format),
            fix='Pass a strptime pattern such as "%d/%m/%Y".',
            code="time_format",
        )
    read, bad = [], []
    for i, text in enumerate(texts):
        try:
            read.append(dt.datetime.strptime(text, time_format))
        except ValueError as error:
            if "directive" in str(error) or "stray" in str(error) or "ISO" in str(error):
                raise ArgumentError(
                    "time_format must be a strptime pattern",
                    got=f"{time_format!r}: {error}",
                    fix='Pass a pattern such as "%d/%m/%Y".',
                    code="time_format",
                ) from None
            bad.append(i)
    if bad:
        raise _unreadable([texts[i] for i in bad], bad, name, place, rule=f"have the form {time_format!r}")
    return _from_objects(read, name, place)


def _iso(texts: list[str], name: str, place: Place) -> Times:
    iso = re.compile(_ISO, re.ASCII)
    found = [iso.fullmatch(text) for text in texts]
    bad = [i for i, match in enumerate(found) if match is None]
    if bad:
        raise _unreadable([texts[i] for i in bad], bad, name, place)
    matches = [match for match in found if match is not None]
    whole = [i for i, match in enumerate(matches) if match["int"]]
    if len(whole) == len(matches):
        return Times(_integers(np.array([int(text) for text in texts], dtype=np.int64), name, place), aware=False)
    if whole:
        raise _unreadable([texts[i] for i in whole], whole, name, place, rule="be all dates or all whole numbers")
    bodies = [m["body"] or f"{m['year']}-{3 * int(m['quarter']) - 2:02}" for m in matches]
    try:
        wall = np.array(bodies, dtype="datetime64[us]")
    except ValueError:
        impossible = [i for i, body in enumerate(bodies) if not _is_date(body)]
        raise _unreadable(
            [texts[i] for i in impossible],
            impossible,
            name,
            place,
            rule="be days and hours that exist",
        ) from None
    zones = [m["zone"] for m in matches]
    if not any(zones):
        return Times(_microseconds(wall, name, place), aware=False)
    minutes = {zone: _minutes(zone) for zone in set(zones)}
    shift = np.array([minutes[zone] for zone in zones], dtype="timedelta64[m]")
    return _to_utc(wall, shift, np.array([zone is not None for zone in zones]), name, place)


def _minutes(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    return (1 if zone[0] == "+" else -1) * (60 * int(zone[1:3]) + int(zone[-2:]))


def _is_date(body: str) -> bool:
    try:
        np.datetime64(body, "us")
    except ValueError:
        return False
    return True


def _missing(rows: list[int], name: str, place: Place) -> DataError:
    return DataError(
        f"every row must have a time in column {name!r}",
        got="an empty one",
        fix="Fill in the times or remove these rows.",
        where=[place(i) for i in rows[:5]],
        count=len(rows),
        code="time",
    )


def _unreadable(texts: list[str], at: list[int], name: str, place: Place, rule: str = "be ISO dates") -> DataError:
    fits = [(pattern, how) for pattern, how in _GUESSES if all(_fits(text, pattern) for text in texts[:200])]
    if len(fits) >= 2 and fits[0][1] != fits[1][1]:
        fix = "Say which is meant: " + ", or ".join(f'time_format="{p}" ({how})' for p, how in fits[:2]) + "."
    elif fits and rule == "be ISO dates":
        fix = f'Pass time_format="{fits[0][0]}".'
    else:
        fix = _READABLE
    return DataError(
        f"times in column {name!r} must {rule}",
        got=repr(texts[0][:80]),
        fix=fix,
        where=[place(i) for i in at[:5]],
        count=len(texts),
        code="time",
    )


def _fits(text: str, pattern: str) -> bool:
    try:
        dt.datetime.strptime(text, pattern)
    except ValueError:
        return False
    return True
