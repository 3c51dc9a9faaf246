"""Scales that are learnt from a series and undone again: two float64 numbers, so that a model file can hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.errors import ArgumentError, DataError


@lean_dataclass(frozen=True)
class FittedScale:
    """The map `x -> (x - shift) / spread` and its inverse.

    Args:
        shift: What becomes zero.
        spread: What becomes one; positive. 1 for a constant series.
    """

    shift: float
    spread: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.shift) and np.isfinite(self.spread) and self.spread > 0):
            raise ArgumentError(
                "shift must be finite and spread positive and finite",
                got=f"shift={self.shift!r}, spread={self.spread!r}",
                fix="Fit the scale again.",
            )

    def apply(self, values: Any) -> NDArray[np.float64]:
        """Scaled float64 values of the same shape."""
        scaled: NDArray[np.float64] = (np.asarray(values, dtype=np.float64) - self.shift) / self.spread
        return scaled

    def invert(self, scaled: Any) -> NDArray[np.float64]:
        """The values that `apply` was given."""
        values: NDArray[np.float64] = np.asarray(scaled, dtype=np.float64) * self.spread + self.shift
        return values


@lean_dataclass(frozen=True)
class StandardScale:
    """Mean 0, standard deviation 1 (divided by the count). A constant series gets spread 1 and becomes all zeros."""

    def fit(self, values: Any, observed: NDArray[np.bool_] | None = None) -> FittedScale:
        """Learn from values of any shape; where `observed` is False they are left out.

        Raises:
            DataError: `empty` or `nonfinite`, what is left has no values, or some are NaN or infinite.
        """
        x = _given(values, observed)
        if x.min() == x.max():
            return FittedScale(float(x[0]), 1.0)
        size = float(np.abs(x).max())
        mean = float((x / size).mean()) * size
        spread = float((x / size - mean / size).std()) * size
        return FittedScale(mean, spread if spread > 0 else 1.0)


@lean_dataclass(frozen=True)
class MinMaxScale:
    """The smallest value becomes `low`, the largest `high`. A constant series gets spread 1 and becomes all `low`.

    Args:
        low: Lower end of the scaled range.
        high: Upper end, above `low`.
    """

    low: float = 0.0
    high: float = 1.0

    def fit(self, values: Any, observed: NDArray[np.bool_] | None = None) -> FittedScale:
        """Learn from values of any shape; where `observed` is False they are left out.

        Raises:
            ArgumentError: `high` is not above `low`.
            DataError: `empty` or `nonfinite`, what is left has no values, or some are NaN or infinite.
        """
        if not self.low < self.high:
            raise ArgumentError(
                "high must be above low", got=f"low={self.low!r}, high={self.high!r}", fix="Pass for example 0 and 1."
            )
        x = _given(values, observed)
        least, most = float(x.min()), float(x.max())
        spread = most / (self.high - self.low) - least / (self.high - self.low)
        spread = spread if spread > 0 else 1.0
        return FittedScale(least - self.low * spread, spread)


def _given(values: Any, observed: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    x = np.asarray(values, dtype=np.float64)
    x = x.ravel() if observed is None else x[np.asarray(observed, dtype=bool)]
    if x.size == 0:
        raise DataError("a scale must see at least one value", got="none", fix="Give observed values.", code="empty")
    bad = np.flatnonzero(~np.isfinite(x))
    if bad.size:
        raise DataError(
            "a scale must see finite values only",
            got=str(x[bad[0]]),
            fix="Treat missing values first, or pass them as not observed.",
            where=[f"value {i}" for i in bad[:5]],
            count=int(bad.size),
            code="nonfinite",
        )
    return x
