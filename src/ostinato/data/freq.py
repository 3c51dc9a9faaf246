"""The step between two times of a series, and the calendar arithmetic that follows from it.

Every frequency numbers its grid: a time is split into (index, residue), where consecutive grid times have consecutive
indices and times of one grid share the residue (the day of the month, the hour of the day …). Steps, gaps and future
times are then plain integer arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.data.times import time_text
from ostinato.errors import ArgumentError, DataError

_DAY = 86_400_000_000
_FIXED = {"W": 7 * _DAY, "D": _DAY, "h": 3_600_000_000, "min": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
_ALIAS = {
    **{alias: ("us", size) for alias, size in _FIXED.items()},
    "d": ("us", _DAY),
    "w": ("us", 7 * _DAY),
    "H": ("us", _FIXED["h"]),
    "T": ("us", _FIXED["min"]),
    "m": ("us", _FIXED["min"]),
    "S": ("us", _FIXED["s"]),
    "L": ("us", 1_000),
    "U": ("us", 1),
    "MS": ("month", 1),
    "mo": ("month", 1),
    "QS": ("month", 3),
    "q": ("month", 3),
    "YS": ("month", 12),
    "AS": ("month", 12),
    "y": ("month", 12),
    "ME": ("month_end", 1),
    "M": ("month_end", 1),
    "QE": ("month_end", 3),
    "Q": ("month_end", 3),
    "YE": ("month_end", 12),
    "Y": ("month_end", 12),
    "A": ("month_end", 12),
    "B": ("business", 1),
    "": ("step", 1),
}
_PATTERN = re.compile(r"(\d*)([A-Za-z]*)(?:-[A-Z]{3})?", re.ASCII)
_MONTH = np.timedelta64(1, "M")
_LAST = int(np.datetime64("9999-12-31T23:59:59.999999", "us").astype(np.int64))
_MONTH_SPAN = 64 * _DAY


class Gap(NamedTuple):
    """A range of absent times: the first one, the last one, and how many."""

    first: Any
    last: Any
    n: int


class Grid(NamedTuple):
    """Times `[time]` as grid numbers and residues, both int64; a residue of -1 means "never on this grid"."""

    number: NDArray[np.int64]
    residue: NDArray[np.int64]


@lean_dataclass(frozen=True)
class Freq:
    """The step of a series. `str(freq)` and `Freq.parse` are each other's inverse.

    Months keep the day (up to the 28th) and the clock of the time they count from, month ends stay month ends; business
    days are Monday to Friday without holidays.

    Args:
        unit: "step" for whole numbers, "us" for a fixed length of time, "month", "month_end" or "business" (days).
        n: How many units one step has, at least 1.
    """

    unit: Literal["step", "us", "month", "month_end", "business"]
    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ArgumentError("n of a Freq must be at least 1", got=str(self.n), fix="Pass a positive whole number.")

    @classmethod
    def parse(cls, alias: str) -> Freq:
        """Read an alias: "MS", "ME", "QS", "QE", "YS", "YE", "W", "D", "B", "h", "min", "s", "15min", "1" (integers).

        The aliases of pandas and polars are understood. A weekday or month after a dash ("W-SUN") is accepted and
        has no effect: the data say on which day the weeks or years begin.

        Raises:
            ArgumentError: `freq`, the alias is not known.
        """
        match = _PATTERN.fullmatch(alias.strip())
        known = _ALIAS.get(match[2]) if match and (match[1] or match[2]) else None
        if match is None or known is None or int(match[1] or 1) < 1:
            raise ArgumentError(
                "freq must be a known alias",
                got=repr(alias),
                fix='Pass one of "h", "D", "B", "W", "MS", "ME", "QS", "QE", "YS", "YE", "min", "s", with a number '
                'before it if needed ("15min"), or "1" for whole numbers as time.',
                code="freq",
            )
        unit, size = known
        return cls(unit, size * int(match[1] or 1))  # type: ignore[arg-type]

    @classmethod
    def infer(cls, times: NDArray[Any] | Sequence[NDArray[Any]]) -> Freq:
        """The most common step of one or several series of sorted times; of two equally common ones the smaller.

        Month and month-end steps are found when most times share their place in the month, business days when there is
        no Saturday or Sunday but a weekend was crossed.

        Raises:
            DataError: `short`, when no series has two different times.
        """
        parts = [times] if isinstance(times, np.ndarray) else list(times)
        if not any(part.size for part in parts):
            raise _too_short()
        flat = np.concatenate(parts)
        ends = np.cumsum([part.size for part in parts])[:-1]
        inside = np.ones(max(flat.size - 1, 0), dtype=bool)
        inside[ends[(ends > 0) & (ends < flat.size)] - 1] = False
        ticks = flat.astype(np.int64)
        steps = np.diff(ticks)
        inside &= steps > 0
        if not inside.any():
            raise _too_short()
        step = _mode(steps[inside])
        if flat.dtype.kind != "M":
            return cls("step", step)
        if step >= 28 * _DAY:
            monthly = _monthly(flat, inside)
            if monthly is not None:
                return monthly
        days = ticks // _DAY
        weekday = (days + 3) % 7
        if step == _DAY and np.all(weekday < 5) and np.any(np.diff(days)[inside] >= 3):
            return cls("business", 1)
        return cls("us", step)

    def __str__(self) -> str:
        if self.unit == "step":
            return str(self.n)
        if self.unit == "business":
            return _alias(self.n, "B")
        if self.unit == "us":
            name, size = next((name, size) for name, size in _FIXED.items() if self.n % size == 0)
            return _alias(self.n // size, name)
        end = "S" if self.unit == "month" else "E"
        name, size = next((name, size) for name, size in (("Y", 12), ("Q", 3), ("M", 1)) if self.n % size == 0)
        return _alias(self.n // size, name + end)

    @property
    def season(self) -> int:
        """The usual number of steps in a season: a day for hours, a week for days, a year for weeks and more."""
        if self.unit in ("month", "month_end"):
            return 12 // self.n if 12 % self.n == 0 else 1
        if self.unit == "business":
            return 5 if self.n == 1 else 1
        if self.unit == "step":
            return 1
        if self.n % (7 * _DAY) == 0:
            return max(52 * 7 * _DAY // self.n, 1)
        if self.n >= _DAY:
            return 7 if self.n == _DAY else 1
        cycle = _DAY if self.n >= 60_000_000 else 60_000_000 if self.n >= 1_000_000 else 1_000_000
        return cycle // self.n if cycle % self.n == 0 else 1

    def split(self, times: NDArray[Any]) -> Grid:
        """Grid numbers and residues of times `[time]`."""
        ticks = times.astype(np.int64)
        if self.unit in ("step", "us"):
            return Grid(ticks // self.n, ticks % self.n)
        if self.unit == "business":
            week, weekday = np.divmod(ticks // _DAY + 3, 7)
            index = week * 5 + weekday
            residue = index % self.n * _DAY + ticks % _DAY
            return Grid(index // self.n, np.where(weekday < 5, residue, -1))
        month = times.astype("datetime64[M]")
        number = month.astype(np.int64)
        if self.unit == "month":
            offset = ticks - month.astype("datetime64[us]").astype(np.int64)
            offset = np.where(offset < 28 * _DAY, offset, -1)
        else:
            last = (month + _MONTH).astype("datetime64[us]").astype(np.int64) - _DAY
            offset = np.where(ticks >= last, ticks - last, -1)
        residue = number % self.n * _MONTH_SPAN + offset
        return Grid(number // self.n, np.where(offset < 0, -1, residue))

    def join(self, grid: Grid, *, like: NDArray[Any]) -> NDArray[Any]:
        """The times of a grid, the inverse of `split`; `like` says whether they are dates or whole numbers."""
        index, residue = grid
        if self.unit in ("step", "us"):
            ticks: NDArray[Any] = index * self.n + residue
            return ticks.astype(like.dtype)
        if self.unit == "business":
            week, weekday = np.divmod(index * self.n + residue // _DAY, 5)
            return ((week * 7 + weekday - 3) * _DAY + residue % _DAY).astype("datetime64[us]")
        month: NDArray[Any] = (index * self.n + residue // _MONTH_SPAN).astype("datetime64[M]")
        offset = (residue % _MONTH_SPAN).astype("timedelta64[us]")
        if self.unit == "month_end":
            month, offset = month + _MONTH, offset - np.timedelta64(_DAY, "us")
        times: NDArray[Any] = month.astype("datetime64[us]") + offset
        return times

    def next(self, last: Any, n: int) -> NDArray[Any]:
        """The `n` times `[n]` after `last`; raises as `ahead`."""
        times: NDArray[Any] = self.ahead(np.atleast_1d(np.asarray(last))[:1], n)[0]
        return times

    def ahead(self, last: NDArray[Any], n: int) -> NDArray[Any]:
        """The `n` times `[series, n]` after each of `last [series]`.

        Raises:
            DataError: `freq`, one of `last` cannot be on this grid; `time`, a time would pass the year 9999.
        """
        start = last.astype("datetime64[us]") if last.dtype.kind == "M" else last
        self.check_kind(start)
        grid = self.split(start)
        off = np.flatnonzero(grid.residue == -1)
        if off.size:
            raise DataError(
                f"the last time must be on the grid {str(self)!r}",
                got=time_text(start[off[:1]])[0],
                fix="Correct the time or pass another freq.",
                code="freq",
            )
        size = {"us": self.n, "step": self.n, "business": _DAY * self.n}.get(self.unit, 28 * _DAY * self.n)
        limit = _LAST if start.dtype.kind == "M" else 2**63 - 1
        latest = int(start.astype(np.int64).max(initial=0))
        if latest + n * size <= limit:
            numbers = grid.number[:, None] + np.arange(1, n + 1)
            times = self.join(Grid(numbers, np.repeat(grid.residue[:, None], n, axis=1)), like=start)
            if int(times.astype(np.int64).max(initial=0)) <= limit:
                return times
        raise DataError(
            "times must stay before the year 10000" if start.dtype.kind == "M" else "times must stay below 2**63",
            got=f"{n} steps of {self} after {time_text(start.max(keepdims=True))[0]}",
            fix="Ask for fewer steps or check the last time.",
            code="time",
        )

    def missing(self, times: NDArray[Any]) -> tuple[Gap, ...]:
        """The ranges that are absent between the first and the last of sorted times `[time]`.

        Raises:
            DataError: `irregular`, some times are not on the grid that most of them share.
        """
        self.check_kind(times)
        if times.size == 0:
            return ()
        grid = self.split(times)
        phase = _mode(grid.residue)
        off = np.flatnonzero((grid.residue != phase) | (grid.residue == -1))
        if off.size:
            raise DataError(
                f"times must be {self} apart",
                got=f"{off.size} between the steps",
                fix="Correct them or pass another freq.",
                where=time_text(times[off[:5]]),
                count=int(off.size),
                code="irregular",
            )
        holes = np.flatnonzero(np.diff(grid.number) > 1)
        edge = [np.array([phase])]
        gaps = []
        for i in holes:
            first = self.join(Grid(grid.number[[i]] + 1, edge[0]), like=times)[0]
            last = self.join(Grid(grid.number[[i + 1]] - 1, edge[0]), like=times)[0]
            gaps.append(Gap(first, last, int(grid.number[i + 1] - grid.number[i] - 1)))
        return tuple(gaps)

    def check_kind(self, times: NDArray[Any]) -> None:
        """Raise `DataError` (`freq`) if dates meet a whole-number step or the reverse."""
        if (times.dtype.kind == "M") == (self.unit == "step"):
            what = "dates" if times.dtype.kind == "M" else "whole numbers"
            raise DataError(
                f"freq {str(self)!r} must suit the times",
                got=f"times that are {what}",
                fix='Pass an alias such as "MS" or "D".'
                if what == "dates"
                else 'Pass freq="1", or give dates as time.',
                code="freq",
            )


def _mode(values: NDArray[np.int64]) -> int:
    distinct, counts = np.unique(values, return_counts=True)
    return int(distinct[counts.argmax()])


def _monthly(times: NDArray[Any], inside: NDArray[np.bool_]) -> Freq | None:
    """A month or month-end step if most times share their place in the month."""
    month = times.astype("datetime64[M]")
    from_start = times.astype(np.int64) - month.astype("datetime64[us]").astype(np.int64)
    from_end = times.astype(np.int64) - (month + _MONTH).astype("datetime64[us]").astype(np.int64) + _DAY
    best: Literal["month", "month_end"] | None = None
    share = times.size / 2
    for unit, offset in (("month_end", from_end[from_end >= 0]), ("month", from_start[from_start < 28 * _DAY])):
        if offset.size:
            count = int(np.unique(offset, return_counts=True)[1].max())
            if count > share:
                best, share = unit, count  # type: ignore[assignment]
    if best is None:
        return None
    number: NDArray[np.int64] = month.astype(np.int64)
    steps = (number[1:] - number[:-1])[inside]
    return Freq(best, _mode(steps[steps > 0])) if np.any(steps > 0) else None


def _alias(n: int, name: str) -> str:
    return name if n == 1 else f"{n}{name}"


def _too_short() -> DataError:
    return DataError(
        "at least one series must have two different times, so that the step is known",
        got="none",
        fix='Give more rows, or pass freq, for example freq="MS".',
        code="short",
    )
