"""Checks of options that tasks share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ostinato.cells import CELLS, Cell
from ostinato.errors import ArgumentError

NUMBER = (int, float, np.integer, np.floating)
"""What passes as a number."""

_MOST = 2**31 - 1


def check_whole(name: str, value: object, *, least: int, most: int = _MOST) -> None:
    """Raise `ArgumentError` unless `value` is a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= most:
        above = isinstance(value, (int, np.integer)) and value > most
        rule = f"from {least} to {most}" if above else f"of at least {least}"
        raise ArgumentError(f"{name} must be a whole number {rule}", got=_shown(value), fix="Pass one.")


def check_number(name: str, value: object) -> None:
    """Raise `ArgumentError` unless `value` is a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, NUMBER) or not 0.0 <= value < math.inf:
        raise ArgumentError(f"{name} must be a finite number of at least 0", got=_shown(value), fix="Pass one.")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise `ArgumentError` unless `value` is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(
            f"{name} must be one of {', '.join(choices)}", got=_shown(value), fix="Choose from the list."
        )


def check_kind(name: str, value: object, kind: type) -> None:
    """Raise `ArgumentError` unless `value` is an option object of this kind."""
    if not isinstance(value, kind):
        raise ArgumentError(
            f"{name} must be an object of type {kind.__name__}", got=_shown(value), fix=f"Pass {kind.__name__}(...)."
        )


def check_cells(cell: str | Cell, units: int | Sequence[int]) -> list[Cell]:
    """The cells of the recurrent layers.

    Args:
        cell: A name, or a cell whose other options are kept.
        units: Size of the layer, or of each of several.

    Raises:
        ArgumentError: There is no such cell, or a size is no whole number of at least 1.
    """
    sizes: list[Any] = list(units) if isinstance(units, (list, tuple)) else [units]
    if not sizes:
        raise ArgumentError("units must name at least one layer", got="none", fix="Pass, say, units=32.")
    for n in sizes:
        check_whole("units", n, least=1)
    if isinstance(cell, Cell):
        return [replace(cell, units=int(n)) for n in sizes]
    if isinstance(cell, str) and cell in CELLS:
        return [CELLS[cell](int(n)) for n in sizes]
    raise ArgumentError(
        f"cell must be one of {', '.join(CELLS)}, or a Cell", got=_shown(cell), fix="Choose from the list."
    )


def _shown(value: object) -> str:
    return f"{value!r:.80}"
