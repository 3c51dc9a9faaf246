"""Forecasting: the next steps of series, with intervals."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ostinato._optional import check_installed
from ostinato.cells import CELLS, Cell
from ostinato.data import Cleaning, Columns, read_panel, to_like
from ostinato.errors import ArgumentError
from ostinato.maps.base import Part
from ostinato.maps.dense import Dense
from ostinato.report import forecast_report, write
from ostinato.runtime.bundle import Bundle
from ostinato.runtime.forecaster import LEAST_LEVEL, Forecaster, check_future, check_names, quantile_grid
from ostinato.runtime.forecaster_file import from_bundle, plain, to_bundle
from ostinato.runtime.histories import Reading
from ostinato.runtime.machine import expected
from ostinato.runtime.room import Room
from ostinato.scans.recurrent import Recurrent
from ostinato.tasks.base import Task
from ostinato.tasks.checks import NUMBER, check_cells, check_kind, check_whole
from ostinato.tasks.forecasting.backtest import Evaluation, evaluate
from ostinato.tasks.forecasting.plan import Choice, make_plan
from ostinato.tasks.forecasting.windows import Windows
from ostinato.tasks.training import OF_THE_RUN, Training
from ostinato.version import __version__

if TYPE_CHECKING:
    from ostinato.tasks.forecasting.facts import Fit
    from ostinato.tasks.forecasting.fitting import ForecastFit
    from ostinato.train.range_test import RangeTest

_MOST_WEIGHTS = 100_000_000


@dataclass(eq=False)
class Forecast(Task):
    """Forecasts the next `horizon` steps of one or many series with recurrent networks, with intervals.

    `fit` holds out the last steps of each series, trains on what comes before, and evaluates from many origins in the
    held out steps beside naive, seasonal naive, drift and theta forecasts. The model that it keeps is then made in the
    same way from all steps. Intervals are conformalised quantile regression (Romano et al. 2019).

    Args:
        horizon: Steps to forecast.
        cell: Name of the recurrence ("lstm", "gru", "gru_reset_after", "simple_rnn", …). In Python also a cell, whose
            other options are kept while `units` sets its size.
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
    level: float | Sequence[float] = (80, 95)
    columns: Columns = Columns()  # noqa: RUF009 (frozen)
    cleaning: Cleaning = Cleaning()  # noqa: RUF009 (frozen)
    windows: Windows = Windows()  # noqa: RUF009 (frozen)
    training: Training = Training()  # noqa: RUF009 (frozen)

    reads = (
        "DATA is a table (.csv, .tsv, .txt, .parquet) with a column of times and a column of values; a column more for "
        "each further series, or, in long form, one that names the series of each row."
    )
    example = "sales.csv"

    @classmethod
    def sample(cls) -> dict[str, Any]:
        """Two noisy seasonal series of 120 months."""
        t, rng = np.arange(120), np.random.default_rng(0)
        months = np.datetime64("2010-01", "M") + t.astype("timedelta64[M]")
        wave = 10.0 + t / 20.0 + 3.0 * np.sin(t * np.pi / 6.0)
        return {
            "ds": months.astype("datetime64[D]"),
            "north": wave + rng.normal(0.0, 0.3, 120),
            "south": 2.0 * wave + rng.normal(0.0, 0.5, 120),
        }

    def fit(self, data: Any, *, verbose: int = 0, room: Room | None = None) -> Self:
        """Learn from series.

        Args:
            data: A path, a frame, a dict or an array; see `ostinato.data.read_panel`.
            verbose: 0 nothing; on standard error, 1 a progress bar, or lines ten seconds apart where that is no
                terminal, 2 a line an epoch.
            room: Of the file that `save` will write: held before the training, which is not begun if there is none.

        Raises:
            DataError: The data break a rule, or are too short.
            ArgumentError: An option is out of range.
            NonFiniteLoss: Training diverged.
            CheckpointMismatch: `training.checkpoint` holds a run with other options or data.
            CheckpointDamaged: What it holds is not whole.
            WriteError: There is no room for the model.
            Interrupted: Ctrl-C, with a checkpoint: the state is saved, and the same call goes on from there.
        """
        ready = self._prepared(data)
        panel, plan = ready.panel, ready.plan
        if room is not None:
            room.hold(ready.most_bytes())
        from ostinato.tasks.forecasting.facts import Fit
        from ostinato.tasks.learning.runs import saved_run

        with saved_run(self.training, self._settings() | {"data": panel}) as run:
            fit = replace(ready, verbose=verbose, run=run)
            columns = replace(panel.columns, time_format=self.columns.time_format)
            reading = Reading(columns, self.cleaning, str(panel.freq))
            whole = [len(one) for one in panel.series]
            before = [n - plan.test for n in whole]
            trained = fit.ensemble(before, label="network")
            widening, why = fit.calibrate(before, trained, reading)
            judged = fit.forecaster(trained, before, reading, widening)
            evaluation = None
            if plan.test:
                evaluation = evaluate(judged, panel, test=[plan.test] * len(panel), step=self.windows.step)
                final = fit.ensemble(whole, label="final network")
                judged = fit.forecaster(final, whole, reading, widening)
        self.forecaster_, self.evaluation_ = judged, evaluation
        self.fit_ = Fit(panel, plan, trained, fit.kernels(), why, fit)
        return self

    def find_learning_rate(self, data: Any, **limits: Any) -> RangeTest:
        ready = self._prepared(data)
        return ready.range_test([len(one) - ready.plan.test for one in ready.panel.series], **limits)

    def _prepared(self, data: Any) -> ForecastFit:
        """What trains networks on `data`, read and planned; torch is loaded when all that is right."""
        check_installed("torch", purpose="to train a model")
        cells, level = self._check()
        panel = read_panel(data, self.columns, cleaning=self.cleaning)
        check_names(panel.columns, type(cells[0]).__name__, level)
        check_future(panel.freq, np.array([one.times[-1] for one in panel.series]), self.horizon)
        plan = make_plan(panel, int(self.horizon), self.windows)
        parts: list[Part] = [Recurrent(c, return_sequences=i < len(cells) - 1) for i, c in enumerate(cells)]
        parts.append(Dense(plan.framing.horizon * len(quantile_grid(level))))
        _check_size(parts, plan.framing.length)
        from ostinato.tasks.forecasting.fitting import ForecastFit

        return ForecastFit(panel, plan, tuple(parts), level, self.training)

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
            return to_like(forecaster.predict(), fit.panel.like if fit is not None else "path")
        panel = forecaster.read(data)
        return to_like(forecaster.predict(panel), panel.like)

    def evaluate(self, data: Any = None) -> Evaluation:
        """Rolling-origin evaluation.

        Args:
            data: Other series, or a `Panel` of them, of which the last steps are forecast (`windows.test`, or two
                horizons); None gives what `fit` found on the steps it had held out.

        Raises:
            ArgumentError: `data` is None and `fit` held nothing out, or the model was loaded from a file.
        """
        forecaster: Forecaster = self._fitted("forecaster_")
        if data is not None:
            panel = forecaster.read(data)
            steps = self.windows.test if self.windows.test > 0 else 2 * self.horizon
            forecaster.warn_if_known(panel, steps)
            return evaluate(forecaster, panel, test=[steps] * len(panel), step=self.windows.step)
        found: Evaluation | None = getattr(self, "evaluation_", None)
        if found is None:
            raise ArgumentError(
                "evaluate() must get data when fit held nothing out",
                got="no data",
                fix="Pass series to evaluate on, or fit with a test part.",
            )
        return found

    def cross_validation(self, data: Any, *, n_windows: int = 1, step_size: int = 1) -> Any:
        """Forecasts from the last origins of the past, as a frame with a `cutoff` column; leaves this model as it is.

        A model with these options is fitted once, to the steps before the first origin.

        Args:
            data: As for `fit`.
            n_windows: Number of origins; the last one has a whole horizon behind it.
            step_size: Steps between origins.

        Returns:
            The kind of frame that came in: series, time, cutoff (the last known time), y, and the forecast's columns.
        """
        check_whole("n_windows", n_windows, least=1)
        check_whole("step_size", step_size, least=1)
        check_kind("windows", self.windows, Windows)
        windows = replace(self.windows, test=self.horizon + (n_windows - 1) * step_size, step=step_size)
        changed = {"windows": windows, "training": replace(self.training, checkpoint=None)}
        model = type(self)(**(self.get_params(deep=False) | changed)).fit(data)
        return to_like(model.evaluate().backtest, model.fit_.panel.like)

    def score(self, data: Any = None) -> float:
        """1 - MASE, over the windows of `evaluate(data)`: 0 is as good as the seasonal naive forecast, 1 is perfect."""
        return 1.0 - self.evaluate(data).scores[0].mase

    def summary(self) -> str:
        """The verdict and the scores, in a few lines for a terminal."""
        fit: Fit = self._fitted("fit_")
        from ostinato.tasks.learning.ending import ending

        found = self.evaluation_.text() if self.evaluation_ else "Not evaluated: no steps were held out."
        return f"{found}\n\n{ending(fit.trained, self.training)}"

    def explain_choices(self) -> list[dict[str, str]]:
        """What was chosen and why."""
        fit: Fit = self._fitted("fit_")
        rows = list(fit.plan.choices)
        asked = self.training.members
        rows.append(Choice("networks", str(len(fit.trained)), "as asked" if asked else "5 up to 1,000 windows, else 1"))
        best = ", ".join(str(t.epochs) for t in fit.trained)
        made = ", ".join(str(len(t.history.epoch)) for t in fit.trained)
        most, patience = self.training.epochs, self.training.patience
        why = f"best on the validation steps, of {made} (at most {most}, patience {patience})"
        rows.append(Choice("epochs", best, why))
        for name, seen in fit.kernels.items():
            why = "; ".join(f"{k}: {reason}" for k, reason in seen.reasons.items()) or "the fastest for this cell"
            rows.append(Choice(f"kernel of {name}", seen.kernel, why))
        rows.append(Choice("intervals", "widened or narrowed", f"{fit.calibrated}, until they held their share there"))
        if fit.plan.test:
            rows.append(Choice("saved model", "made anew from all steps", "in the way of the one that was evaluated"))
        return [row._asdict() for row in rows]

    def report(self, path: str | os.PathLike[str] | None = None, *, command: str = "") -> str:
        """The report as one self-contained HTML page; also written to `path`, if given.

        Args:
            path: File to write.
            command: What the page says about how to make the same model again.
        """
        from ostinato.tasks.forecasting.facts import facts

        html = forecast_report(facts(self, self._fitted("fit_"), command=command or repr(self)))
        if path is not None:
            write(path, html)
        return html

    def to_bundle(self) -> Bundle:
        """The fitted task as data, for `save`."""
        given = {
            f"{group}_{f.name}": plain(getattr(getattr(self, group), f.name))
            for group in ("training", "windows")
            for f in fields(getattr(self, group))
            if f.name not in OF_THE_RUN
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
            cell=next((name for name, cls in CELLS.items() if cls(cells[0].units) == cells[0]), cells[0]),
            units=tuple(c.units for c in cells),
            level=tuple(sorted(forecaster.level)),
            columns=forecaster.reading.columns,
            cleaning=forecaster.reading.cleaning,
            windows=Windows(**_group(options, "windows_", Windows)),
            training=Training(**_group(options, "training_", Training)),
        )
        task.forecaster_ = forecaster
        return task

    def _settings(self) -> dict[str, Any]:
        """What makes a run of `fit` what it is, beside its data."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        groups = {name: own.pop(name) for name in ("training", "windows")}
        nested = {f.name: getattr(group, f.name) for group in groups.values() for f in fields(group)}
        nested.pop("checkpoint")
        nested.pop("every")
        return own | {"cell": repr(self.cell)} | nested

    def _check(self) -> tuple[list[Cell], tuple[float, ...]]:
        check_whole("horizon", self.horizon, least=1)
        for name, kind in (("columns", Columns), ("cleaning", Cleaning), ("windows", Windows), ("training", Training)):
            check_kind(name, getattr(self, name), kind)
        cells = check_cells(self.cell, self.units)
        levels: list[Any] = list(self.level) if isinstance(self.level, (list, tuple)) else [self.level]
        if not levels or not all(isinstance(p, NUMBER) and LEAST_LEVEL <= p <= 100.0 - LEAST_LEVEL for p in levels):
            raise ArgumentError(
                f"level must be numbers from {LEAST_LEVEL:g} to {100.0 - LEAST_LEVEL:g}",
                got=f"{self.level!r:.80}",
                fix="Pass, say, level=(80, 95).",
            )
        level = tuple(sorted({float(p) for p in levels}, reverse=True))
        self.cleaning.check()
        self.windows.check()
        self.training.check()
        return cells, level


def _check_size(parts: Sequence[Part], length: int) -> None:
    count = sum(math.prod(weight.shape) for needed in expected(parts, (length, 1)) for weight in needed.values())
    if count > _MOST_WEIGHTS:
        raise ArgumentError(
            f"a network must have at most {_MOST_WEIGHTS:,} weights",
            got=f"{count:,}",
            fix="Pass smaller units, a shorter horizon, or fewer levels.",
        )


def _group(options: dict[str, Any], prefix: str, cls: type[Any]) -> dict[str, Any]:
    names = {f.name for f in fields(cls)}
    return {
        k.removeprefix(prefix): v
        for k, v in options.items()
        if k.startswith(prefix) and k.removeprefix(prefix) in names
    }
