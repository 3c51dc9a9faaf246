"""Rolling-origin evaluation: forecast from many points of the past, and compare with what came and with rivals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato.data import Panel, Series, Table
from ostinato.data.framing import Floats
from ostinato.errors import DataError
from ostinato.metrics import coverage, mae, mase_scale, rmse, smape
from ostinato.metrics.rivals import Rival, drift, naive, seasonal_naive, theta
from ostinato.runtime.forecaster import Forecaster

_ORIGINS_PER_SERIES = 50
_ORIGINS = 2000


class Score(NamedTuple):
    """The figures of one forecaster over all windows.

    Args:
        name: The network's label, or the rival's name.
        mae: Mean absolute error.
        rmse: Root mean squared error.
        smape: Symmetric mean absolute percentage error (M4's, 0 to 200).
        mase: Mean absolute error over that of the seasonal naive forecast inside the training part, averaged over
            windows; NaN if no series has such an error.
        coverage: Share of values inside each interval, by its level.
    """

    name: str
    mae: float
    rmse: float
    smape: float
    mase: float
    coverage: dict[float, float]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a rolling-origin evaluation found.

    Args:
        scores: The network first, then the rivals.
        by_horizon: Mean absolute error of each at each step ahead, `[horizon]`, or of the scaled error for many series.
        verdict: One sentence that says who wins and by how much.
        windows: Number of forecasts.
        backtest: Every forecast: series, cutoff, time, actual value, median and ends of the intervals.
        unscaled: Windows left out of MASE because their training part repeats itself exactly.
    """

    scores: tuple[Score, ...]
    by_horizon: dict[str, list[float]]
    verdict: str
    windows: int
    backtest: Table
    unscaled: int

    @property
    def table(self) -> Table:
        """The scores as a table."""
        levels = list(self.scores[0].coverage)
        return Table(
            {
                "model": np.array([s.name for s in self.scores], dtype=object),
                **{key: np.array([getattr(s, key) for s in self.scores]) for key in ("mae", "rmse", "smape", "mase")},
                **{f"coverage-{p:g}": np.array([s.coverage[p] for s in self.scores]) for p in levels},
            }
        )

    def text(self) -> str:
        """The verdict and the scores, for a terminal."""
        levels = list(self.scores[0].coverage)
        head = ["", "MAE", "RMSE", "sMAPE", "MASE", *(f"in {p:g} %" for p in levels)]
        rows = [head] + [
            [s.name, f"{s.mae:.4g}", f"{s.rmse:.4g}", f"{s.smape:.2f}", f"{s.mase:.3f}"]
            + [f"{100 * s.coverage[p]:.0f} %" for p in levels]
            for s in self.scores
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        return "\n".join([self.verdict, f"{self.windows} forecasts of the held-out steps:", "", *lines])


def rivals(season: int) -> dict[str, Callable[[Floats, int], Rival]]:
    """The rivals by name; without a season there is no seasonal one."""
    found: dict[str, Callable[[Floats, int], Rival]] = {"naive": naive}
    if season > 1:
        found["seasonal naive"] = lambda y, h: seasonal_naive(y, h, season=season)
    return found | {"drift": drift, "theta": lambda y, h: theta(y, h, season=season)}


class _Window(NamedTuple):
    series: int
    origin: int


def evaluate(forecaster: Forecaster, panel: Panel, *, test: Sequence[int], step: int) -> Evaluation:
    """Forecast from every origin in the last steps of each series.

    At each origin the network sees the history up to it but keeps the weights of training; the rivals are fitted to
    that whole history.

    Args:
        forecaster: A trained one.
        panel: The series.
        test: Steps at the end of each series that count; each at least the horizon.
        step: Steps between origins; 0 for about 50 a series and 2,000 in all.

    Raises:
        DataError: `short`, a series has no origin with enough history and a whole horizon behind it.
    """
    h = forecaster.framing.horizon
    windows = _origins(forecaster, panel, test, step)
    spreads = forecaster.spreads(panel)
    past = np.stack([panel.series[w.series].values[w.origin - forecaster.framing.reach : w.origin] for w in windows])
    quantiles = forecaster.forecast(past, spreads[[w.series for w in windows]])
    actual = np.stack([panel.series[w.series].values[w.origin : w.origin + h] for w in windows])
    known = np.stack([panel.series[w.series].observed[w.origin : w.origin + h] for w in windows])
    season = forecaster.framing.season
    stops = [max(len(one) - steps, forecaster.framing.reach) for one, steps in zip(panel.series, test, strict=True)]
    scales = [_scale(one.between(0, stop), season) for one, stop in zip(panel.series, stops, strict=True)]
    scale = np.array(scales)[[w.series for w in windows]]
    middle = len(forecaster.level)
    ends = {p: (quantiles[:, :, i], quantiles[:, :, -1 - i]) for i, p in enumerate(forecaster.level)}
    points: dict[str, Floats] = {forecaster.label: quantiles[:, :, middle]}
    scores = [_score(forecaster.label, actual, known, points[forecaster.label], ends, scale)]
    for name, rival in rivals(season).items():
        found = [rival(panel.series[w.series].values[: w.origin], h) for w in windows]
        points[name] = np.stack([f.point for f in found])
        spread = np.stack([f.spread for f in found])
        z = {p: NormalDist().inv_cdf(0.5 + p / 200.0) * spread for p in forecaster.level}
        ends_of = {p: (points[name] - d, points[name] + d) for p, d in z.items()}
        scores.append(_score(name, actual, known, points[name], ends_of, scale))
    unit = scale[:, None] if len(panel) > 1 and np.isfinite(scale).all() else np.ones((len(scale), 1))
    count = np.maximum(known.sum(0), 1)
    return Evaluation(
        scores=tuple(scores),
        by_horizon={n: list((np.abs(p - actual) / unit * known).sum(0) / count) for n, p in points.items()},
        verdict=verdict(scores, many=len(panel) > 1),
        windows=len(windows),
        backtest=_table(forecaster, panel, windows, actual, known, quantiles),
        unscaled=int((~np.isfinite(scale)).sum()),
    )


def verdict(scores: Sequence[Score], *, many: bool) -> str:
    """Who wins, in one sentence: by MASE over many series (their units differ), by MAE for one."""
    own, *others = scores
    key = "mase" if many and all(np.isfinite(s.mase) for s in scores) else "mae"
    best = min(others, key=lambda s: float(getattr(s, key)))
    ours, theirs = getattr(own, key), getattr(best, key)
    share = (
        f" ({abs(ours - theirs) / theirs * 100.0:.0f} % {'less' if ours < theirs else 'more'})" if theirs > 0.0 else ""
    )
    figures = f"{key.upper()} {ours:.4g} against {theirs:.4g} for {best.name}, the best rival"
    if ours < theirs:
        return f"The network wins: {figures}{share}.{_but(own, others)}"
    if ours == theirs:
        return f"The network does not win: {figures} (a tie). The rival is simpler: prefer it."
    return f"The network does not win: {figures}{share}. Prefer the rival here, or train on more data."


def _but(own: Score, others: Sequence[Score]) -> str:
    """What to add where the network wins by absolute error only, as on series that are mostly zero."""
    best = min(others, key=lambda s: s.rmse)
    if own.rmse <= best.rmse:
        return ""
    return f" But {best.name} is closer to the mean: RMSE {best.rmse:.4g} against {own.rmse:.4g}."


def _origins(forecaster: Forecaster, panel: Panel, test: Sequence[int], step: int) -> list[_Window]:
    h, reach = forecaster.framing.horizon, forecaster.framing.reach
    spans: list[range] = []
    for series, steps in zip(panel.series, test, strict=True):
        forecaster.check_domain(series)
        span = range(max(len(series) - steps, reach), len(series) - h + 1)
        if not span:
            raise DataError(
                f"a series must have at least {reach} steps of history and {h} to forecast to be evaluated",
                got=f"{len(series)} steps, of which {steps} are to be forecast",
                where=f"series {series.id!r}",
                fix="Pass a longer series, or a shorter horizon or window.",
                code="short",
            )
        spans.append(span)
    chosen = np.unique(np.linspace(0, len(spans) - 1, min(len(spans), _ORIGINS)).astype(int))
    windows = []
    for i in chosen:
        most = max(1, min(_ORIGINS_PER_SERIES, _ORIGINS // len(chosen)))
        stride = step or -(-len(spans[i]) // most)
        windows += [_Window(int(i), origin) for origin in spans[i][::-1][::stride][::-1]]
    return windows


def _scale(past: Series, season: int) -> float:
    """The unit of MASE; NaN where no observed value has another one a season before it, or all such pairs are equal."""
    lag = season if len(past) > season else 1
    if not (past.observed[lag:] & past.observed[:-lag]).any():
        return float("nan")
    return mase_scale(past.values, lag, observed=past.observed) or float("nan")


def _score(
    name: str,
    actual: Floats,
    known: NDArray[np.bool_],
    point: Floats,
    ends: dict[float, tuple[Floats, Floats]],
    scale: Floats,
) -> Score:
    usable = np.isfinite(scale) & known.any(1)
    by_window = (np.abs(point - actual) * known).sum(1) / np.maximum(known.sum(1), 1)
    return Score(
        name,
        mae=mae(actual, point, observed=known),
        rmse=rmse(actual, point, observed=known),
        smape=smape(actual, point, observed=known),
        mase=float((by_window[usable] / scale[usable]).mean()) if usable.any() else float("nan"),
        coverage={p: coverage(actual, low=low, high=high, observed=known) for p, (low, high) in sorted(ends.items())},
    )


def _table(
    forecaster: Forecaster,
    panel: Panel,
    windows: Sequence[_Window],
    actual: Floats,
    known: NDArray[np.bool_],
    quantiles: Floats,
) -> Table:
    h = forecaster.framing.horizon
    times = [panel.series[w.series].times for w in windows]
    return Table(
        {
            panel.columns.id or "unique_id": np.repeat(
                np.array([panel.series[w.series].id for w in windows], dtype=object), h
            ),
            panel.columns.time or "ds": np.concatenate(
                [t[w.origin : w.origin + h] for t, w in zip(times, windows, strict=True)]
            ),
            "cutoff": np.repeat(np.array([t[w.origin - 1] for t, w in zip(times, windows, strict=True)]), h),
            "y": np.where(known, actual, np.nan).reshape(-1),
            **{name: quantiles[:, :, i].reshape(-1) for i, name in enumerate(forecaster.columns())},
        }
    )
