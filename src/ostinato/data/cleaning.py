"""Duplicates, gaps and missing values: found with their places, then refused or treated as asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.data.freq import Freq, Grid
from ostinato.data.times import time_text
from ostinato.errors import ArgumentError, DataError

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_Missing = Literal["raise", "mask", "interpolate", "ffill", "drop"]
_Duplicates = Literal["raise", "mean", "last"]
_Gaps = Literal["raise", "fill", "as-is"]


@lean_dataclass(frozen=True)
class Cleaning:
    """What to do with imperfect tables. The defaults refuse everything that would need a guess.

    Args:
        missing: Missing values: "raise"; "mask" (fill with the last value, leading ones with the first, and mark them
            as not observed); "interpolate" (on a straight line over steps, flat at the ends); "ffill" (the last
            value, leading ones are an error); "drop" (remove these steps). Interpolated and "ffill" values count as
            observed.
        duplicates: Rows with the same series and time: "raise", "mean" of them, or the "last" in the table's order.
        gaps: Absent times: "raise"; "fill" (insert the steps, then treat them as missing; masked if `missing` is
            "raise"); "as-is" (take the rows as consecutive steps; times may then be irregular).
        delimiter: The CSV delimiter; by default it is found in the header.
        decimal: The decimal mark of numbers in text: "." or ",".
    """

    missing: _Missing = "raise"
    duplicates: _Duplicates = "raise"
    gaps: _Gaps = "raise"
    delimiter: str | None = None
    decimal: str = "."

    def check(self) -> None:
        """Raise `ArgumentError` if an option has no such value, or two contradict each other."""
        for name, value, known in (
            ("missing", self.missing, get_args(_Missing)),
            ("duplicates", self.duplicates, get_args(_Duplicates)),
            ("gaps", self.gaps, get_args(_Gaps)),
            ("decimal", self.decimal, (".", ",")),
        ):
            if value not in known:
                options = ", ".join(map(repr, known))
                raise ArgumentError(f"{name} must be one of {options}", got=repr(value), fix=f"Pass one of {options}.")
        if self.gaps == "fill" and self.missing == "drop":
            raise ArgumentError(
                'gaps="fill" needs values for the inserted steps',
                got='missing="drop"',
                fix='Use missing="mask".',
            )
        if self.delimiter is not None and self.delimiter == self.decimal:
            raise ArgumentError(
                "delimiter and decimal must differ", got=repr(self.decimal), fix='Pass for example delimiter=";".'
            )


@lean_dataclass(frozen=True, eq=False)
class Rows:
    """A long table as flat arrays, sorted by series and time once `ordered` was called.

    Args:
        ids: Names of the series `[series]`.
        names: Column of the values of each series `[series]`, for messages.
        codes: Which series `[row]`.
        times: When `[row]`.
        values: What, NaN if missing `[row]`.
        origin: Row number in the source `[row]`, -1 for inserted steps.
        place: Turns a row number of the source into its place.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    codes: NDArray[np.int64]
    times: NDArray[Any]
    values: NDArray[np.float64]
    origin: NDArray[np.int64]
    place: Callable[[int], str]

    def take(self, chosen: NDArray[Any]) -> Rows:
        """The rows at these positions, or where a mask is True."""
        return replace(
            self,
            codes=self.codes[chosen],
            times=self.times[chosen],
            values=self.values[chosen],
            origin=self.origin[chosen],
        )

    def ordered(self) -> Rows:
        """Sorted by series, then time; rows that are equal in both keep their order."""
        return self.take(np.lexsort((self.times, self.codes)))

    def tell(self, rows: NDArray[Any]) -> list[str]:
        """Where the first five of these rows are: place, column, series and time."""
        told = []
        for row in rows[:5]:
            code, line = int(self.codes[row]), int(self.origin[row])
            parts = [] if line < 0 else [self.place(line)]
            parts += [f"column {self.names[code]!r}"] if self.names[code] != self.ids[code] else []
            parts += [f"series {self.ids[code]!r}", time_text(self.times[[row]])[0]]
            told.append(", ".join(parts))
        return told

    def by_series(self) -> list[NDArray[Any]]:
        """The times of each series, in the order of the rows."""
        return list(np.split(self.times, np.flatnonzero(~self.same_as_next) + 1))

    @property
    def same_as_next(self) -> NDArray[np.bool_]:
        """True `[row - 1]` where a row and the next belong to one series."""
        same: NDArray[np.bool_] = self.codes[1:] == self.codes[:-1]
        return same


