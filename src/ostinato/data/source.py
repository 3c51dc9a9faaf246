"""Any table that users bring becomes columns by name: files, frames of any library, dicts."""

from __future__ import annotations

import datetime as dt
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ostinato._optional import require
from ostinato.data.csv_text import check_unpacked, read_bytes, read_csv
from ostinato.data.times import Place, row_place
from ostinato.errors import DataError, OstinatoError

if TYPE_CHECKING:
    import narwhals as nw

_TEXT = (".csv", ".tsv", ".txt")


@runtime_checkable
class _Framed(Protocol):
    def to_dataframe(self) -> Any: ...


class Source(NamedTuple):
    """A table as columns.

    Args:
        columns: Values by column name, all of one length.
        timelike: Columns whose type or first cell is a date.
        text: True if cells are text that stands for numbers (CSV).
        place: Turns a row number into its place.
        like: The kind of source: "pandas", "polars", "pyarrow", "path", "dict".
        wall: Times with a zone: the column in UTC is in `columns`, the same on its local clock here.
    """

    columns: dict[str, Sequence[Any] | NDArray[Any]]
    timelike: tuple[str, ...]
    text: bool
    place: Place
    like: str
    wall: dict[str, NDArray[Any]]


def read_source(source: Any, *, delimiter: str | None = None) -> Source:
    """Read a path, a frame, an object with `to_dataframe()` or a dict of columns.

    Raises:
        DataError: `file`, `extension`, `empty`, `type`, `ragged` (lengths differ) or what `read_csv` raises.
    """
    if isinstance(source, (str, os.PathLike)):
        return _from_path(Path(source), delimiter)
    if isinstance(source, Mapping):
        return _from_dict(source)
    import narwhals as nw  # only here and below: files and arrays do without, and it takes 8 MB

    native = source.to_dataframe() if isinstance(source, _Framed) else source
    try:
        frame = nw.from_native(native, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        got = " ".join(str(error).partition("got:")[2].replace("-", "").split()) or str(error)
        raise DataError("column names must differ", got=got, fix="Rename one of them.", code="column") from None
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, nw.DataFrame):
        return _from_frame(frame)
    raise DataError(
        "the data must be a path, a data frame, a dict of columns or an array of numbers",
        got=f"an object of type {type(source).__name__}",
        fix="Pass one of these; scipy sparse arrays need .toarray().",
        code="type",
    )


def _from_path(path: Path, delimiter: str | None) -> Source:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2] if len(suffixes) > 1 and suffixes[-1] == ".gz" else suffixes[-1] if suffixes else ""
    if path.is_dir():
        read_bytes(path)
    if kind == ".parquet":
        return _from_parquet(path)
    if kind not in _TEXT:
        raise DataError(
            "the data must be a .csv, .tsv, .txt or .parquet file (text also as .gz)",
            got=f"the ending {kind!r}" if kind else "no ending",
            fix="Rename or convert it; spreadsheets can be saved as CSV UTF-8.",
            where=str(path),
            code="extension",
        )
    table = read_csv(path, delimiter=delimiter)
    columns: dict[str, Sequence[Any] | NDArray[Any]] = dict(table.columns)
    timelike = tuple(name for name, cells in table.columns.items() if _date_text(cells))
    return Source(columns, timelike, text=True, place=table.place, like="path", wall={})


def _from_parquet(path: Path) -> Source:
    data = read_bytes(path)
    polars = require("polars", purpose="to read Parquet files")
    try:
        lazy = polars.scan_parquet(io.BytesIO(data))
        rows, columns = lazy.select(polars.len()).collect().item(), len(lazy.collect_schema())
        check_unpacked(8 * rows * columns, len(data), path)  # by what the file says of itself, before it is unpacked
        frame = polars.read_parquet(data)
    except OstinatoError:
        raise
    except (polars.exceptions.PolarsError, OSError, ValueError) as error:
        raise DataError(
            "the data must be a Parquet file",
            got=str(error)[:120],
            fix="Write the file again.",
            where=str(path),
            code="file",
        ) from None
    import narwhals as nw

    return _from_frame(nw.from_native(frame, eager_only=True))._replace(like="path")


def _date_text(cells: Sequence[Any]) -> bool:
    """True if the first cell in use begins like "1949-01" or "2020Q1", or has a form such as 31/01/2020."""
    first = next((cell.strip() for cell in cells if isinstance(cell, str) and cell.strip()), "")
    head, digits = first[:10], sum(char.isdigit() for char in first[:10])
    iso = len(head) >= 6 and head[:4].isdigit() and head[4] in "-/.Q" and head[5:6].isalnum() and not _is_number(first)
    return iso or (digits >= 4 and (head.count("/") == 2 or head.count(".") == 2 or head[1:].count("-") == 2))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def as_series(value: Any) -> nw.Series[Any] | None:
    """A single column of a frame library, as narwhals sees it; None for anything else."""
    if isinstance(value, (str, os.PathLike, np.ndarray, list, tuple, Mapping)):
        return None
    import narwhals as nw

    found = nw.from_native(value, series_only=True, pass_through=True)
    return found if isinstance(found, nw.Series) else None


