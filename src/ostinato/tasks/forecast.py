"""Forecasting: the next steps of series, with intervals."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch

from ostinato.cells import CELLS, Cell
from ostinato.data import Cleaning, Columns, Panel, read_panel, to_like
from ostinato.errors import ArgumentError
from ostinato.kernels.choose import Choice as KernelChoice
from ostinato.layers.module import Layer
from ostinato.layers.noise import Noise
from ostinato.maps.base import Part
from ostinato.maps.dense import Dense
from ostinato.report import forecast_report, write
from ostinato.runtime.bundle import Bundle
from ostinato.runtime.forecaster import Forecaster, Reading, quantile_grid
from ostinato.runtime.forecaster_file import from_bundle, to_bundle
from ostinato.scans.recurrent import Recurrent
from ostinato.tasks.forecasting.backtest import Evaluation, evaluate
from ostinato.tasks.base import Task
from ostinato.tasks.checks import check_whole
from ostinato.tasks.forecasting.fitting import ForecastFit
from ostinato.tasks.forecasting.facts import facts
from ostinato.tasks.networks import Trained
from ostinato.tasks.forecasting.plan import Choice, Plan, make_plan
from ostinato.tasks.training import Training
from ostinato.tasks.forecasting.windows import Windows
from ostinato.version import __version__


class Fit(NamedTuple):
    """What `fit` leaves behind for the report.

    Args:
        panel: The data.
        plan: How it was cut and seen.
        trained: The networks that were evaluated, with their histories.
        kernels: The kernel of each cell.
        calibrated: What the width of the intervals is based on.
    """

    panel: Panel
    plan: Plan
    trained: tuple[Trained, ...]
    kernels: dict[str, KernelChoice]
    calibrated: str


@dataclass(eq=False)
class Forecast(Task):
    """Forecasts the next `horizon` steps of one or many series with recurrent networks, with intervals.

    `fit` holds out the last steps of each series, trains on what comes before, and evaluates from many origins in the
    held out steps beside naive, seasonal naive, drift and theta forecasts. The model that it keeps is then made in the
    same way from all steps. Intervals are conformalised quantile regression (Romano et al. 2019).

    Args:
        horizon: Steps to forecast.
        cell: Name of the recurrence ("lstm", "gru", "gru_reset_after", "simple_rnn"), or a cell whose other options
            are kept while `units` sets its size.
        units: Size of the recurrent layer; several numbers for several layers.
        level: Levels of the intervals in per cent.
        columns: Which column is what; found by name if not given.
        cleaning: What to do with missing values, duplicates and gaps; by default all are errors.
        windows: What the network sees and what tests it.
        training: How the networks are trained.

    Example:
        >>> import numpy as np
        >>> series = np.sin(np.arange(200) / 3.0)
        >>> model = Forecast(horizon=4, training=Training(epochs=2, members=1)).fit(series)
        >>> len(model.predict())
        4
    """

    horizon: int = 12
    cell: str | Cell = "lstm"
    units: int | Sequence[int] = 32
    level: Sequence[float] = (80, 95)
    columns: Columns = Columns()  # noqa: RUF009 (frozen)
    cleaning: Cleaning = Cleaning()  # noqa: RUF009 (frozen)
    windows: Windows = Windows()  # noqa: RUF009 (frozen)
    training: Training = Training()  # noqa: RUF009 (frozen)

    @classmethod
    def sample(cls) -> dict[str, Any]:
        """Two noisy seasonal series of 120 months."""
        t, rng = np.arange(120), np.random.default_rng(0)
        months = np.datetime64("2010-01", "M") + t
        wave = 10.0 + t / 20.0 + 3.0 * np.sin(t * np.pi / 6.0)
        return {
            "ds": months.astype("datetime64[D]"),
            "north": wave + rng.normal(0.0, 0.3, 120),
            "south": 2.0 * wave + rng.normal(0.0, 0.5, 120),
        }

    def fit(self, data: Any, *, verbose: int = 0) -> Self:
        """Learn from series.

        Args:
            data: A path, a frame, a dict or an array; see `ostinato.data.read_panel`.
            verbose: 0 nothing, 1 a progress bar, 2 a line an epoch.

        Raises:
            DataError: The data break a rule, or are too short.
            ArgumentError: An option is out of range.
            NonFiniteLoss: Training diverged.
        """
        cells, level = self._check()
        panel = read_panel(data, self.columns, cleaning=self.cleaning)
        plan = make_plan(panel, self.horizon, self.windows)
        framing = plan.framing
        parts: list[Part] = [Recurrent(c, return_sequences=i < len(cells) - 1) for i, c in enumerate(cells)]
        parts.append(Dense(self.horizon * len(quantile_grid(level))))
        fit = ForecastFit(panel, plan, tuple(parts), level, self.training, verbose)
        columns = replace(panel.columns, time_format=self.columns.time_format)
        reading = Reading(columns, self.cleaning, str(panel.freq))
        whole = [len(one) for one in panel.series]
        before = [n - plan.test for n in whole]
        trained = fit.ensemble(before, label="network")
        widening, why = fit.calibrate(before, trained, reading)
        judged = fit.forecaster(trained, before, reading, widening)
        self.evaluation_: Evaluation | None = None
        if plan.test:
            self.evaluation_ = evaluate(judged, panel, test=[plan.test] * len(panel), step=self.windows.step)
            final = fit.ensemble(whole, label="final network")
            judged = fit.forecaster(final, whole, reading, widening)
        self.forecaster_ = judged
        layer = Layer(parts[0])
        layer.build((plan.framing.length, 1), noise=Noise(0))
        seen = layer.choices(torch.zeros(1, plan.framing.length, 1))
        self.fit_ = Fit(panel, plan, trained, seen, why)
        return self

    def predict(self, data: Any = None) -> Any:
        """The next `horizon` steps of every series: median and intervals, as the kind of frame that came in.

        Args:
            data: Histories to continue; None continues the series of training.

        Returns:
            A long frame: the series' name, the time, the median under the cell's name ("LSTM"), and the ends of the
            intervals ("LSTM-lo-80", "LSTM-hi-80", …).

        Raises:
            DataError: A history is too short, or breaks a rule of `ostinato.data.read_panel`.
        """
        forecaster: Forecaster = self._fitted("forecaster_")
        if data is None:
            fit: Fit | None = getattr(self, "fit_", None)
            return to_like(forecaster.predict(), fit.panel.like if fit else "path")
        panel = forecaster.read(data)
        return to_like(forecaster.predict(panel), panel.like)

    def evaluate(self, data: Any = None) -> Evaluation:
        """Rolling-origin evaluation.

        Args:
            data: Other series, of which the last steps are forecast (`windows.test`, or two horizons); None gives what
                `fit` found on the steps it had held out.

        Raises:
            ArgumentError: `data` is None and `fit` held nothing out, or the model was loaded from a file.
        """
        forecaster: Forecaster = self._fitted("forecaster_")
        if data is not None:
            panel = forecaster.read(data)
            forecaster.warn_if_known(panel, 2 * self.horizon)
            test = [max(self.horizon, self.windows.test) if self.windows.test > 0 else 2 * self.horizon] * len(panel)
            return evaluate(forecaster, panel, test=test, step=self.windows.step)
        found: Evaluation | None = getattr(self, "evaluation_", None)
        if found is None:
            raise ArgumentError(
                "evaluate() must get data when fit held nothing out",
                got="no data",
                fix="Pass series to evaluate on, or fit with a test part.",
            )
        return found

    def score(self, data: Any = None) -> float:
        """1 - MASE, over the windows of `evaluate(data)`: 0 is as good as the seasonal naive forecast, 1 is perfect."""
        return 1.0 - self.evaluate(data).scores[0].mase

    def summary(self) -> str:
        """The verdict and the scores, in a few lines for a terminal."""
        self._fitted("fit_")
        if self.evaluation_ is None:
            return "Not evaluated: no steps were held out."
        return self.evaluation_.text()

    def explain_choices(self) -> list[dict[str, str]]:
        """What was chosen and why."""
        fit: Fit = self._fitted("fit_")
        rows = list(fit.plan.choices)
        asked = self.training.members
        rows.append(
            Choice("networks", str(len(fit.trained)), "as asked" if asked else "5 up to 1,000 windows, else 1")
        )
        best = ", ".join(str(t.epochs) for t in fit.trained)
        rows.append(Choice("epochs", best, f"best on the validation steps, patience {self.training.patience}"))
        for name, seen in fit.kernels.items():
            why = "; ".join(f"{k}: {reason}" for k, reason in seen.reasons.items()) or "the fastest for this cell"
            rows.append(Choice(f"kernel of {name}", seen.kernel, why))
        rows.append(Choice("intervals", "widened", f"{fit.calibrated}, until they held their share there"))
        if fit.plan.test:
            rows.append(Choice("saved model", "made anew from all steps", "in the same way as the one that was evaluated"))
        return [row._asdict() for row in rows]

    def report(self, path: str | os.PathLike[str] | None = None, *, command: str = "") -> str:
        """The report as one self-contained HTML page; also written to `path`, if given.

        Args:
            path: File to write.
            command: What the page says about how to make the same model again.
        """
        html = forecast_report(facts(self, self._fitted("fit_"), command=command or repr(self)))
        if path is not None:
            write(path, html)
        return html

    def to_bundle(self) -> Bundle:
        """The fitted task as data, for `save`."""
        given = {
            f"{group}_{f.name}": getattr(getattr(self, group), f.name)
            for group in ("training", "windows")
            for f in fields(getattr(self, group))
        }
        return to_bundle(self._fitted("forecaster_"), given=given, version=__version__)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """The task that `to_bundle` described."""
        forecaster = from_bundle(bundle)
        options = bundle.manifest.options
        cells = [part.cell for part in forecaster.parts if isinstance(part, Recurrent)]
        task = cls(
            horizon=forecaster.framing.horizon,
            cell=cells[0],
            units=tuple(c.units for c in cells),
            level=tuple(sorted(forecaster.level)),
            columns=forecaster.reading.columns,
            cleaning=forecaster.reading.cleaning,
            windows=Windows(**_group(options, "windows_", Windows)),
            training=Training(**_group(options, "training_", Training)),
        )
        task._check()
        task.forecaster_ = forecaster
        return task

    def _check(self) -> tuple[list[Cell], tuple[float, ...]]:
        check_whole("horizon", self.horizon, least=1)
        units = [self.units] if isinstance(self.units, int) else list(self.units)
        if not units:
            raise ArgumentError("units must name at least one layer", got="none", fix="Pass, say, units=32.")
        if isinstance(self.cell, Cell):
            cells = [replace(self.cell, units=n) for n in units]
        elif isinstance(self.cell, str) and self.cell in CELLS:
            cells = [CELLS[self.cell](n) for n in units]
        else:
            raise ArgumentError(
                f"cell must be one of {', '.join(CELLS)}, or a Cell", got=repr(self.cell), fix="Choose from the list."
            )
        level = tuple(sorted({float(p) for p in self.level}, reverse=True))
        if not level or not all(0.0 < p < 100.0 for p in level):
            raise ArgumentError(
                "level must be numbers between 0 and 100", got=repr(self.level), fix="Pass, say, (80, 95)."
            )
        self.windows.check()
        self.training.check()
        return cells, level


def _group(options: dict[str, Any], prefix: str, cls: type[Any]) -> dict[str, Any]:
    names = {f.name for f in fields(cls)}
    return {k.removeprefix(prefix): v for k, v in options.items() if k.startswith(prefix) and k.removeprefix(prefix) in names}
