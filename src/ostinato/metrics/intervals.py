"""Metrics of interval and quantile forecasts. Shapes, `observed` and `weights` as in `points`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ostinato.errors import ArgumentError, DataError, ShapeError
from ostinato.metrics.paired import Floats, chosen, finite, fraction, mean, numbers, paired


def coverage(
    y: ArrayLike,
    *,
    low: ArrayLike,
    high: ArrayLike,
    observed: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> float:
    """Share of entries inside the interval, ends included, 0 to 1; a good 80 % interval has about 0.8.

    Args:
        y: Truth, any shape.
        low: Lower end, the same shape.
        high: Upper end, the same shape, nowhere below `low`.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.

    Raises:
        DataError: Code `crossed`: an upper end lies below its lower end.

    >>> coverage([1.0, 5.0], low=[0.0, 0.0], high=[2.0, 2.0])
    0.5
    """
    truth, lower, upper, weight = _interval(y, low, high, observed=observed, weights=weights)
    return mean(((lower <= truth) & (truth <= upper)).astype(np.float64), weight)


def mean_width(
    low: ArrayLike, high: ArrayLike, *, observed: ArrayLike | None = None, weights: ArrayLike | None = None
) -> float:
    """Mean of `high - low`: among intervals with the right coverage the narrower is better.

    Args:
        low: Lower end, any shape.
        high: Upper end, the same shape, nowhere below `low`.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.

    Raises:
        DataError: Code `crossed`: an upper end lies below its lower end.
    """
    _, lower, upper, weight = _interval(low, low, high, observed=observed, weights=weights)
    with np.errstate(over="ignore"):
        return mean(upper - lower, weight)


def interval_score(
    y: ArrayLike,
    *,
    low: ArrayLike,
    high: ArrayLike,
    level: float,
    observed: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> float:
    """Width plus `2 / (1 - level)` times the distance to the interval where it misses (Winkler 1972); small is good.

    Its mean is smallest for the true quantiles at `(1 ± level) / 2` (Gneiting & Raftery 2007, eq. 43).

    Args:
        y: Truth, any shape.
        low: Lower end, the same shape.
        high: Upper end, the same shape, nowhere below `low`.
        level: Nominal coverage, strictly between 0 and 1.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.

    Raises:
        DataError: Code `crossed`: an upper end lies below its lower end.
    """
    level = fraction("level", level)
    truth, lower, upper, weight = _interval(y, low, high, observed=observed, weights=weights)
    with np.errstate(over="ignore", invalid="ignore"):
        missed = np.maximum(lower - truth, 0) + np.maximum(truth - upper, 0)
        return mean(upper - lower + 2 / (1 - level) * missed, weight)


def crps(
    y: ArrayLike,
    quantiles: ArrayLike,
    *,
    levels: Sequence[float],
    observed: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> float:
    """Continuous ranked probability score from quantiles: `2 ∫ pinball_q dq` over 0 to 1 (Laio & Tamea 2007).

    The integral is a sum over the levels; each level counts as far as the midpoints to its neighbours, the outer ones
    to 0 and 1, so unevenly spaced levels are not favoured. With levels that lie symmetrically around 0.5 a forecast
    whose quantiles are all equal scores its MAE. Few levels make the sum coarse: compare only equal sets of levels.

    Args:
        y: Truth, any shape.
        quantiles: `[*y.shape, n_levels]`.
        levels: Rising, each strictly between 0 and 1.
        observed: Boolean of the shape of `y`, True where an entry counts.
        weights: Weight of each entry of `y`.
    """
    truth, values = numbers("y", y), numbers("quantiles", quantiles)
    q = np.array([fraction("each level", level) for level in levels])
    if len(q) == 0 or (np.diff(q) <= 0).any():
        raise ArgumentError("levels must be a rising list", got=repr(list(levels)), fix="Sort them, without repeats.")
    if values.shape != (*truth.shape, len(q)):
        raise ShapeError(
            f"quantiles must have the shape of y and one more axis for the levels, {(*truth.shape, len(q))}",
            got=f"{values.shape}",
            fix="Put the levels on the last axis.",
        )
    keep, weight = chosen(truth.shape, observed=observed, weights=weights)
    finite("y", truth, keep)
    finite("quantiles", values, np.broadcast_to(keep[..., None], values.shape))
    share = np.diff(np.concatenate([[0.0], (q[1:] + q[:-1]) / 2, [1.0]]))
    with np.errstate(over="ignore", invalid="ignore"):
        error = truth[keep][:, None] - values[keep]
        return mean(2 * np.maximum(q * error, (q - 1) * error) @ share, weight[keep])


def _interval(
    y: ArrayLike, low: ArrayLike, high: ArrayLike, *, observed: ArrayLike | None, weights: ArrayLike | None
) -> tuple[Floats, Floats, Floats, Floats]:
    (truth, lower, upper), weight = paired(("y", "low", "high"), (y, low, high), observed=observed, weights=weights)
    crossed = int((upper < lower).sum())
    if crossed:
        raise DataError(
            "high must nowhere be below low",
            got="an interval with crossed ends",
            fix="Sort the two ends.",
            count=crossed,
            code="crossed",
        )
    return truth, lower, upper, weight
