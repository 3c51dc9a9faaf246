"""The facts of a fitted forecast, as the report wants them."""

from __future__ import annotations

import platform
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from ostinato.data import Cleaning, Freq, Panel, time_text
from ostinato.kernels.choose import Choice as KernelChoice
from ostinato.report import ForecastReport
from ostinato.report.forecast import SERIES
from ostinato.runtime.forecaster import Forecaster
from ostinato.tasks.forecasting.backtest import Evaluation
from ostinato.tasks.forecasting.fitting import ForecastFit
from ostinato.tasks.forecasting.plan import Plan
from ostinato.tasks.learning.ending import ended
from ostinato.tasks.learning.networks import Trained, layer_rows
from ostinato.tasks.training import Training
from ostinato.version import __version__


class Fit(NamedTuple):
    """What `Forecast.fit` leaves behind for the report.

    Args:
        panel: The data.
        plan: How it was cut and seen.
        trained: The networks that were evaluated, with their histories.
        kernels: The kernel of each cell.
        calibrated: What the width of the intervals is based on.
        made: What trained them.
    """

    panel: Panel
    plan: Plan
    trained: tuple[Trained, ...]
    kernels: dict[str, KernelChoice]
    calibrated: str
    made: ForecastFit


class FittedTask(Protocol):
    """What the report reads of a fitted `Forecast`."""

    horizon: int
    training: Training
    forecaster_: Forecaster
    evaluation_: Evaluation | None

    def explain_choices(self) -> list[dict[str, str]]:
        """Rows of "what", "chosen" and "why"."""


def facts(task: FittedTask, fit: Fit, *, command: str) -> ForecastReport:
    """Everything that the report of `task` shows.

    Args:
        task: A fitted task.
        fit: What its `fit` left behind.
        command: How to make the same model again.
    """
    evaluation = task.evaluation_
    panel = fit.panel
    one = panel.ids[0] if len(panel) == 1 else f"{len(panel)} series"
    report: ForecastReport = {
        "title": f"Forecast of {one}, {task.horizon} steps ahead",
        "verdict": evaluation.verdict if evaluation else "Not evaluated: no steps were held out.",
        "made_with": {
            "versions": {
                "ostinato": __version__,
                "Python": platform.python_version(),
                "torch": str(torch.__version__),
                "numpy": np.__version__,
            },
            "seed": task.training.seed,
            "command": command,
        },
        "scores": {"rows": [], "n_windows": 0, "horizon": task.horizon},
        "data": _data(task, fit),
        "forecast": _forecasts(task, fit),
        "training": {
            "epochs": len(fit.trained[0].history.epoch),
            "train_loss": fit.trained[0].history.history["loss"],
            "valid_loss": fit.trained[0].history.history["val_loss"],
            "best_epoch": fit.trained[0].epochs,
            "ended": ended(fit.trained, task.training),
        },
        "gradients": fit.made.health(fit.trained[0]).facts(),
        "model": layer_rows(task.forecaster_.parts, (task.forecaster_.framing.length, 1)),
        "choices": [{"what": c["what"], "chosen": c["chosen"], "why": c["why"]} for c in task.explain_choices()],
        "notes": _notes(task, fit),
        "unit": panel.columns.target or (panel.ids[0] if len(panel) == 1 else "value"),
    }
    if evaluation:
        report["scores"] = {
            "rows": [
                {
                    "name": s.name, "mae": s.mae, "rmse": s.rmse, "smape": s.smape, "mase": s.mase,
                    "coverage": {_level(p): share for p, share in s.coverage.items()},
                }
                for s in evaluation.scores
            ],
            "n_windows": evaluation.windows,
            "horizon": task.horizon,
        }  # fmt: skip
        report["by_horizon"] = evaluation.by_horizon
        report["backtest"] = _backtests(task, fit)
    return report


