"""What a forecaster keeps of the series of training, and how it reads the histories of others."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.data import Cleaning, Columns
from ostinato.data.framing import Floats


@lean_dataclass(frozen=True, eq=False)
class Known:
    """What is kept of the series of training.

    Args:
        ids: Their names.
        spreads: `[series]`, their units.
        tails: `[series, reach]`, their last values.
        last: `[series]`, their last times.
    """

    ids: tuple[str, ...]
    spreads: Floats
    tails: Floats
    last: NDArray[Any]


@lean_dataclass(frozen=True)
class Reading:
    """How tables of histories are read.

    Args:
        columns: Names of the columns, as they were found in training.
        cleaning: Treatment of duplicates, gaps and missing values.
        freq: The step of the series.
    """

    columns: Columns
    cleaning: Cleaning
    freq: str
