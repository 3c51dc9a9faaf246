"""Results leave as tables: in the user's own kind of frame, or as files."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ostinato._optional import require
from ostinato.data.times import time_text
from ostinato.errors import ArgumentError, DataError

_SHOWN = 10


class Table:
    """Columns of equal length in order, with nothing installed.

    Args:
        columns: Arrays or lists `[row]` by name.

    Raises:
        DataError: `ragged`, the lengths differ.
    """

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns: dict[str, NDArray[Any]] = {name: _column(column) for name, column in columns.items()}
        if len({column.size for column in self._columns.values()}) > 1:
            raise DataError(
                "all columns of a table must have the same length",
                got=", ".join(f"{name!r} {column.size}" for name, column in self._columns.items()),
                fix="Complete the short ones.",
                code="ragged",
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._columns)

    def __len__(self) -> int:
        return next((column.size for column in self._columns.values()), 0)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The column of that name `[row]`."""
        if name not in self._columns:
            known = ", ".join(map(repr, self._columns))
            raise DataError("the column must be in the table", got=repr(name), fix=f"It has {known}.", code="column")
        return self._columns[name]

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """The columns by name."""
        return dict(self._columns)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a CSV file at once or not at all."""
        _write(Path(path), self.csv_text().encode())

    def csv_text(self) -> str:
        """The table as CSV: floats so that they read back to the same bits, missing values as empty cells."""
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(zip(*(_texts(column, "r") for column in self._columns.values()), strict=True))
        return out.getvalue()

    def __repr__(self) -> str:
        rows = len(self)
        chosen = np.arange(rows)
        if rows > _SHOWN:
            chosen = np.concatenate((chosen[: _SHOWN // 2], chosen[-_SHOWN // 2 :]))
        cells = []
        for name, column in self._columns.items():
            texts = [text[:40] for text in _texts(column[chosen], ".6g")]
            if rows > _SHOWN:
                texts.insert(_SHOWN // 2, "…")
            width = max([len(name), *map(len, texts)])
            left = column.dtype.kind not in "fiu"
            cells.append([text.ljust(width) if left else text.rjust(width) for text in (name, *texts)])
        lines = ["  ".join(line).rstrip() for line in zip(*cells, strict=True)]
        shape = f"[{rows} {'row' if rows == 1 else 'rows'} × {len(cells)} {'column' if len(cells) == 1 else 'columns'}]"
        return "\n".join([*lines, shape])


def to_like(table: Table, like: str) -> Any:
    """The table as the kind of frame that came in.

    Args:
        table: The result.
        like: `Panel.like`: the name of a frame library gives its frame; "dict" a dict of arrays; "path" and "array"
            a polars frame if polars is installed, else the table itself.

    Raises:
        ArgumentError: `like` is not a kind of source.
    """
    if like == "dict":
        return table.to_dict()
    if like in ("path", "array"):
        if importlib.util.find_spec("polars") is None:
            return table
        like = "polars"
    if like not in ("pandas", "polars", "pyarrow", "modin", "cudf"):
        raise ArgumentError(
            "like must name a kind of source",
            got=repr(like),
            fix='Pass "pandas", "polars", "pyarrow", "dict", "path" or "array".',
        )
    import narwhals as nw

    data = {name: column.tolist() if column.dtype.kind in "OU" else column for name, column in table.to_dict().items()}
    return nw.from_dict(data, backend=cast(Any, like)).to_native()


def write_table(table: Table, path: str | os.PathLike[str]) -> None:
    """Write a .csv or .parquet file at once or not at all: a temporary file beside it takes its name when complete.

    Raises:
        ArgumentError: `extension`, the path ends otherwise.
        DataError: `file`, the file cannot be written.
    """
    target = Path(path)
    kind = target.suffix.lower()
    if kind == ".csv":
        table.to_csv(target)
    elif kind == ".parquet":
        polars = require("polars", purpose="to write Parquet files")
        buffer = io.BytesIO()
        polars.DataFrame(to_like(table, "polars")).write_parquet(buffer)
        _write(target, buffer.getvalue())
    else:
        raise ArgumentError(
            "a table must be written as .csv or .parquet",
            got=f"the ending {kind!r}",
            fix="Rename it.",
            code="extension",
        )


def _write(path: Path, data: bytes) -> None:
    import tempfile

    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        raise DataError(
            "the table must be written to a place that can be written", got=error.strerror or str(error),
            fix="Check the folder, its permissions and the free space.", where=str(path), code="file",
        ) from None  # fmt: skip


def _column(column: Any) -> NDArray[Any]:
    array = np.asarray(column)
    if array.ndim != 1:
        raise DataError(
            "a column must have one axis", got=f"shape {array.shape}", fix="Pass one value per row.", code="shape"
        )
    return array


def _texts(column: NDArray[Any], style: str) -> list[str]:
    kind = column.dtype.kind
    if kind == "M":
        absent = np.isnat(column)
        texts = iter(time_text(column[~absent])) if not absent.all() else iter(())
        return ["" if gone else next(texts) for gone in absent]
    if kind == "f":
        show = repr if style == "r" else lambda x: format(x, style)
        return ["" if x != x else show(x) for x in column.tolist()]
    return ["" if x is None else str(x) for x in column.tolist()]