def check_finite(rows: Rows) -> None:
    """Refuse infinite values (`nonfinite`) and values beyond float32 (`overflow`), in which models compute."""
    size = np.abs(rows.values)
    infinite = np.flatnonzero(np.isinf(size))
    if infinite.size:
        raise DataError(
            "values must be finite",
            got=str(rows.values[infinite[0]]),
            fix="Remove these values, or empty the cells and choose how to treat missing ones.",
            where=rows.tell(infinite),
            count=int(infinite.size),
            code="nonfinite",
        )
    large = np.flatnonzero(size > _FLOAT32_MAX)
    if large.size:
        raise DataError(
            f"values must be within ±{_FLOAT32_MAX:.4g} (float32)",
            got=f"{rows.values[large[0]]:.6g}",
            fix="Divide the series by a power of ten.",
            where=rows.tell(large),
            count=int(large.size),
            code="overflow",
        )


def merge_duplicates(rows: Rows, how: str) -> Rows:
    """Treat sorted rows with the same series and time."""
    again = rows.same_as_next & (rows.times[1:] == rows.times[:-1])
    if not again.any():
        return rows
    if how == "raise":
        second = np.flatnonzero(again) + 1
        pairs = [
            f"series {rows.ids[rows.codes[i]]!r}, {time_text(rows.times[[i]])[0]} "
            f"({rows.place(int(rows.origin[i - 1]))} and {rows.place(int(rows.origin[i]))})"
            for i in second[:5]
        ]
        clock = rows.times.dtype.kind == "M" and bool(np.any(rows.times.astype(np.int64) % 86_400_000_000))
        night = " Where clocks are set back in autumn, write times with their UTC offset." if clock else ""
        raise DataError(
            "a series must have one value for a time",
            got="two" if len(second) == 1 else "several",
            fix='Remove the rows that are too many, or pass duplicates="mean" or "last".' + night,
            where=pairs,
            count=int(second.size),
            code="duplicate",
        )
    last = np.append(~again, True)
    if how == "last":
        return rows.take(last)
    group = np.concatenate(([0], np.cumsum(~again)))
    present = ~np.isnan(rows.values)
    total = np.bincount(group, np.where(present, rows.values, 0.0))
    count = np.bincount(group, present)
    mean = np.divide(total, count, out=np.full(total.size, np.nan), where=count > 0)
    return replace(rows.take(last), values=mean)


def treat_gaps(rows: Rows, freq: Freq, *, how: str, given: bool) -> Rows:
    """Check sorted rows against the grid of `freq`; `given` says that the user chose it."""
    freq.check_kind(rows.times)
    if how == "as-is":
        return rows
    grid = freq.split(rows.times)
    off = np.flatnonzero(grid.residue != _phase(rows.codes, grid.residue))
    if off.size:
        seems = _seems(rows, freq, given=given)
        fix = (
            seems + 'Correct these times, pass the right freq, or take the rows as consecutive steps with gaps="as-is".'
        )
        raise DataError(
            f"times must be on the grid of freq {str(freq)!r}",
            got="times off it",
            fix=fix,
            where=rows.tell(off),
            count=int(off.size),
            code="freq" if seems else "irregular",
        )
    steps = np.diff(grid.number)
    holes = np.flatnonzero(rows.same_as_next & (steps > 1))
    if not holes.size:
        return rows
    absent = int((steps[holes] - 1).sum())
    if how == "raise":
        raise DataError(
            f"no step of a series may be absent (freq {str(freq)!r})",
            got=f"a gap of {absent}" if holes.size == 1 else f"gaps of {absent} steps in all",
            fix=_seems(rows, freq, given=given)
            + 'Add the rows, or pass gaps="fill" (inserted steps count as not observed) or gaps="as-is" '
            "(rows taken as consecutive).",
            where=[_range(rows, freq, grid, int(i)) for i in holes[:5]],
            count=int(holes.size),
            code="gap",
        )
    if absent > 10 * rows.values.size + 1000:
        raise DataError(
            "gaps must not be more than ten times the rows, plus 1000, to be filled",
            got=f"{absent:,} absent steps for {rows.values.size:,} rows",
            fix='Look for a wrong date, pass a longer freq, or gaps="as-is".',
            where=[_range(rows, freq, grid, int(i)) for i in holes[np.argsort(-steps[holes])][:5]],
            code="gap",
        )
    return _insert(rows, freq, grid, steps)


def _seems(rows: Rows, freq: Freq, *, given: bool) -> str:
    """A sentence on the step that the data show, if the user chose another one."""
    if not given or not np.any(rows.same_as_next & (rows.times[1:] != rows.times[:-1])):
        return ""
    found = Freq.infer(rows.by_series())
    return "" if found == freq else f"The most common step looks like freq={str(found)!r}. "


