"""Forecasts without a network: the rivals that every forecast report shows beside it.

Each takes one complete history and returns a `Rival`; its quantiles are `point + z * spread` with the standard normal's
`z`. Where a history is too short for a method, the method's docstring says what it does instead.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ostinato.errors import DataError, ShapeError
from ostinato.metrics.paired import Floats, finite, numbers, whole

_GRID = 33
"""Smoothing weights that are tried side by side in each pass of the search."""


class Rival(NamedTuple):
    """A forecast for the next `h` steps.

    Args:
        point: `[h]`, the forecast.
        spread: `[h]`, standard deviation of its error, estimated from the one-step errors inside the history; 0 where
            the history holds no such error (one value, or a series that the method fits exactly).
    """

    point: Floats
    spread: Floats


def naive(history: ArrayLike, h: int) -> Rival:
    """Repeat the last value; the spread grows with the square root of the step (a random walk).

    Args:
        history: `[n]`, n at least 1, complete.
        h: Steps to forecast.

    >>> naive([1.0, 2.0, 4.0], 2).point.tolist()
    [4.0, 4.0]
    """
    y, h, size = _history(history, h)
    step = _root_mean_square(np.diff(y), lost=0)
    return _scaled(np.full(h, y[-1]), step * np.sqrt(np.arange(1, h + 1)), size)


def seasonal_naive(history: ArrayLike, h: int, *, season: int) -> Rival:
    """Repeat the last season; the spread grows with the square root of the seasons ahead.

    A history shorter than one season is repeated like `naive`. A history of exactly one season has no seasonal errors:
    its spread is that of `naive` one step ahead, times the growth.

    Args:
        history: `[n]`, n at least 1, complete.
        h: Steps to forecast.
        season: Steps in a season; 1 is `naive`.
    """
    y, h, size = _history(history, h)
    season = whole("season", season)
    if len(y) < season:
        return naive(history, h)
    ahead = np.arange(h)
    errors = y[season:] - y[:-season] if len(y) > season else np.diff(y)
    step = _root_mean_square(errors, lost=0)
    return _scaled(y[len(y) - season + ahead % season], step * np.sqrt(1 + ahead // season), size)


def drift(history: ArrayLike, h: int) -> Rival:
    """Continue the line from the first to the last value (a random walk with drift); one value is repeated.

    Args:
        history: `[n]`, n at least 1, complete.
        h: Steps to forecast.
    """
    y, h, size = _history(history, h)
    if len(y) == 1:
        return naive(history, h)
    slope, ahead = (y[-1] - y[0]) / (len(y) - 1), np.arange(1, h + 1)
    step = _root_mean_square(np.diff(y) - slope, lost=1)
    return _scaled(y[-1] + slope * ahead, step * np.sqrt(ahead * (1 + ahead / (len(y) - 1))), size)


def theta(history: ArrayLike, h: int, *, season: int = 1) -> Rival:
    """Standard Theta method (Assimakopoulos & Nikolopoulos 2000), the benchmark of the M competitions.

    The mean of two forecasts: the straight line `L` through the series, and simple exponential smoothing of the line
    `2 y - L`. That is exponential smoothing with half the slope as drift (Hyndman & Billah 2003). Weight and start of
    the smoothing minimise the squared one-step errors; these errors are twice those of the whole method, so both are
    fitted at once.

    A season is taken out first if the history holds at least two seasons and the autocorrelation one season back is
    significant at 90 %: by classical decomposition, as factors where all values are positive and no factor is
    below 0.01, else as differences.

    Args:
        history: `[n]`, n at least 1, complete. One value, or a constant series, is repeated with spread 0.
        h: Steps to forecast.
        season: Steps in a season; 1 looks for none.
    """
    y, h, size = _history(history, h)
    season, n = whole("season", season), len(y)
    ahead = np.arange(h)
    if (y == y[0]).all():
        return _scaled(np.full(h, y[0]), np.zeros(h), size)
    factor, offset = np.ones(n + h), np.zeros(n + h)
    if season > 1 and n >= 2 * season and _is_seasonal(y, season):
        factor, offset = _decompose(y, season, length=n + h)
    plain = (y - offset[:n]) / factor[:n]
    time = np.arange(n + h) - (n - 1) / 2
    line = plain.mean() + time * (time[:n] @ plain) / (time[:n] @ time[:n])
    alpha, level, errors = _smooth(2 * plain - line[:n])
    step = _root_mean_square(errors / 2, lost=3)
    point = (line[n:] + level) / 2
    return _scaled(point * factor[n:] + offset[n:], step * np.sqrt(1 + ahead * alpha**2) * factor[n:], size)


class _Smoothing(NamedTuple):
    alpha: float
    level: float
    errors: Floats


def _smooth(z: Floats) -> _Smoothing:
    """Simple exponential smoothing of `z [n]` with the weight and the start that minimise the squared one-step errors.

    Three passes over a grid of weights, each between the neighbours of the best one before, then a parabola.
    """
    low, high = 0.0, 1.0
    for _ in range(3):
        alphas = np.linspace(low, high, _GRID)
        errors, _levels = _one_step(z, alphas)
        cost = (errors**2).sum(axis=1)
        best = int(cost.argmin())
        low, high = alphas[max(best - 1, 0)], alphas[min(best + 1, _GRID - 1)]
    candidates = alphas[best : best + 1]
    if 0 < best < _GRID - 1:
        left, middle, right = cost[best - 1 : best + 2]
        bend = left - 2 * middle + right
        if bend > 0:
            vertex = alphas[best] + (alphas[1] - alphas[0]) * (left - right) / (2 * bend)
            candidates = np.array([alphas[best], np.clip(vertex, 0.0, 1.0)])
    errors, levels = _one_step(z, candidates)
    best = int((errors**2).sum(axis=1).argmin())
    return _Smoothing(float(candidates[best]), float(levels[best]), errors[best])


def _one_step(z: Floats, alphas: Floats) -> tuple[Floats, Floats]:
    """One-step errors `[alphas, n]` and last levels `[alphas]`, for the best start of each weight.

    The level `l_t = (1 - a) l_{t-1} + a z_t` from start 0 is summed by doubling: after pass k each entry holds its last
    2^k terms. The start adds `(1 - a)^t` times itself, so the best start is a linear least-squares problem.
    """
    keep = 1 - alphas[:, None]
    levels = alphas[:, None] * z
    reach, decay = 1, keep
    while reach < len(z) and decay.max() > 1e-18:
        shifted = decay * levels[:, :-reach]
        levels[:, reach:] += shifted
        reach, decay = 2 * reach, decay * decay
    fade = keep ** np.arange(len(z) + 1)
    errors = np.broadcast_to(z, levels.shape).copy()
    errors[:, 1:] -= levels[:, :-1]
    start = (errors * fade[:, :-1]).sum(axis=1) / (fade[:, :-1] ** 2).sum(axis=1)
    errors -= start[:, None] * fade[:, :-1]
    return errors, levels[:, -1] + start * fade[:, -1]


def _is_seasonal(y: Floats, season: int) -> bool:
    """Whether the autocorrelation at the season exceeds its 90 % limit (Bartlett's formula), as in M3 and M4."""
    centred = y - y.mean()
    total = centred @ centred
    if total == 0:
        return False
    r = np.array([centred[lag:] @ centred[:-lag] for lag in range(1, season + 1)]) / total
    return bool(abs(r[-1]) > 1.645 * np.sqrt((1 + 2 * (r[:-1] ** 2).sum()) / len(y)))


def _decompose(y: Floats, season: int, *, length: int) -> tuple[Floats, Floats]:
    """Classical decomposition: seasonal factors and offsets for `length` steps; one of the two is neutral."""
    kernel = np.full(season, 1 / season)
    if season % 2 == 0:
        kernel = np.convolve(kernel, [0.5, 0.5])
    edge = len(kernel) // 2
    trend, middle = np.convolve(y, kernel, mode="valid"), y[edge : len(y) - edge]
    place = np.arange(edge, len(y) - edge) % season
    count = np.bincount(place, minlength=season)
    if (y > 0).all():
        figure = np.bincount(place, weights=middle / trend, minlength=season) / count
        figure /= figure.mean()
        if figure.min() >= 0.01:
            return np.resize(figure, length), np.zeros(length)
    figure = np.bincount(place, weights=middle - trend, minlength=season) / count
    return np.ones(length), np.resize(figure - figure.mean(), length)


def _history(history: ArrayLike, h: int) -> tuple[Floats, int, float]:
    """The checked history over its largest magnitude (squares cannot overflow then), `h`, and that magnitude."""
    y, h = numbers("history", history), whole("h", h)
    if y.ndim != 1:
        raise ShapeError("history must be one series [n]", got=f"shape {y.shape}", fix="Forecast each series alone.")
    if len(y) == 0:
        raise DataError("history must hold at least one value", got="none", fix="Leave empty series out.", code="empty")
    finite("history", y, np.ones(len(y), dtype=bool))
    size = float(np.abs(y).max())
    return (y / size, h, size) if size > 0 else (y, h, 1.0)


def _scaled(point: Floats, spread: Floats, size: float) -> Rival:
    with np.errstate(over="ignore"):
        result = Rival(point * size, spread * size)
    if not (np.isfinite(result.point).all() and np.isfinite(result.spread).all()):
        raise DataError(
            "the forecast must stay within the range of float64",
            got=f"a history as large as {size:g}",
            fix="Divide the history by a fixed number first.",
            code="overflow",
        )
    return result


def _root_mean_square(errors: Floats, *, lost: int) -> float:
    """Root of the mean square with `lost` fitted numbers taken from the count; 0 without errors."""
    return float(np.sqrt((errors @ errors) / max(len(errors) - lost, 1))) if len(errors) else 0.0
