"""Plots as small inline SVG: lines and bands on a white card, words around the plot in HTML so that they stay readable.

All text that comes from the user stands in HTML, escaped; the SVG holds only ticks. Matplotlib's defaults are used
whatever the user's own settings are, and those are put back.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from html import escape
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato._optional import require
from ostinato.errors import ArgumentError, ShapeError

POINTS = 600
"""A line with more points is thinned to this many; the lowest and highest value of each stretch stay."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#a05c88", "#767c82", "#56a0d3")
"""Told apart by colour-blind readers (after Okabe & Ito 2008); the first one is the network's."""

INK, GRID = "#30363b", "#e3e6e8"
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.5, 1.5), (7, 2, 1.5, 2), (3, 1), (9, 3))
_SIZES = {"wide": (9.2, 3.3), "narrow": (4.3, 3.0)}


@dataclass(frozen=True)
class Line:
    """One line of a plot.

    Args:
        name: What the legend says; "" leaves it out.
        x: `[n]` numbers, dates or ISO texts.
        y: `[n]`; NaN and infinite values leave a hole.
        colour: A hex colour.
        dash: Place in the list of dashes: 0 is a full line.
        width: In points.
    """

    name: str
    x: Sequence[object]
    y: ArrayLike
    colour: str = INK
    dash: int = 0
    width: float = 1.4


@dataclass(frozen=True)
class Band:
    """The area between two lines.

    Args:
        name: What the legend says; "" leaves it out.
        x: `[n]` numbers, dates or ISO texts.
        low: `[n]`.
        high: `[n]`.
        colour: A hex colour.
        strength: Opacity, 0 to 1.
    """

    name: str
    x: Sequence[object]
    low: ArrayLike
    high: ArrayLike
    colour: str = COLOURS[0]
    strength: float = 0.2


@dataclass(frozen=True)
class Plot:
    """One plot with the words around it.

    Args:
        label: What the plot shows, for readers who cannot see it.
        lines: In the order of the legend; drawn above the bands, the thin ones on top, so that none hides another.
        bands: Drawn in order, the wide ones first.
        marks: Places on the x axis with a dotted upright line.
        axes: What the x and the y axis measure, with units.
        caption: Plain text under the plot.
        heading: Plain text above the plot.
        from_zero: Start the y axis at 0.
    """

    label: str
    lines: tuple[Line, ...]
    bands: tuple[Band, ...] = ()
    marks: tuple[object, ...] = ()
    axes: tuple[str, str] = ("", "")
    caption: str = ""
    heading: str = ""
    from_zero: bool = False

    log: ClassVar[bool] = False


@dataclass(frozen=True)
class LogPlot(Plot):
    """A plot with a logarithmic y axis; values of 0 and below leave a hole, and there are no bands."""

    log: ClassVar[bool] = True


def figure(plot: Plot, *, wide: bool = True) -> str:
    """The plot as an HTML `<figure>` with heading, legend, axis names and caption.

    Args:
        plot: What to draw.
        wide: Also draw a wide form, shown on wide screens; False for plots that stand side by side.

    Raises:
        ShapeError: A line and its x differ in length.
        MissingDependency: Matplotlib is not installed.
    """
    drawings = "".join(
        f'<div class="{form}">{svg(plot, size=_SIZES[form])}</div>' if wide else svg(plot, size=_SIZES[form])
        for form in (("wide", "narrow") if wide else ("narrow",))
    )
    parts = [
        f"<h3>{escape(plot.heading)}</h3>" if plot.heading else "",
        _legend(plot),
        f'<div class="axis y">{escape(plot.axes[1])}</div>' if plot.axes[1] else "",
        drawings,
        f'<div class="axis x">{escape(plot.axes[0])}</div>' if plot.axes[0] else "",
        f"<figcaption>{escape(plot.caption)}</figcaption>" if plot.caption else "",
    ]
    return "<figure>" + "\n".join(part for part in parts if part) + "</figure>"


def side_by_side(figures: Sequence[str]) -> str:
    """Figures in as many columns as the screen has room for.

    Args:
        figures: Made by `figure`.
    """
    return '<div class="plots">' + "\n".join(figures) + "</div>"