def _from_dict(source: Mapping[Any, Any]) -> Source:
    columns: dict[str, Sequence[Any] | NDArray[Any]] = {}
    for name, column in source.items():
        if isinstance(column, (str, bytes)) or np.ndim(column) == 0:
            raise DataError(
                "every column must be a list or an array",
                got=f"{column!r:.60}",
                fix="Pass lists.",
                where=f"column {name!r}",
                code="type",
            )
        series = as_series(column)
        if series is not None:
            columns[str(name)] = series.to_numpy()
        elif isinstance(column, np.ndarray):
            columns[str(name)] = column
        else:
            columns[str(name)] = list(column)
    for name, column in columns.items():
        if isinstance(column, np.ndarray) and column.ndim != 1:
            raise DataError(
                "every column must have one axis", got=f"shape {column.shape}", fix="Split it into columns.",
                where=f"column {name!r}", code="shape",
            )  # fmt: skip
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(
            "all columns must have the same length",
            got=", ".join(f"{name!r} {length}" for name, length in list(lengths.items())[:8]),
            fix="Complete the short ones.",
            code="ragged",
        )
    return _source(columns, "dict", {}, [])


def _from_frame(frame: nw.DataFrame[Any]) -> Source:
    import narwhals as nw

    frame = _with_index(frame)
    like = frame.implementation.name.lower()
    columns: dict[str, Sequence[Any] | NDArray[Any]] = {}
    wall: dict[str, NDArray[Any]] = {}
    dated: list[str] = []
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(
            "column names must differ", got=", ".join(map(repr, twice[:5])), fix="Rename one.", code="column"
        )
    for name in frame.columns:
        column, key = frame.get_column(name), str(name)
        dtype = column.dtype
        if isinstance(dtype, (nw.Datetime, nw.Date)):
            dated.append(key)
            column = column if isinstance(dtype, nw.Datetime) else column.cast(nw.Datetime("us"))
            if isinstance(dtype, nw.Datetime) and dtype.time_zone is not None:
                wall[key] = column.dt.replace_time_zone(None).to_numpy()
                column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
            columns[key] = column.to_numpy()
        elif isinstance(dtype, (nw.Categorical, nw.Enum)):
            columns[key] = column.cast(nw.String).to_list()
        elif dtype.is_numeric() and not isinstance(dtype, nw.Decimal):
            absent = column.is_null().to_numpy()
            columns[key] = column.cast(nw.Float64).to_numpy() if absent.any() else column.to_numpy()
        elif isinstance(dtype, nw.Boolean):
            columns[key] = column.to_list() if column.is_null().any() else column.to_numpy()
        else:
            columns[key] = column.to_list()
    return _source(columns, like, wall, dated)


def _with_index(frame: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
    """A pandas index of dates, or one with a name, becomes a column; the plain row counter does not."""
    import narwhals as nw
    from narwhals.dependencies import get_pandas

    pandas = get_pandas()
    native = frame.to_native()
    if pandas is None or not isinstance(native, pandas.DataFrame):
        return frame
    index = native.index
    if isinstance(index, pandas.PeriodIndex):
        native = native.set_axis(index.to_timestamp(), axis="index")
    dated = isinstance(index, (pandas.DatetimeIndex, pandas.PeriodIndex))
    if not dated and all(name is None for name in index.names):
        return frame
    named = native.rename_axis(index="ds") if dated and index.name is None and "ds" not in native.columns else native
    return nw.from_native(named.reset_index(), eager_only=True)


def _source(
    columns: dict[str, Sequence[Any] | NDArray[Any]], like: str, wall: dict[str, NDArray[Any]], dated: list[str]
) -> Source:
    if not columns or not any(len(column) for column in columns.values()):
        raise DataError(
            "the table must have columns and rows", got="an empty table", fix="Check where it comes from.", code="empty"
        )
    for name, column in columns.items():
        kind = column.dtype.kind if isinstance(column, np.ndarray) else "O"
        if kind == "M" or (kind in "OU" and _dated(column)):
            dated.append(name)
    return Source(columns, tuple(dict.fromkeys(dated)), text=False, place=row_place, like=like, wall=wall)


def _dated(column: Sequence[Any] | NDArray[Any]) -> bool:
    first = next((item for item in column if item is not None), None)
    return _date_text([first]) if isinstance(first, str) else isinstance(first, (dt.date, np.datetime64))
