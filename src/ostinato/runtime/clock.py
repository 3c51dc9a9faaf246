"""The times of a series that grows value by value, checked as the reader checks those of a whole table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.data import Freq
from ostinato.data.freq import Grid
from ostinato.data.times import read_times, time_text
from ostinato.errors import DataError, OstinatoError

_DAY = 86_400_000_000
_SIGNS = (" +", " -", " Z")


class Tick(NamedTuple):
    """A clock that has moved on to a value, and how many steps of the grid are absent before that value."""

    clock: Clock
    absent: int


class Moved(NamedTuple):
    """The times of values `[series, time]` as whole numbers, and whether they are known."""

    last: NDArray[np.int64]
    timed: NDArray[np.bool_]


class Given(NamedTuple):
    """Times `[n]` as whole numbers, and whether they had UTC offsets."""

    moments: NDArray[np.int64]
    aware: NDArray[np.bool_]


@lean_dataclass(frozen=True, eq=False)
class Clock:
    """Where in time a series stands; it never changes, moving on makes another one.

    Args:
        freq: The step.
        column: Name of the column of times, for messages.
        time_format: A `strptime` pattern for times that are text; None for ISO forms.
        gaps: What absent times are: "raise", "fill" or "as-is", see `ostinato.data.Cleaning`.
        series: Name of the series, for messages; empty for none.
        last: `[1]`, the time of the last value; None if no time is known.
        aware: Whether the times had UTC offsets; None before the first one.
    """

    freq: Freq
    column: str
    time_format: str | None
    gaps: str
    series: str = ""
    last: NDArray[Any] | None = None
    aware: bool | None = None

    def next(self, time: Any, steps: int) -> Tick:
        """Move on to a value.

        Args:
            time: When it was, in any form that `ostinato.data.read_times` reads; None for the step after the last one.
                A series without any time counts its steps from 0 if the model counts steps.
            steps: How many steps the series has made.

        Raises:
            DataError: `time` or `timezone`, it cannot be read; `freq` or `irregular`, it is not on the grid;
                `duplicate` or `order`, it is not after the last one; `gap`, steps are absent.
        """
        if time is None:
            return Tick(replace(self, last=self._after()), 0)
        moment, aware = self._read(time)
        absent = self._absent(moment, steps)
        return Tick(replace(self, last=moment, aware=aware), absent)

    def onward(self, last: NDArray[np.int64], timed: NDArray[np.bool_], n: int) -> Moved:
        """Move series on to `n` values without times, as `next` does; all arguments of it are `[series]`.

        Args:
            last: The time of their last values, as whole numbers.
            timed: Whether it is known.
            n: How many values come.

        Raises:
            DataError: As for `next`.
        """
        found, counted = np.zeros((len(last), n), np.int64), self.freq.unit == "step"
        if counted:
            found = self.freq.ahead(np.where(timed, last, -self.freq.n), n)
        elif timed.any():
            found[timed] = self.freq.ahead(self.times(last[timed]), n).astype(np.int64)
        return Moved(found, np.repeat((timed | counted)[:, None], n, axis=1))

    def read_all(self, given: Sequence[Any]) -> Given | None:
        """Times as whole numbers; None if one of them must be read by itself, as `next` does."""
        moved = [_in_utc(time) for time in given]
        try:
            own = [one[0] for one in moved] if self._within_days else list(given)
            times = read_times(own, name=self.column, time_format=self.time_format)
        except OstinatoError:
            return None
        if times.aware or times.values.dtype.kind != "M" or self.freq.unit == "step":
            return None
        return Given(times.values.astype(np.int64), np.array([one[1] for one in moved], bool))

    def follows(
        self, last: NDArray[np.int64], timed: NDArray[np.bool_], moments: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Whether each of `moments [n]` is the step after `last [n]`, or the first one where no time is known."""
        later: NDArray[np.bool_] = ~timed | (moments > last)
        if self.gaps == "as-is":
            return later
        here, before = (self.freq.split(self.times(one)) for one in (moments, np.where(timed, last, moments)))
        on: NDArray[np.bool_] = (here.residue != -1) & (here.residue == before.residue)
        return later & on & (here.number - before.number <= 1)

    def times(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """Whole numbers as the times that they stand for."""
        return numbers if self.freq.unit == "step" else numbers.astype("datetime64[us]")

    def _after(self) -> NDArray[Any] | None:
        if self.last is None:
            return np.zeros(1, np.int64) if self.freq.unit == "step" else None
        return self.freq.next(self.last, 1)

    def _read(self, time: Any) -> tuple[NDArray[Any], bool]:
        moved, aware = _in_utc(time) if self._within_days else (time, False)
        try:
            times = read_times([moved], name=self.column, time_format=self.time_format, place=self._place)
            self.freq.check_kind(times.values)
        except DataError as error:  # whose advice is for tables that are read anew
            raise DataError(
                error.rule, got=error.got, where=error.where, count=error.count, code=error.code, fix=self._form()
            ) from None
        aware = aware or times.aware or _has_zone(time)
        if self.aware not in (None, aware):
            raise DataError(
                f"all times in column {self.column!r} must have a UTC offset, or none",
                got=f"{time!r:.60} after times {'with' if self.aware else 'without'} one",
                fix="Write the offset (Z or +hh:mm) for all of them, or drop it for all.",
                where=self._where(),
                code="timezone",
            )
        return times.values, aware

    def _form(self) -> str:
        """How a time is to be written, as advice."""
        form = f"Write it in the form {self.time_format!r}"
        if self.freq.unit == "step":
            form = "Count on in whole numbers"
        elif self.time_format is None:
            form = 'Write it as "2024-01", "2024-01-31" or "2024-01-31 05:00"'
        return f"{form}, as in training, or leave {self.column!r} out for the next step."

    @property
    def _within_days(self) -> bool:
        """Whether steps may lie within a day, so that a midnight with an offset is a moment and not a date."""
        return self.freq.unit == "us" and self.freq.n % _DAY != 0

    def _absent(self, moment: NDArray[Any], steps: int) -> int:
        if self.last is not None and moment[0] <= self.last[0]:
            twice = moment[0] == self.last[0]
            raise DataError(
                "every value of a stream must be later than the one before it",
                got=f"{time_text(moment)[0]} after {time_text(self.last)[0]}",
                fix="Pass only what came after it: a stream cannot take a step back.",
                where=self._where(),
                code="duplicate" if twice else "order",
            )
        if self.gaps == "as-is":
            return 0
        here = self.freq.split(moment)
        before = here if self.last is None else self.freq.split(self.last)
        if here.residue[0] == -1 or here.residue[0] != before.residue[0]:
            raise DataError(
                f"times must be {self.freq} apart",
                got=f"{time_text(moment)[0]}" + ("" if self.last is None else f" after {time_text(self.last)[0]}"),
                fix="Correct the time, or train with gaps='as-is'.",
                where=self._where(),
                code="irregular",
            )
        absent = int(here.number[0] - before.number[0]) - 1
        if absent > 0 and (self.gaps == "raise" or absent > 10 * steps + 1000):
            raise self._gap(here, absent)
        return max(absent, 0)

    def _gap(self, here: Grid, absent: int) -> DataError:
        assert self.last is not None
        first = self.freq.next(self.last, 1)
        last = self.freq.join(Grid(here.number - 1, here.residue), like=first)
        span = time_text(first) if absent == 1 else [f"{time_text(first)[0]} to {time_text(last)[0]}"]
        few = self.gaps == "raise"
        return DataError(
            f"no step may be absent (freq {str(self.freq)!r})"
            if few
            else "gaps must not be more than ten times the steps, plus 1000, to be filled",
            got=f"a gap of {absent:,}",
            fix="Pass the absent values, or train with gaps='fill'." if few else "Look for a wrong date.",
            where=[", ".join([*self._where(), *span])],
            code="gap",
        )

    def _where(self) -> list[str]:
        return [f"series {self.series!r}"] if self.series else []

    def _place(self, row: int) -> str:
        return f"series {self.series!r}" if self.series else "the value given"


def _in_utc(time: Any) -> tuple[Any, bool]:
    """A time with a UTC offset as one in UTC without it, and whether it had one; others as they are."""
    moment = time
    if isinstance(time, str):
        text = time.strip()
        for sign in _SIGNS:
            text = text.replace(sign, sign[1:])
        with suppress(ValueError):
            moment = dt.datetime.fromisoformat(text)
    if isinstance(moment, dt.datetime) and moment.utcoffset() is not None:
        with suppress(OverflowError):
            return moment.astimezone(dt.UTC).replace(tzinfo=None), True
    return time, False


def _has_zone(time: Any) -> bool:
    """Whether a time that is only a date had an offset."""
    return _in_utc(time)[1]
