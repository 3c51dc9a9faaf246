"""Metrics of point forecasts: one number from the truth `y` and the forecast `f` of the same shape.

All take `observed` (boolean, True where an entry counts; the values elsewhere may be NaN) and `weights` (at least 0).
Unequal shapes raise `ShapeError`, NaN and infinite values raise `DataError`; nothing is broadcast.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ostinato.errors import DataError, ShapeError
from ostinato.metrics.paired import Floats, chosen, finite, fraction, in_range, mean, numbers, paired, whole


def mse(y: ArrayLike, f: ArrayLike, *, observed: ArrayLike | None = None, weights: ArrayLike | None = None) -> float:
    """Mean of `(y - f)²`.

    Args:
        y: Truth, any shape.
        f: Forecast, the same shape.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.

    >>> mse([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    error, weight = _errors(y, f, observed=observed, weights=weights)
    with np.errstate(over="ignore"):
        return mean(error**2, weight)


def rmse(y: ArrayLike, f: ArrayLike, *, observed: ArrayLike | None = None, weights: ArrayLike | None = None) -> float:
    """Square root of the mean of `(y - f)²`, in the unit of `y`.

    Args:
        y: Truth, any shape.
        f: Forecast, the same shape.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.
    """
    error, weight = _errors(y, f, observed=observed, weights=weights)
    top = in_range(float(np.abs(error).max()))
    return top * math.sqrt(mean((error / top) ** 2, weight)) if top > 0 else 0.0


def mae(y: ArrayLike, f: ArrayLike, *, observed: ArrayLike | None = None, weights: ArrayLike | None = None) -> float:
    """Mean of `|y - f|`, in the unit of `y`.

    Args:
        y: Truth, any shape.
        f: Forecast, the same shape.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.
    """
    error, weight = _errors(y, f, observed=observed, weights=weights)
    return mean(np.abs(error), weight)


def smape(y: ArrayLike, f: ArrayLike, *, observed: ArrayLike | None = None, weights: ArrayLike | None = None) -> float:
    """Mean of `200 |y - f| / (|y| + |f|)` in per cent, 0 to 200, as in the M4 competition (Makridakis et al. 2020).

    Where both are 0 the entry counts as 0. An entry with `y` = 0 and `f` ≠ 0 counts 200 however small `f` is.

    Args:
        y: Truth, any shape.
        f: Forecast, the same shape.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.
    """
    (truth, forecast), weight = paired(("y", "f"), (y, f), observed=observed, weights=weights)
    size = np.abs(truth) / 2 + np.abs(forecast) / 2  # halves: the sum of two large numbers cannot overflow
    ratio = np.divide(np.abs(truth / 2 - forecast / 2), size, out=np.zeros_like(size), where=size > 0)
    return mean(200 * ratio, weight)


def mape(y: ArrayLike, f: ArrayLike, *, observed: ArrayLike | None = None, weights: ArrayLike | None = None) -> float:
    """Mean of `100 |y - f| / |y|` in per cent; not defined if a `y` is 0.

    Args:
        y: Truth, any shape, nowhere 0 where observed.
        f: Forecast, the same shape.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.

    Raises:
        DataError: Code `zero`: an observed `y` is 0.
    """
    (truth, forecast), weight = paired(("y", "f"), (y, f), observed=observed, weights=weights)
    zeros = int((truth == 0).sum())
    if zeros:
        raise DataError(
            "y must not be 0 anywhere for mape",
            got="0",
            fix="Use smape, mae or mase instead.",
            count=zeros,
            code="zero",
        )
    with np.errstate(over="ignore"):
        return mean(100 * np.abs((truth - forecast) / truth), weight)


def mase_scale(insample: ArrayLike, season: int = 1, *, observed: ArrayLike | None = None) -> float:
    """Mean absolute error of the seasonal naive forecast inside the training part, the unit of MASE.

    Args:
        insample: Training part of one series, `[n]` with n > season.
        season: Steps in a season; 1 compares each value with the one before.
        observed: Boolean `[n]`; a pair counts where both values are observed.

    Raises:
        DataError: Code `short`: no pair of observed values lies a season apart.
    """
    history, season = numbers("insample", insample), whole("season", season)
    if history.ndim != 1:
        raise ShapeError("insample must be one series [n]", got=f"shape {history.shape}", fix="Score each one alone.")
    keep, _ = chosen(history.shape, observed=observed, weights=None)
    finite("insample", history, keep)
    both = keep[season:] & keep[:-season]
    if not both.any():
        raise DataError(
            "insample must hold two observed values a season apart",
            got=f"{len(history)} values with season {season}",
            fix="Pass a longer training part or a smaller season.",
            code="short",
        )
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.abs(history[season:][both] - history[:-season][both])
    return mean(steps, np.ones(len(steps)))


def mase(
    y: ArrayLike,
    f: ArrayLike,
    *,
    insample: ArrayLike,
    season: int = 1,
    observed: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> float:
    """MAE divided by the in-sample MAE of the seasonal naive forecast (Hyndman & Koehler 2006); for one series.

    Below 1: better than the seasonal naive forecast was, one step ahead, on the training part. Where the training part
    repeats itself exactly (constant, for instance) the unit is 0 and the result is NaN, even for a perfect forecast:
    leave such series out of an average and say how many there were.

    Args:
        y: Truth, any shape, of one series.
        f: Forecast, the same shape.
        insample: Training part of the same series, `[n]`, n > season, complete (for gaps see `mase_scale`).
        season: Steps in a season; 1 scales by the plain naive forecast.
        observed: Boolean, True where an entry of `y` counts.
        weights: Weight of each entry of `y`.

    >>> mase([4.0, 5.0], [4.0, 3.0], insample=[1.0, 2.0, 3.0])
    1.0
    """
    error, unit = mae(y, f, observed=observed, weights=weights), mase_scale(insample, season)
    return in_range(error / unit) if unit > 0 else math.nan


def r2(y: ArrayLike, f: ArrayLike, *, observed: ArrayLike | None = None, weights: ArrayLike | None = None) -> float:
    """`1 - Σ(y - f)² / Σ(y - mean(y))²`: 1 is perfect, 0 is as good as the mean, below 0 is worse.

    Where `y` is constant the ratio is not defined: the result is then 1 for a perfect forecast and 0 for any other.

    Args:
        y: Truth, any shape; all entries are taken together.
        f: Forecast, the same shape.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.
    """
    (truth, forecast), weight = paired(("y", "f"), (y, f), observed=observed, weights=weights)
    counted = truth[weight > 0]
    if counted.min() == counted.max():
        return float((counted == forecast[weight > 0]).all())
    size = float(max(np.abs(truth).max(), np.abs(forecast).max()))
    truth, forecast = truth / size, forecast / size
    spread = (truth - mean(truth, weight)) ** 2
    return in_range(1 - mean((truth - forecast) ** 2, weight) / mean(spread, weight)) if spread.any() else 0.0


def quantile_loss(
    y: ArrayLike, f: ArrayLike, *, q: float, observed: ArrayLike | None = None, weights: ArrayLike | None = None
) -> float:
    """Mean pinball loss `max(q (y - f), (q - 1)(y - f))` (Koenker & Bassett 1978); half the MAE at q = 0.5.

    Args:
        y: Truth, any shape.
        f: Forecast of the `q` quantile, the same shape.
        q: Level, strictly between 0 and 1.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.
    """
    q = fraction("q", q)
    error, weight = _errors(y, f, observed=observed, weights=weights)
    return mean(np.maximum(q * error, (q - 1) * error), weight)


def _errors(
    y: ArrayLike, f: ArrayLike, *, observed: ArrayLike | None, weights: ArrayLike | None
) -> tuple[Floats, Floats]:
    (truth, forecast), weight = paired(("y", "f"), (y, f), observed=observed, weights=weights)
    with np.errstate(over="ignore"):
        return truth - forecast, weight