def _data(task: FittedTask, fit: Fit) -> Any:
    panel = fit.panel
    first = min(one.times[0] for one in panel.series)
    last = max(one.times[-1] for one in panel.series)
    filled = int(sum((~one.observed).sum() for one in panel.series))
    cleaning = task.forecaster_.reading.cleaning
    asked = [
        f"{name} = {how}"
        for name in ("missing", "duplicates", "gaps")
        if (how := getattr(cleaning, name)) != getattr(Cleaning(), name)
    ]
    treatments = ["Rows were put in time order."] if panel.reordered else []
    if asked:
        treatments.append(f"Asked for, where the data needed it: {', '.join(asked)}.")
    if filled:
        treatments.append(f"{filled} absent values were filled in; they do not count in training and evaluation.")
    if panel.utc:
        treatments.append("Times had UTC offsets; they are in UTC.")
    texts = time_text(np.array([first, last]))
    return {
        "n_series": len(panel),
        "n_rows": panel.total,
        "freq": str(panel.freq),
        "first": texts[0],
        "last": texts[1],
        "treatments": treatments,
    }


def _forecasts(task: FittedTask, fit: Fit) -> list[Any]:
    forecaster, shown = task.forecaster_, list(fit.panel.series[:SERIES])
    windows = np.stack([forecaster.window(one) for one in shown])
    quantiles = forecaster.forecast(windows, forecaster.known.spreads[: len(shown)])
    freq = Freq.parse(forecaster.reading.freq)
    return [
        {
            "id": one.id,
            "times": one.times,
            "history": np.where(one.observed, one.values, np.nan),
            "future_times": freq.next(one.times[-1], task.horizon),
            "median": quantiles[i, :, len(forecaster.level)],
            "bands": {_level(p): (quantiles[i, :, k], quantiles[i, :, -1 - k]) for k, p in enumerate(forecaster.level)},
        }
        for i, one in enumerate(shown)
    ]


def _backtests(task: FittedTask, fit: Fit) -> list[Any]:
    """For each series the last forecasts whose horizons do not overlap."""
    assert task.evaluation_ is not None
    found, h, forecaster = task.evaluation_.backtest, task.horizon, task.forecaster_
    names = found[fit.panel.columns.id or "unique_id"].reshape(-1, h)[:, 0]
    times = found[fit.panel.columns.time or "ds"].reshape(-1, h)
    columns = {name: found[name].reshape(-1, h) for name in (*forecaster.columns(), "y")}
    series = []
    for one in fit.panel.series[:SERIES]:
        rows = [int(i) for i in np.flatnonzero(names == one.id)]
        chosen: list[int] = []
        for i in reversed(rows):
            if not chosen or times[i, -1] < times[chosen[-1], 0]:
                chosen.append(i)
        chosen = chosen[:3][::-1]
        if not chosen:
            continue
        start = int(np.searchsorted(one.times, times[chosen[0], 0]))
        span = slice(max(0, start - h), len(one))
        low, high = forecaster.columns()[: len(forecaster.level)], forecaster.columns()[::-1]
        series.append(
            {
                "id": one.id,
                "times": one.times[span],
                "actual": np.where(one.observed, one.values, np.nan)[span],
                "cutoffs": [
                    {
                        "times": times[i],
                        "median": columns[forecaster.label][i],
                        "bands": {
                            _level(p): (columns[low[k]][i], columns[high[k]][i]) for k, p in enumerate(forecaster.level)
                        },
                    }
                    for i in chosen
                ],
            }
        )
    return series


def _level(p: float) -> Any:
    """A level as the page shows it: 80, but 97.5."""
    return int(p) if p.is_integer() else p


def _notes(task: FittedTask, fit: Fit) -> list[str]:
    level = sorted(task.forecaster_.level)
    notes = [
        f"The forecast is the mean of {len(fit.trained)} networks that differ in their first weights and the order of "
        "the data; the training curve is the first one's."
        if len(fit.trained) > 1
        else "The forecast is that of one network.",
        "Scores come from networks that saw nothing of the test steps. The saved model was then made in the same way "
        "from all steps.",
        f"Intervals of {' and '.join(f'{p:g}' for p in level)} per cent were widened or narrowed {fit.calibrated}, "
        "until they held that share there; the table shows what they held on the test steps.",
        "At each origin the rivals are fitted anew to the whole history; the networks keep their weights.",
    ]
    if task.evaluation_ and task.evaluation_.unscaled:
        notes.append(
            f"{task.evaluation_.unscaled} windows are left out of MASE: their training part repeats itself exactly."
        )
    return notes
