"""HTML tables: numbers to the right with one number of decimals a column, the best value of a column in bold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from ostinato.errors import ArgumentError

_MISSING = "–"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        key: Where a row keeps its value.
        heading: Plain text; escaped here.
        best: The value to set in bold: "low", "high", a number (the value nearest to it wins), or None for no bold.
        number: False for text; numbers stand right-aligned.
        percent: True for fractions that are shown as whole per cent: 0.8 as 80.
    """

    key: str
    heading: str
    best: str | float | None = None
    number: bool = True
    percent: bool = False


def table(
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, object]],
    *,
    caption: str = "",
    own: int | None = None,
) -> str:
    """Rows as an HTML table that scrolls sideways by itself where the screen is narrow.

    A missing, NaN or infinite number is shown as a dash and is never the best one. Two values that look the same in
    print are both bold.

    Args:
        columns: What to show, in order.
        rows: One mapping a row; keys that no column names are not shown.
        caption: Plain text under the table; escaped here.
        own: The row to set off by colour.
    """
    cells = {column.key: _cells(column, [row.get(column.key) for row in rows]) for column in columns}
    head = "".join(f'<th scope="col"{_css(column)}>{escape(column.heading)}</th>' for column in columns)
    body = "\n".join(
        ('<tr class="own">' if place == own else "<tr>")
        + "".join(f"<td{_css(column, cells[column.key][place])}>{cells[column.key][place]}</td>" for column in columns)
        + "</tr>"
        for place in range(len(rows))
    )
    note = f'\n<p class="note">{escape(caption)}</p>' if caption else ""
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>{note}'


def decimals(values: Sequence[float]) -> int:
    """Decimals that show the middle-sized value with three or four figures: 0 for thousands, 3 for 0.123.

    Args:
        values: Finite numbers; zeros do not count.
    """
    sizes = sorted(abs(value) for value in values if value != 0)
    if not sizes:
        return 0
    if all(value == int(value) for value in values):
        return 0
    return min(max(2 - math.floor(math.log10(sizes[len(sizes) // 2])), 0), 8)


def number(value: float, *, places: int) -> str:
    """`value` with `places` decimals and thin spaces between thousands; powers of ten where it is very large or small.

    Args:
        value: A finite number.
        places: Decimals.

    >>> number(-1234.5, places=1)
    '−1\u202f234.5'
    """
    if value != 0 and (abs(value) >= 1e9 or abs(value) < 0.5 * 10.0**-places):
        text = f"{value:.3g}"
    else:
        text = f"{value:,.{places}f}".replace(",", "\u202f")
    return text.replace("-", "−")


def _css(column: Column, cell: str = "") -> str:
    """The cell's class; long texts get room, so that a phone scrolls sideways instead of stacking single words."""
    if column.number:
        return ' class="number"'
    return ' class="wide"' if len(cell) > 40 else ""


def _cells(column: Column, values: Sequence[object]) -> list[str]:
    if not column.number:
        return [_MISSING if value is None else escape(str(value)) for value in values]
    numbers = [_finite(column, value) for value in values]
    known = [value for value in numbers if value is not None]
    places = 0 if column.percent else decimals(known)
    texts = [_MISSING if value is None else number(value, places=places) for value in numbers]
    winner = _best(column, known)
    if winner is None:
        return texts
    bold = number(winner, places=places)
    return [f"<b>{text}</b>" if text == bold else text for text in texts]


def _finite(column: Column, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        try:
            value = float(value)  # type: ignore[arg-type]  # NumPy's numbers, or a mistake of the caller
        except (TypeError, ValueError):
            raise ArgumentError(
                f"column {column.key!r} must hold numbers", got=repr(value)[:40], fix="Declare it with number=False."
            ) from None
    shown = float(value) * (100 if column.percent else 1)
    return shown if math.isfinite(shown) else None


def _best(column: Column, known: Sequence[float]) -> float | None:
    if column.best is None or len(known) < 2:
        return None
    if column.best == "low":
        return min(known)
    if column.best == "high":
        return max(known)
    if isinstance(column.best, str):
        raise ArgumentError(
            "best must be 'low', 'high', a number or None", got=repr(column.best), fix="Choose one of them."
        )
    goal = column.best * (100 if column.percent else 1)
    return min(known, key=lambda value: abs(value - goal))
