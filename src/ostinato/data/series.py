"""Series with their times, and a panel of many: what every reader of tables returns."""

from __future__ import annotations

from dataclasses import field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.data.columns import Columns
from ostinato.data.freq import Freq
from ostinato.data.times import read_times
from ostinato.errors import ArgumentError, DataError


@lean_dataclass(frozen=True, eq=False)
class Series:
    """One series.

    Args:
        id: Its name.
        times: Sorted times `[time]`, int64 or datetime64[us].
        values: Finite float64 `[time]`.
        observed: True `[time]` where the value was given, False where it was filled to replace a missing one.
    """

    id: str
    times: NDArray[Any]
    values: NDArray[np.float64]
    observed: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.values.size)

    def between(self, start: int, stop: int) -> Series:
        """The steps from `start` up to, not including, `stop`."""
        part = slice(start, stop)
        return Series(self.id, self.times[part], self.values[part], self.observed[part])


class Cut(NamedTuple):
    """A panel in two parts, in time order."""

    before: Panel
    after: Panel


@lean_dataclass(frozen=True, eq=False)
class Panel:
    """Series that share a frequency.

    Args:
        series: The series, in the order in which the source first named them.
        freq: Their step.
        columns: The names of the source's columns, found or given.
        like: The kind of source: "pandas", "polars", "pyarrow", "path", "dict", "array".
        utc: True if times came with UTC offsets; they are in UTC now.
        reordered: True if rows of a series did not come in time order; they are in it now.
    """

    series: tuple[Series, ...]
    freq: Freq
    columns: Columns
    like: str
    utc: bool = False
    reordered: bool = False
    _index: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {one.id: i for i, one in enumerate(self.series)})

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, id: str) -> Series:
        """The series of that name."""
        if id not in self._index:
            known = ", ".join(map(repr, self.ids[:10])) + (", …" if len(self) > 10 else "")
            raise DataError("the series must be in the panel", got=repr(id), fix=f"It has {known}.", code="id")
        return self.series[self._index[id]]

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the series."""
        return tuple(self._index)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of steps of each series `[series]`."""
        return np.array([len(one) for one in self.series], dtype=np.int64)

    @property
    def total(self) -> int:
        """Number of steps of all series together."""
        return int(self.lengths.sum())

    def cut(self, at: Any) -> Cut:
        """Cut every series in two.

        Args:
            at: A whole number `n` puts the last `n` steps of each series into `after`; a time (ISO text, date,
                datetime64) puts everything from that time on into `after`.

        Raises:
            ArgumentError: `at` is a negative number or no time of this panel's kind.
            DataError: `short`, nothing would be left of some series before the cut.
        """
        if isinstance(at, (int, np.integer)) and not isinstance(at, bool):
            if at < 0:
                raise ArgumentError("the steps to cut off must be at least 0", got=str(at), fix="Pass 0 or more.")
            stops = np.maximum(self.lengths - int(at), 0)
        else:
            moment = read_times([at], name="cut").values
            if any(one.times.dtype.kind != moment.dtype.kind for one in self.series):
                raise ArgumentError(
                    "the place of a cut must be a time of the panel's kind", got=repr(at), fix="Pass a number of steps."
                )
            stops = np.array([np.searchsorted(one.times, moment[0]) for one in self.series], dtype=np.int64)
        short = [i for i, stop in enumerate(stops) if stop < 1]
        if short:
            raise DataError(
                "every series must have steps before the cut",
                got=f"{len(short)} of {len(self)} without",
                fix="Cut later, or remove the short series.",
                where=[f"series {self.series[i].id!r} ({len(self.series[i])} steps)" for i in short[:5]],
                count=len(short),
                code="short",
            )
        before = tuple(one.between(0, int(stop)) for one, stop in zip(self.series, stops, strict=True))
        after = tuple(one.between(int(stop), len(one)) for one, stop in zip(self.series, stops, strict=True))
        return Cut(self._with(before), self._with(after))

    def _with(self, series: tuple[Series, ...]) -> Panel:
        return Panel(series, self.freq, self.columns, self.like, self.utc, self.reordered)
