"""Columns of values become float64 with NaN for what is missing; anything else is an error that names the cell."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import numbers
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data.times import Place
from ostinato.errors import DataError

MISSING_TEXT = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none"})
"""Cells that stand for a missing value, in lower case."""

_MARKS = str.maketrans("", "", "\u00a0' _")


def numbers_from_text(cells: list[str], *, name: str, place: Place, decimal: str = ".") -> NDArray[np.float64]:
    """Numbers `[row]` from text cells; `MISSING_TEXT` becomes NaN.

    Raises:
        DataError: `text`, some cells are not numbers. A formula such as "=1+1" is such a cell, it is never computed.
    """
    joined = "".join(cells)
    if "_" not in joined and joined.isascii() and (decimal == "." or "." not in joined):
        plain = cells if decimal == "." else [cell.replace(decimal, ".") for cell in cells]
        with contextlib.suppress(ValueError):
            return np.array(plain, dtype=np.float64)
        with contextlib.suppress(ValueError):
            return np.array([_or_nan(cell) for cell in plain], dtype=np.float64)
    values = [_number(cell, decimal) for cell in cells]
    bad = [i for i, value in enumerate(values) if value is None]
    if bad:
        raise _not_numbers([cells[i] for i in bad], bad, name, place, decimal, len(cells))
    return np.array(values, dtype=np.float64)


def _or_nan(cell: str) -> str:
    return "nan" if cell.strip().lower() in MISSING_TEXT else cell


def _number(cell: str, decimal: str) -> float | None:
    text = _or_nan(cell)
    if "_" in text or not text.isascii() or (decimal != "." and "." in text):
        return None
    try:
        return float(text.replace(decimal, "."))
    except ValueError:
        return None


def _not_numbers(cells: list[str], at: list[int], name: str, place: Place, decimal: str, total: int) -> DataError:
    first = cells[0].strip()
    other = "," if decimal == "." else "."
    if all(_number(cell, other) is not None for cell in cells):
        fix = f'If {first} is a number with a decimal {"comma" if other == "," else "point"}, pass decimal="{other}".'
    elif first.startswith("="):
        fix = "Formulas are not computed: save the table with values instead."
    elif _number(first.translate(_MARKS).replace(other, ""), decimal) is not None:
        fix = "Write numbers without marks for thousands."
    elif len(cells) == total:
        fix = f"If it names the series, pass id={name!r}; to read one column of values only, pass target=NAME."
    else:
        fix = "Correct or empty these cells, or choose another column with target=NAME."
    shown = repr(first[:60]) + ("…" if len(first) > 60 else "")
    return DataError(
        f"column {name!r} must hold numbers",
        got=f"the text {shown}",
        fix=fix,
        where=[place(i) for i in at[:5]],
        count=len(at),
        code="text",
    )


def numbers_from_array(column: NDArray[Any] | Sequence[Any], *, name: str, place: Place) -> NDArray[np.float64]:
    """Numbers `[row]` from an array or a list of Python numbers; None, NaN and masked entries become NaN.

    Raises:
        DataError: `dtype`, the column holds text, truth values, complex numbers, dates or other things.
    """
    if isinstance(column, np.ma.MaskedArray):
        data = numbers_from_array(np.where(np.ma.getmaskarray(column), 0, column.data), name=name, place=place)
        data[np.ma.getmaskarray(column)] = np.nan
        return data
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiu":
        return np.array(column, dtype=np.float64)
    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        kind = {"b": "truth values", "c": "complex numbers", "M": "dates", "m": "durations"}.get(
            column.dtype.kind, "text"
        )
        raise _wrong_kind(kind, [], None, name)
    items = list(column)
    if {type(item) for item in items} <= {int, float}:
        return np.array([_small(item) for item in items], dtype=np.float64)
    values, bad = [], []
    for i, item in enumerate(items):
        if item is None or type(item).__name__ in ("NAType", "NaTType"):
            values.append(math.nan)
        elif type(item) in (bool, np.bool_) or not isinstance(item, (numbers.Real, Decimal)):
            bad.append(i)
        else:
            values.append(_small(item))
    if bad:
        item = items[bad[0]]
        kind = "text" if isinstance(item, str) else "dates" if isinstance(item, dt.date) else type(item).__name__
        raise _wrong_kind(f"{item!r:.60} ({kind})", [place(i) for i in bad[:5]], len(bad), name)
    return np.array(values, dtype=np.float64)


def _small(item: Any) -> float:
    """A number as float; whole numbers beyond float64 become infinite, which is refused later with its place."""
    try:
        return float(item)
    except OverflowError:
        return math.inf


def _wrong_kind(got: str, where: list[str], count: int | None, name: str) -> DataError:
    return DataError(
        f"column {name!r} must hold real numbers",
        got=got,
        fix="Convert it to float first, or read another column with target=NAME.",
        where=where,
        count=count,
        code="dtype",
    )
