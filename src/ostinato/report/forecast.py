"""The forecast report: a plain dict in, one HTML page out. Nothing is computed here; the dict says all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from ostinato.errors import ArgumentError
from ostinato.report.figures import COLOURS, Band, Line, Plot, figure, side_by_side
from ostinato.report.health import HealthFacts, health_section
from ostinato.report.page import Page, Section, render
from ostinato.report.pieces import Choice, LayerRow, MadeWith, Training, choices, layers, listed, losses, reproduce
from ostinato.report.tables import Column, table

Bands = Mapping[int, tuple[ArrayLike, ArrayLike]]
"""Nominal coverage in per cent (80) to lower and upper ends, `[h]` each."""

SHOWN = 5
"""A forecast is drawn with at most this many horizons of history before it (but at least 36 steps)."""

SERIES = 6
"""At most this many series are drawn."""


class DataFacts(TypedDict):
    """What was read: counts, frequency ("monthly"), first and last time, and each treatment as a sentence."""

    n_series: int
    n_rows: int
    freq: str
    first: object
    last: object
    treatments: Sequence[str]


class ScoreRow(TypedDict):
    """One method's scores; None where a score is not defined. `coverage`: nominal per cent to a fraction, 0 to 1."""

    name: str
    mae: float | None
    rmse: float | None
    smape: float | None
    mase: float | None
    coverage: Mapping[int, float | None]


class Scores(TypedDict):
    """The score table: the network's row comes first; means over `n_windows` windows of `horizon` steps."""

    rows: Sequence[ScoreRow]
    n_windows: int
    horizon: int


class SeriesForecast(TypedDict):
    """One series with its forecast. Times are dates, ISO texts or numbers."""

    id: str
    times: Sequence[object]
    history: ArrayLike
    future_times: Sequence[object]
    median: ArrayLike
    bands: Bands


class Window(TypedDict):
    """One forecast of the backtest: its times, median and bands."""

    times: Sequence[object]
    median: ArrayLike
    bands: Bands


class SeriesBacktest(TypedDict):
    """One series with the forecasts made for its last windows."""

    id: str
    times: Sequence[object]
    actual: ArrayLike
    cutoffs: Sequence[Window]


class ForecastReport(TypedDict):
    """All that a forecast report shows. What is left out, or empty, is not shown.

    `by_horizon` maps each method's name to its MAE at each step ahead; the network is named as in `scores`.
    `unit` names what the values are ("passengers, thousands").
    """

    title: str
    verdict: str
    made_with: MadeWith
    scores: Scores
    data: NotRequired[DataFacts]
    by_horizon: NotRequired[Mapping[str, Sequence[float]]]
    forecast: NotRequired[Sequence[SeriesForecast]]
    backtest: NotRequired[Sequence[SeriesBacktest]]
    training: NotRequired[Training]
    gradients: NotRequired[HealthFacts]
    model: NotRequired[Sequence[LayerRow]]
    choices: NotRequired[Sequence[Choice]]
    notes: NotRequired[Sequence[str]]
    unit: NotRequired[str]


def forecast_report(report: ForecastReport) -> str:
    """The report as one HTML document; `page.write` puts it into a file.

    Args:
        report: The facts to show.

    Raises:
        ArgumentError: `title`, `verdict`, `made_with` or `scores` is missing.
        ShapeError: Times and values differ in length.
        MissingDependency: Matplotlib is not installed.
    """
    for key in ("title", "verdict", "made_with", "scores"):
        if key not in report:
            raise ArgumentError(f"a forecast report must have {key!r}", got="none", fix="Add it to the dict.")
    unit, freq = report.get("unit", "value"), report["data"]["freq"] if "data" in report else ""
    time = f"time ({freq})" if freq else "time"
    sections = [Section("scores", "Scores", _scores(report["scores"]))]
    if report.get("forecast"):
        plots = [_forecast(series, unit=unit, time=time) for series in report["forecast"][:SERIES]]
        sections.append(Section("forecast", "Forecast", _plots(plots, total=len(report["forecast"]))))
    if report.get("backtest"):
        plots = [_backtest(series, unit=unit, time=time) for series in report["backtest"][:SERIES]]
        text = "<p>Each forecast was made at a dotted line and knew only what came before it.</p>"
        sections.append(Section("backtest", "Backtest", text + _plots(plots, total=len(report["backtest"]))))
    if report.get("by_horizon"):
        own = report["scores"]["rows"][0]["name"] if report["scores"]["rows"] else ""
        sections.append(
            Section("by-horizon", "Errors by horizon", _by_horizon(report["by_horizon"], own=own, unit=unit))
        )
    if report.get("training"):
        sections.append(Section("training", "Training", losses(report["training"])))
    if report.get("gradients"):
        sections.append(health_section(report["gradients"]))
    if report.get("data"):
        sections.append(Section("data", "Data and its treatment", _data(report["data"])))
    if report.get("choices"):
        sections.append(Section("choices", "Choices made and why", choices(report["choices"])))
    if report.get("model"):
        sections.append(Section("model", "Model", layers(report["model"])))
    if report.get("notes"):
        sections.append(Section("notes", "Notes", listed(report["notes"])))
    sections.append(Section("reproduce", "How to reproduce", reproduce(report["made_with"])))
    return render(Page(report["title"], report["verdict"], tuple(sections)))


