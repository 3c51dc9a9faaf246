"""One door for tables of series: a checked `Panel` comes out, or an error that says where and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data.cleaning import Cleaning, Filled, Rows, check_finite, fill_missing, merge_duplicates, treat_gaps
from ostinato.data.columns import Columns, Roles, find_roles
from ostinato.data.freq import Freq
from ostinato.data.series import Panel, Series
from ostinato.data.source import Source, as_series, read_source
from ostinato.data.times import Times, read_times, row_place
from ostinato.data.values import MISSING_TEXT, numbers_from_array, numbers_from_text
from ostinato.errors import DataError, ShapeError


def read_panel(
    source: Any,
    columns: Columns = Columns(),  # noqa: B008 (frozen)
    *,
    cleaning: Cleaning = Cleaning(),  # noqa: B008 (frozen)
    freq: Freq | str | None = None,
) -> Panel:
    """Read series from a file, a frame, a dict of columns or an array.

    A file ends in .csv, .tsv, .txt (also .gz) or .parquet. A frame is one of pandas, polars, pyarrow or another library
    that narwhals knows, or an object with `to_dataframe()`. A pandas index is a column if it has dates or a name. A 1-D
    array or list is one series "y", a 2-D array `[time, series]` one series per column "0", "1", …; their time is
    0, 1, 2, ….

    Which column is what, unless `columns` says it (names are compared without case):

    1. id: the first of unique_id, series_id, item_id, series, id that is present. With an id the table is long: one row
       per series and time. Without, it is wide: one row per time, one column per series.
    2. time: the first of ds, timestamp, datetime, date, time, period that is present; else the only one of year,
       quarter, month, week, day, hour, step, t; else the only column that holds dates. A table with a single column
       has the time 0, 1, 2, ….
    3. values: in a long table the target, the first of y, target, value, or the only column left; other columns are not
       read. In a wide table every other column is a series with the column's name and must hold numbers; a named
       target picks that column alone.

    Rows may come in any order. Empty cells, NA, N/A, NaN, null and None are missing values. Values are kept as float64
    and must fit into float32. Times with UTC offsets are moved to UTC.

    Args:
        source: Where the series are.
        columns: Column names and the form of times.
        cleaning: What to do with missing values, duplicates and gaps; by default all three are errors.
        freq: The step, instead of `columns.freq`.

    Raises:
        DataError: The data break a rule; `code` says which one, `where` gives lines, series, times or columns.
        ShapeError: An array has not one or two axes.
        ArgumentError: An option has no such value.

    Example:
        >>> panel = read_panel({"ds": ["2024-01", "2024-02", "2024-03"], "north": [1, 2, 4], "south": [3, 3, 5]})
        >>> panel.ids, str(panel.freq), panel["south"].values.tolist()
        (('north', 'south'), 'MS', [3.0, 3.0, 5.0])
    """
    cleaning.check()
    freq = freq or columns.freq
    step = Freq.parse(freq) if isinstance(freq, str) else freq
    array = _as_array(source)
    utc = False
    if array is not None:
        rows, found, like = _array_rows(array), Columns(), "array"
    else:
        table = read_source(source, delimiter=cleaning.delimiter)
        roles = find_roles(list(table.columns), columns, timelike=table.timelike)
        times = _times(table, roles.time, columns.time_format)
        read = _long_rows if roles.id is not None else _wide_rows
        rows, utc, like = read(table, roles, times.values, cleaning.decimal), times.aware, table.like
        target = roles.values[0] if roles.id is not None or columns.target is not None else None
        found = Columns(roles.id, roles.time, target, columns.time_format)
    rows = rows.ordered()
    reordered = bool(np.any(rows.same_as_next & (rows.origin[1:] < rows.origin[:-1])))
    check_finite(rows)
    rows = merge_duplicates(rows, cleaning.duplicates)
    step = step or (Freq("step", 1) if array is not None else Freq.infer(rows.by_series()))
    rows = treat_gaps(rows, step, how=cleaning.gaps, given=freq is not None)
    return Panel(_series(fill_missing(rows, cleaning.missing)), step, found, like, utc, reordered)


def _as_array(source: Any) -> NDArray[Any] | None:
    """Lists, arrays and single columns as an array of one or two axes; None for tables."""
    single = as_series(source)
    if single is not None:
        return numbers_from_array(single.to_list(), name="y", place=row_place)
    if isinstance(source, np.ndarray):
        array = source
    elif isinstance(source, Sequence) and not isinstance(source, (str, bytes)):
        if not any(isinstance(item, (Sequence, np.ndarray)) and not isinstance(item, str) for item in source):
            return _finished(numbers_from_array(source, name="y", place=row_place))
        try:
            array = np.array(source)
        except ValueError:
            raise ShapeError(
                "a list of lists must have rows of one length", got="rows of several lengths", fix="Pass a long table."
            ) from None
    else:
        return None
    if array.ndim not in (1, 2):
        raise ShapeError(
            "an array of series must have the axes [time] or [time, series]",
            got=f"shape {array.shape}",
            fix="Reshape it, or pass a long table.",
        )
    if array.ndim == 1:
        return _finished(numbers_from_array(array, name="y", place=row_place))
    parts = [numbers_from_array(array[:, i], name=str(i), place=row_place) for i in range(array.shape[1])]
    return _finished(np.stack(parts, axis=1) if parts else np.empty((0, 0)))


def _finished(array: NDArray[Any]) -> NDArray[Any]:
    if array.size == 0:
        raise DataError(
            "the data must have at least one value", got=f"shape {array.shape}", fix="Check the source.", code="empty"
        )
    return array


def _array_rows(array: NDArray[np.float64]) -> Rows:
    table = array[:, None] if array.ndim == 1 else array
    length, width = table.shape
    names = ("y",) if array.ndim == 1 else tuple(str(i) for i in range(width))
    origin = np.tile(np.arange(length), width)
    return Rows(names, names, np.repeat(np.arange(width), length), origin, table.T.ravel(), origin, row_place)


def _times(table: Source, name: str | None, time_format: str | None) -> Times:
    if name is None:
        return Times(np.arange(len(next(iter(table.columns.values()))), dtype=np.int64), aware=False)
    times = read_times(table.columns[name], name=name, time_format=time_format, place=table.place)
    if name in table.wall:
        local = read_times(table.wall[name], name=name, place=table.place).values
        dates = not np.any(local.astype(np.int64) % 86_400_000_000)
        return Times(local, aware=False) if dates else Times(times.values, aware=True)
    return times


def _numbers(table: Source, name: str, decimal: str) -> NDArray[np.float64]:
    column = table.columns[name]
    if table.text:
        return numbers_from_text(list(column), name=name, place=table.place, decimal=decimal)
    return numbers_from_array(column, name=name, place=table.place)


def _wide_rows(table: Source, roles: Roles, times: NDArray[Any], decimal: str) -> Rows:
    width, length = len(roles.values), times.size
    values = np.concatenate([_numbers(table, name, decimal) for name in roles.values])
    return Rows(
        roles.values,
        roles.values,
        np.repeat(np.arange(width), length),
        np.tile(times, width),
        values,
        np.tile(np.arange(length), width),
        table.place,
    )


def _long_rows(table: Source, roles: Roles, times: NDArray[Any], decimal: str) -> Rows:
    names = [str(item).strip() for item in table.columns[roles.id or ""]]
    position: dict[str, int] = {}
    codes = np.fromiter((position.setdefault(name, len(position)) for name in names), np.int64, len(names))
    blank = [name for name in position if name.lower() in MISSING_TEXT]
    if blank:
        rows = [i for i, name in enumerate(names) if name in blank]
        raise DataError(
            f"every row must name its series in column {roles.id!r}",
            got="an empty name",
            fix="Fill in the names or remove these rows.",
            where=[table.place(i) for i in rows[:5]],
            count=len(rows),
            code="id",
        )
    target = roles.values[0]
    values = _numbers(table, target, decimal)
    return Rows(tuple(position), (target,) * len(position), codes, times, values, np.arange(codes.size), table.place)


def _series(filled: Filled) -> tuple[Series, ...]:
    rows, observed = filled
    starts = np.concatenate(([0], np.flatnonzero(~rows.same_as_next) + 1))
    stops = np.append(starts[1:], rows.values.size)
    return tuple(
        Series(rows.ids[rows.codes[a]], rows.times[a:b], rows.values[a:b], observed[a:b])
        for a, b in zip(starts.tolist(), stops.tolist(), strict=True)
    )