def _phase(codes: NDArray[np.int64], residue: NDArray[np.int64]) -> NDArray[np.int64]:
    """The most common residue of each row's series `[row]` (the smallest of equally common ones, -1 never)."""
    valid = residue >= 0
    if not valid.any():
        return np.zeros_like(residue)
    order = np.lexsort((residue[valid], codes[valid]))
    c, r = codes[valid][order], residue[valid][order]
    starts = np.flatnonzero(np.concatenate(([True], (c[1:] != c[:-1]) | (r[1:] != r[:-1]))))
    counts = np.diff(np.append(starts, c.size))
    best = np.lexsort((r[starts], -counts, c[starts]))
    codes_best, first = np.unique(c[starts][best], return_index=True)
    phase = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    phase[codes_best] = r[starts][best][first]
    return phase[codes]


def _range(rows: Rows, freq: Freq, grid: Grid, i: int) -> str:
    index = np.array([grid.number[i] + 1, grid.number[i + 1] - 1])
    texts = time_text(freq.join(Grid(index, grid.residue[[i, i]]), like=rows.times))
    span = texts[0] if index[0] == index[1] else f"{texts[0]} to {texts[1]}"
    after = "" if rows.origin[i] < 0 else f", after {rows.place(int(rows.origin[i]))}"
    return f"series {rows.ids[rows.codes[i]]!r}, {span}{after}"


def _insert(rows: Rows, freq: Freq, grid: Grid, steps: NDArray[np.int64]) -> Rows:
    """Add the absent steps with NaN as value."""
    copies = np.append(np.where(rows.same_as_next, steps, 1), 1)
    source = np.repeat(np.arange(rows.values.size), copies)
    ahead = np.arange(source.size) - np.repeat(np.cumsum(copies) - copies, copies)
    new = ahead > 0
    times = freq.join(Grid(grid.number[source] + ahead, grid.residue[source]), like=rows.times)
    return replace(
        rows,
        codes=rows.codes[source],
        times=times,
        values=np.where(new, np.nan, rows.values[source]),
        origin=np.where(new, -1, rows.origin[source]),
    )


class Filled(NamedTuple):
    """Rows without missing values, and which of them were observed `[row]`."""

    rows: Rows
    observed: NDArray[np.bool_]


def fill_missing(rows: Rows, how: str) -> Filled:
    """Treat missing values of sorted rows; NaN never leaves this function."""
    absent = np.isnan(rows.values)
    given = np.flatnonzero(absent & (rows.origin >= 0))
    if given.size and how == "raise":
        raise DataError(
            "values must not be missing",
            got="missing values" if given.size > 1 else "a missing value",
            fix='Fill them in, or pass missing="mask", "interpolate", "ffill" or "drop".',
            where=rows.tell(given),
            count=int(given.size),
            code="nan",
        )
    if not absent.any():
        return Filled(rows, ~absent)
    filled = np.bincount(rows.codes[~absent], minlength=len(rows.ids)) > 0
    present = np.bincount(rows.codes, minlength=len(rows.ids)) > 0
    hollow = np.flatnonzero(present & ~filled)
    if hollow.size:
        raise DataError(
            "every series must have at least one value",
            got="series with missing values only",
            fix="Remove these series.",
            where=[f"series {rows.ids[code]!r}" for code in hollow[:5]],
            count=int(hollow.size),
            code="nan",
        )
    if how == "drop":
        kept = rows.take(~absent)
        return Filled(kept, np.ones(kept.values.size, dtype=bool))
    position = np.arange(rows.values.size)
    starts = np.concatenate(([True], ~rows.same_as_next))
    ends = np.append(~rows.same_as_next, True)
    first = np.maximum.accumulate(np.where(starts, position, 0))
    last = np.minimum.accumulate(np.where(ends, position, position.size)[::-1])[::-1]
    back = np.maximum.accumulate(np.where(absent, -1, position))
    ahead = np.minimum.accumulate(np.where(absent, position.size, position)[::-1])[::-1]
    has_back, has_ahead = back >= first, ahead <= last
    if how == "ffill" and not has_back.all():
        leading = np.flatnonzero(~has_back)
        raise DataError(
            'missing="ffill" needs a value before each missing one',
            got="series that begin with missing values",
            fix='Pass missing="mask" or "interpolate", or remove these rows.',
            where=rows.tell(leading),
            count=int(leading.size),
            code="nan",
        )
    left, right = np.where(has_back, back, ahead), np.where(has_ahead, ahead, back)
    values = rows.values[left]
    if how == "interpolate":
        share = np.divide(position - left, right - left, out=np.zeros(position.size), where=right > left)
        values = np.where(absent, values * (1 - share) + rows.values[right] * share, values)
        return Filled(replace(rows, values=values), np.ones(values.size, dtype=bool))
    observed = np.ones(values.size, dtype=bool) if how == "ffill" else ~absent
    return Filled(replace(rows, values=values), observed)