def svg(plot: Plot, *, size: tuple[float, float]) -> str:
    """The bare drawing: an `<svg>` element without names, links or scripts. The same plot gives the same text.

    Args:
        plot: What to draw.
        size: Width and height in inches of 72 points; text is 10 points.

    Raises:
        ShapeError: A line and its x differ in length.
        MissingDependency: Matplotlib is not installed.
    """
    matplotlib = require("matplotlib", purpose="to draw the plots of a report")
    figures = require("matplotlib.figure", purpose="to draw the plots of a report")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({
            "svg.fonttype": "none",
            "svg.hashsalt": "ostinato",
            "font.size": 10,
            "axes.unicode_minus": True,
            "axes.formatter.useoffset": False,
            "axes.formatter.limits": (-5, 6),
        })  # fmt: skip
        drawing = figures.Figure(figsize=size, layout="constrained")
        _draw(drawing.add_subplot(), plot, matplotlib=matplotlib, ticks=8 if size[0] > 6 else 5)
        buffer = io.StringIO()
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        drawing.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    return _clean(buffer.getvalue(), label=plot.label)


def _draw(axes: Any, plot: Plot, *, matplotlib: Any, ticks: int) -> None:
    kind, places = _axis([*(line.x for line in plot.lines), *(band.x for band in plot.bands), list(plot.marks)])
    lines, bands = places[: len(plot.lines)], places[len(plot.lines) : -1]
    for band, x in zip(plot.bands, bands, strict=True):
        low, high = _like(x, band.low), _like(x, band.high)
        if len(x) == 1:
            axes.vlines(x, low, high, color=_colour(band.colour), alpha=band.strength, linewidth=9)
        else:
            axes.fill_between(*_thin_band(x, low, high), color=_colour(band.colour), alpha=band.strength, linewidth=0)
    for mark in places[-1]:
        axes.axvline(mark, color="#8b959d", linewidth=0.8, dashes=(1, 2))
    for line, x in zip(plot.lines, lines, strict=True):
        x, y = _thin(x, _like(x, line.y))
        if plot.log:
            y = np.where(y > 0.0, y, math.nan)
        drawn = axes.plot(x, y, color=_colour(line.colour), linewidth=line.width, zorder=3 - line.width / 10)[0]
        alone = _alone(y)
        axes.plot(
            x[alone], y[alone], "o", color=_colour(line.colour), markersize=3 + line.width, zorder=3 - line.width / 10
        )
        if _DASHES[line.dash % len(_DASHES)]:
            drawn.set_dashes(_DASHES[line.dash % len(_DASHES)])
    axes.margins(x=0.015)
    if plot.from_zero:
        axes.set_ylim(bottom=0)
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#9aa3aa")
    axes.tick_params(axis="both", color="#9aa3aa", labelcolor=INK, length=3)
    axes.tick_params(axis="y", length=0)
    if plot.log:
        axes.set_yscale("log")
        bottom, top = (math.log10(v) for v in axes.get_ylim())
        axes.set_ylim(10.0 ** math.floor(bottom), 10.0 ** math.ceil(top))  # so that there are at least two ticks
        axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(numticks=6))
        axes.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%.0e"))
    else:
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    if kind == "date":
        dates = require("matplotlib.dates", purpose="to draw the plots of a report")
        locator = dates.AutoDateLocator(minticks=3 if ticks > 6 else 2, maxticks=ticks)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    else:
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(ticks, integer=kind == "whole", min_n_ticks=1))


def _axis(groups: Sequence[Sequence[object]]) -> tuple[str, list[NDArray[np.float64]]]:
    """Places on one shared axis: dates as days since 1970, numbers as they are, any other text by its order."""
    values = [value for group in groups for value in group]
    if all(isinstance(value, (int, float, np.number)) and not isinstance(value, np.timedelta64) for value in values):
        places = [np.array([float(value) for value in group]) for group in groups]  # type: ignore[arg-type]
        return ("whole" if all(float(value).is_integer() for value in values) else "number"), places  # type: ignore[arg-type]
    days = {_key(value): _days(value) for value in values}
    if all(day is not None for day in days.values()):
        return "date", [np.array([days[_key(value)] for value in group], dtype=np.float64) for group in groups]
    order = {text: place for place, text in enumerate(dict.fromkeys(_key(value) for value in values))}
    return "whole", [np.array([order[_key(value)] for value in group], dtype=np.float64) for group in groups]