def _scores(scores: Scores) -> str:
    rows = scores["rows"]
    levels = sorted({level for row in rows for level in row["coverage"]})
    flat: list[dict[str, object]] = [
        {**row, **{f"coverage {level}": row["coverage"].get(level) for level in levels}} for row in rows
    ]
    columns = [
        Column("name", "Method", number=False),
        Column("mae", "MAE", best="low"),
        Column("rmse", "RMSE", best="low"),
        Column("smape", "sMAPE", best="low"),
        Column("mase", "MASE", best="low"),
        *(Column(f"coverage {n}", f"In {n}\u00a0%", best=n / 100, percent=True) for n in levels),
    ]
    windows, steps = scores["n_windows"], scores["horizon"]
    caption = (
        f"Mean over {windows} window{'' if windows == 1 else 's'} of {steps} step{'' if steps == 1 else 's'} that no "
        "method saw before. Bold: best in its column; smaller errors are better; sMAPE is in per cent. "
        "MASE below 1: better than the seasonal naive forecast was in training."
    )
    if levels:
        caption += f" In {levels[0]} %: how many per cent of the values lay in the {levels[0]} % band."
    return table(columns, flat, caption=caption, own=0)


def _forecast(series: SeriesForecast, *, unit: str, time: str) -> Plot:
    times, future = list(series["times"]), list(series["future_times"])
    keep = min(max(SHOWN * len(future), 36), len(times))
    history = np.asarray(series["history"], dtype=np.float64)
    first = len(times) - keep
    caption = f"The last {keep} of {len(times)} steps and the next {len(future)}." if first else ""
    past = Line("observed", times[first:], history[first:] if len(history) == len(times) else history)
    middle = Line("forecast (median)", future, series["median"], colour=COLOURS[0], width=2.0)
    return Plot(
        label=f"Forecast of {series['id']}",
        lines=(past, middle),
        bands=_bands(future, series["bands"], named=True),
        axes=(time, unit),
        caption=caption,
        heading=str(series["id"]),
    )


def _backtest(series: SeriesBacktest, *, unit: str, time: str) -> Plot:
    windows = series["cutoffs"]
    lines = [Line("observed", list(series["times"]), series["actual"])]
    bands: list[Band] = []
    marks = []
    for place, window in enumerate(windows):
        colour, at = COLOURS[0], list(window["times"])
        lines.append(Line("" if place else "forecast (median)", at, window["median"], colour=colour, width=2.0))
        bands.extend(_bands(at, window["bands"], named=place == 0))
        marks.extend(at[:1])
    return Plot(
        label=f"Backtest of {series['id']}",
        lines=tuple(lines),
        bands=tuple(bands),
        marks=tuple(marks),
        axes=(time, unit),
        heading=str(series["id"]),
    )


def _bands(times: Sequence[object], bands: Bands, *, named: bool) -> tuple[Band, ...]:
    strengths = {level: 0.14 + 0.12 * place for place, level in enumerate(sorted(bands, reverse=True))}
    return tuple(
        Band(f"{level} % band" if named else "", times, *bands[level], colour=COLOURS[0], strength=strengths[level])
        for level in strengths
    )


def _by_horizon(errors: Mapping[str, Sequence[float]], *, own: str, unit: str) -> str:
    names = sorted(errors, key=lambda name: name != own)
    lines = [
        Line(
            name,
            list(range(1, len(errors[name]) + 1)),
            errors[name],
            colour=COLOURS[place % len(COLOURS)],
            dash=place,
            width=1.5 if place else 2.4,
        )
        for place, name in enumerate(names)
    ]
    plot = Plot(
        label="Mean absolute error by steps ahead",
        lines=tuple(lines),
        axes=("steps ahead", f"mean absolute error ({unit})"),
        from_zero=True,
    )
    return figure(plot)


def _data(data: DataFacts) -> str:
    facts = (
        ("Series", f"{data['n_series']:,}".replace(",", "\u202f")),
        ("Rows", f"{data['n_rows']:,}".replace(",", "\u202f")),
        ("Frequency", data["freq"]),
        ("First time", data["first"]),
        ("Last time", data["last"]),
    )
    body = "<dl>" + "".join(f"<dt>{name}</dt><dd>{escape(str(value))}</dd>" for name, value in facts) + "</dl>"
    return body + (listed(data["treatments"]) if data["treatments"] else "<p>The data was used as it came.</p>")


def _plots(plots: Sequence[Plot], *, total: int) -> str:
    more = f'<p class="soft">{len(plots)} of {total} series are shown.</p>' if total > len(plots) else ""
    if len(plots) == 1:
        return figure(plots[0]) + more
    return side_by_side([figure(plot, wide=False) for plot in plots]) + more
