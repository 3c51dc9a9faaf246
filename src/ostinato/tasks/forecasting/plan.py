"""The choices that a forecast makes before training, each with its reason."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ostinato.data import Panel
from ostinato.data.framing import ANCHORS, Floats, Framing, choose_log
from ostinato.errors import ArgumentError, DataError
from ostinato.tasks.forecasting.windows import Windows

_LEAST_WINDOWS = 8


class Choice(NamedTuple):
    """One choice: what was decided, what for, and why."""

    what: str
    chosen: str
    why: str


class Plan(NamedTuple):
    """How a panel is cut and seen.

    Args:
        framing: How a network sees a window.
        test: Last steps of each series that only test; 0 for none.
        valid: Steps before those that decide when training stops and how wide intervals are.
        choices: The decisions with their reasons.
    """

    framing: Framing
    test: int
    valid: int
    choices: tuple[Choice, ...]


def make_plan(panel: Panel, horizon: int, windows: Windows) -> Plan:
    """Decide by the options, and where they leave it open by the part of the data before validation and test.

    Raises:
        DataError: `short`, a series is too short for the horizon.
        ArgumentError: An option does not fit the data.
    """
    shortest = int(panel.lengths.min())
    season = int(windows.season) or panel.freq.season
    choices = [
        Choice("season", f"{season} steps", "as asked" if windows.season else f"usual for the frequency {panel.freq}")
    ]
    if windows.test > 0 and windows.test < horizon:
        raise ArgumentError(
            f"test must be at least the horizon ({horizon})",
            got=str(windows.test),
            fix="Pass more, or 0 for the default.",
        )
    test = (
        int(windows.test)
        if windows.test > 0
        else 0
        if windows.test < 0
        else max(horizon, min(2 * horizon, shortest // 4))
    )
    valid = max(horizon, min((shortest - test) // 10, 10 * horizon))
    fit = shortest - test - valid
    if windows.season and fit > 0 and season >= fit:
        raise ArgumentError(
            f"season must be shorter than the training part of every series ({fit} steps)",
            got=str(season),
            fix="Pass a shorter season, or longer series.",
        )
    if season > 1 and fit < 2 * season + _LEAST_WINDOWS and not windows.season:
        season = 1
        choices[0] = Choice("season", "none", "the series are shorter than three seasons")
    length = int(windows.length) or _length(fit, horizon, season)
    needed = length + 1 + _LEAST_WINDOWS
    if fit < needed:
        short = [one for one in panel.series if len(one) < needed + test + valid]
        raise DataError(
            f"every series must have at least {needed + test + valid} steps: {length} to look at, {_LEAST_WINDOWS + 1} "
            f"to learn from, {valid} to validate and {test} to test",
            got=f"{len(short[0]) if short else shortest}",
            where=[f"series {one.id!r}" for one in short[:5]],
            count=len(short),
            fix="Pass longer series, a shorter horizon, a shorter window (length), or test=-1.",
            code="short",
        )
    parts = [one.values[: len(one) - test - valid] for one in panel.series]
    log, why = windows.log == "yes", "as asked"
    if windows.log == "yes" and min(float(one.values.min()) for one in panel.series) <= 0.0:
        raise ArgumentError("log must not be 'yes' for data with values of 0 or below", got="'yes'", fix="Pass 'auto'.")
    if windows.log == "auto":
        log = choose_log(parts, season) and all(float(one.values.min()) > 0.0 for one in panel.series)
        why = "the spread grows with the level" if log else "the spread does not grow with the level, or values reach 0"
    choices.append(Choice("effects", "multiply (logarithms)" if log else "add", why))
    framing, choice = _anchor(parts, Framing(horizon, length, season, log, windows.anchor), windows.anchor)
    choices.append(choice)
    choices += [
        Choice("window", f"{length} steps", "as asked" if windows.length else "twice the season or the horizon"),
        Choice("test", f"last {test} steps" if test else "none", "as asked" if windows.test else "two horizons"),
        Choice("validation", f"{valid} steps before the test", "one horizon, or a tenth of the data if that is more"),
    ]
    return Plan(framing, test, valid, tuple(choices))


def _length(fit: int, horizon: int, season: int) -> int:
    wanted = 2 * max(season, min(horizon, 48))
    return max(2, min(wanted, (fit - season - _LEAST_WINDOWS) // 2))


def _anchor(parts: list[Floats], open_: Framing, asked: str) -> tuple[Framing, Choice]:
    errors: dict[str, float] = {}
    for anchor in ANCHORS:
        framing = Framing(open_.horizon, open_.length, open_.season, open_.log, anchor)
        if anchor == "season" and (open_.season < 2 or min(map(len, parts)) <= framing.reach + _LEAST_WINDOWS):
            continue
        sizes = []
        for values in map(framing.into, parts):
            step = float(np.abs(np.diff(values)).mean())
            if step > 0.0:
                sizes.append(float(np.abs(framing.errors(values)).mean()) / step)
        errors[anchor] = float(np.mean(sizes)) if sizes else 0.0
    if asked != "auto" and asked not in errors:
        raise ArgumentError(
            f"anchor must be one of {', '.join(map(repr, errors))} for this data",
            got=repr(asked),
            fix="Pass 'auto', or longer series: the seasonal anchor needs a season and three of it to learn from.",
        )
    best = asked if asked != "auto" else min(errors, key=errors.__getitem__)
    listed = ", ".join(f"{name} {error:.3g}" for name, error in sorted(errors.items(), key=lambda e: e[1]))
    why = "as asked" if asked != "auto" else f"smallest error on the training part, in mean steps: {listed}"
    return Framing(open_.horizon, open_.length, open_.season, open_.log, best), Choice("anchor", best, why)