def _key(value: object) -> str:
    return f"{type(value).__name__} {value}"


def _days(value: object) -> float | None:
    """Days since 1970 of a date, or None if it is none."""
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else float(value.astype("datetime64[us]").astype(np.int64)) / 86_400e6
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return (aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() / 86_400
    return float(value.toordinal() - date(1970, 1, 1).toordinal()) if isinstance(value, date) else None


def _like(x: NDArray[np.float64], values: ArrayLike) -> NDArray[np.float64]:
    y = np.asarray(values, dtype=np.float64)
    if y.shape != x.shape:
        raise ShapeError(
            f"a line must have one value for each of its {len(x)} places on the x axis",
            got=f"shape {y.shape}",
            fix="Pass times and values of equal length.",
        )
    return np.where(np.abs(y) < 1e300, y, math.nan)


def _alone(y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Values without a neighbour, which a line would not show."""
    known = np.concatenate([[False], np.isfinite(y), [False]])
    alone: NDArray[np.bool_] = known[1:-1] & ~known[:-2] & ~known[2:]
    return alone


def _thin(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most `POINTS` points: the lowest and the highest value of each of `POINTS // 2` stretches, in order."""
    if len(x) <= POINTS:
        return x, y
    keep: list[int] = []
    for part in np.array_split(np.arange(len(x)), POINTS // 2):
        if np.isnan(y[part]).all():
            keep.append(int(part[0]))
        else:
            keep.extend(sorted({int(part[np.nanargmin(y[part])]), int(part[np.nanargmax(y[part])])}))
    return x[keep], y[keep]


def _thin_band(
    x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """At most `POINTS` places; each stretch is as wide as its widest place."""
    if len(x) <= POINTS:
        return x, low, high
    parts = np.array_split(np.arange(len(x)), POINTS)
    starts = [int(part[0]) for part in parts]
    return x[starts], np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)


def _legend(plot: Plot) -> str:
    entries = []
    for line in plot.lines:
        dashes = _DASHES[line.dash % len(_DASHES)]
        pattern = f' stroke-dasharray="{" ".join(f"{dash * line.width:g}" for dash in dashes)}"' if dashes else ""
        sample = f'<path d="M1 6H25" stroke="{_colour(line.colour)}" stroke-width="{line.width + 0.4:g}"{pattern}/>'
        entries.append((line.name, sample))
    for band in plot.bands:
        sample = f'<path d="M1 1H25V11H1Z" fill="{_colour(band.colour)}" fill-opacity="{band.strength + 0.1:g}"/>'
        entries.append((band.name, sample))
    items = {
        name: f'<li><svg viewBox="0 0 26 12" aria-hidden="true" fill="none">{sample}</svg>{escape(name)}</li>'
        for name, sample in reversed(entries)
        if name
    }
    return f'<ul class="legend">{"".join(reversed(items.values()))}</ul>' if items else ""


def _colour(text: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ArgumentError("a colour must be written as #rrggbb", got=repr(text)[:40], fix="Pass six hex digits.")
    return text


def _clean(text: str, *, label: str) -> str:
    """Only the `<svg>` element, without ids that nothing refers to, with two decimals and a name of its own."""
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", text)
    text = re.sub(r"<[^>]+>", _shorten, text)
    text = text.replace("'DejaVu Sans', 'Bitstream Vera Sans', ", "")
    text = re.sub(r"\s*\n\s*", "\n", text)
    text = re.sub(r' (?:xmlns(?::xlink)?|version)="[^"]*"', "", text)
    own = hashlib.sha256(text.encode()).hexdigest()[:8]  # several drawings share one page
    text = re.sub(r'(id="|url\(#|href="#)', lambda match: f"{match[0]}f{own}", text)
    box = re.search(r'viewBox="[^"]*"', text)
    opening = f'<svg {box[0] if box else ""} role="img" aria-label="{escape(label)}">'
    return re.sub(r"<svg[^>]*>", lambda _: opening, text, count=1)


def _shorten(tag: re.Match[str]) -> str:
    """Two decimals are enough for a drawing; text between tags stays as it is."""
    return re.sub(r"\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), tag[0])
