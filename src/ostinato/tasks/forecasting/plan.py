"""The choices that a forecast makes before training, each with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from ostinato.data import Panel
from ostinato.data.framing import ANCHORS, Floats, Framing, choose_log
from ostinato.errors import ArgumentError, DataError
from ostinato.tasks.forecasting.anchors import best_anchor
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
        choices[0] = Choice(
            "season", "none", f"fewer than two seasons ({2 * season} steps) and {_LEAST_WINDOWS} steps to learn from"
        )
    length, length_why = (int(windows.length), "as asked") if windows.length else _length(fit, horizon, season)
    needed = length + 1 + _LEAST_WINDOWS
    if fit < needed:
        short = [one for one in panel.series if len(one) < needed + test + valid]
        raise DataError(
            f"every series must have at least {needed + test + valid} steps: {length} to look at, {_LEAST_WINDOWS + 1} "
            f"to learn from, {valid} to validate and {test} to test",
            got=f"{len(short[0]) if short else shortest}",
            where=[f"series {one.id!r}" for one in short[:5]],
            count=len(short),
            fix="Remove these series, or pass longer ones, a shorter horizon, a shorter window (length), or test=-1.",
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
        Choice("window", f"{length} steps", length_why),
        Choice(
            "test", f"last {test} steps" if test else "none", "as asked" if windows.test else _test_why(test, horizon)
        ),
        Choice("validation", f"{valid} steps before the test", "a tenth of the rest, from one horizon to ten"),
    ]
    return Plan(framing, test, valid, tuple(choices))


def _test_why(test: int, horizon: int) -> str:
    if test == 2 * horizon:
        return "two horizons"
    return "one horizon" if test == horizon else "a quarter of the shortest series, which has no room for two horizons"


def _length(fit: int, horizon: int, season: int) -> tuple[int, str]:
    """Steps that the network sees, and why so many."""
    ahead = min(horizon, 48)
    wanted, why = (2 * season, "two seasons") if season >= ahead else (2 * ahead, "two horizons, at most 96 steps")
    room = max(2, (fit - season - _LEAST_WINDOWS) // 2)
    return (wanted, why) if wanted <= room else (room, f"what the shortest series leaves; {wanted} were wanted ({why})")


def _anchor(parts: list[Floats], open_: Framing, asked: str) -> tuple[Framing, Choice]:
    framings: dict[str, Framing] = {}
    for anchor in ANCHORS:
        framing = replace(open_, anchor=anchor)
        short = min(map(len, parts)) <= framing.reach + _LEAST_WINDOWS
        if anchor not in ("season", "profile") or (open_.season > 1 and not short):
            framings[anchor] = framing
    if asked == "auto":
        best, why = best_anchor(parts, framings)
        return framings[best], Choice("anchor", best, why)
    if asked not in framings:
        raise ArgumentError(
            f"anchor must be one of {', '.join(map(repr, framings))} for this data",
            got=repr(asked),
            fix="Pass 'auto', or longer series: seasonal anchors need a season and several of it to learn from.",
        )
    return framings[asked], Choice("anchor", asked, "as asked")
