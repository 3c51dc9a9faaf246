"""How a network sees a series, and how its output becomes a forecast again. NumPy only, so that both ends run it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato._lean_dataclass import lean_dataclass

Floats = NDArray[np.float64]
Numbers = float | Floats
Counts = int | NDArray[np.int64]

ANCHORS = ("season", "profile", "last", "mean")
SEASONS = 3
"""Seasons that the anchor "profile" looks back on."""

_TINY = 1e-8
_ZERO = 1e-30
_CLEARLY = 0.9
_LEAST = 8
_ORIGINS = 500
"""Origins that `spread` looks from, and that are looked from at once."""


class Frame(NamedTuple):
    """What a network sees of one or more windows, and what turns its output back.

    Args:
        x: `[windows, length, 1]`, float32, without unit.
        base: `[windows, horizon]`, the anchor: what is forecast if the network's output is zero.
        spread: `[windows, 1]`, the unit of the output.
    """

    x: NDArray[np.float32]
    base: Floats
    spread: Floats


@lean_dataclass(frozen=True)
class Framing:
    """Takes level, trend and season out of each window by itself, so that nothing is learned from the future.

    A window is first (if `log`) taken to logarithms, so that effects multiply. Then one of four anchors is subtracted;
    the network forecasts what is left:

    - "season": the value one season before, plus the mean growth over the last season. The network sees the last
      `length` differences to the season before.
    - "profile": the mean shape of the last three seasons, on the level of the last one plus the mean growth between
      them. It is steadier than "season" where single values are noisy, and slower where the shape changes. The network
      sees the last `length` values minus the same line, drawn backwards.
    - "last": the last value. The network sees the last `length` values minus it.
    - "mean": the mean of the window. The network sees the last `length` values minus it.

    Args:
        horizon: Steps to forecast.
        length: Steps that the network sees.
        season: Steps in a season; 1 for none.
        log: Whether effects multiply; all values must be positive.
        anchor: See above.
    """

    horizon: int
    length: int
    season: int
    log: bool
    anchor: str

    @property
    def reach(self) -> int:
        """Steps of history that a forecast needs."""
        if self.anchor == "profile":
            return max(self.length, SEASONS * self.season)
        return self.length + (self.season if self.anchor == "season" else 0)

    def into(self, values: Floats) -> Floats:
        """Values on the scale on which effects add."""
        return np.log(values) if self.log else values

    def back(self, values: Floats) -> Floats:
        """The inverse of `into`."""
        return np.exp(values) if self.log else values

    def frame(self, windows: Floats, spread: Floats) -> Frame:
        """See windows as the network does.

        Args:
            windows: `[windows, reach]`, after `into`.
            spread: `[windows]`, the unit of each window's series, from `spread`.
        """
        unit = spread[:, None]
        if self.anchor == "season":
            seen = windows[:, self.season :] - windows[:, : -self.season]
            growth = seen[:, -self.season :].mean(1, keepdims=True)
            ahead = np.arange(self.horizon)
            base = windows[:, self.reach - self.season + ahead % self.season] + growth * (1 + ahead // self.season)
            seen = seen - growth
        elif self.anchor == "profile":
            seasons = windows[:, -SEASONS * self.season :].reshape(-1, SEASONS, self.season)
            levels = seasons.mean(2)
            shape = seasons.mean(1) - levels.mean(1, keepdims=True)
            growth = (levels[:, -1:] - levels[:, :1]) / (SEASONS - 1)
            at = np.arange(-self.length, self.horizon) + self.season  # steps since the last season began
            line = levels[:, -1:] + shape[:, at % self.season] + growth * (at // self.season)
            seen, base = windows[:, -self.length :] - line[:, : self.length], line[:, self.length :]
        else:
            level = windows[:, -1:] if self.anchor == "last" else windows.mean(1, keepdims=True)
            base = np.repeat(level, self.horizon, axis=1)
            seen = windows - level
        return Frame((seen / unit).astype(np.float32)[:, :, None], base, unit)

    def target(self, frame: Frame, future: Floats) -> NDArray[np.float32]:
        """What the network should answer: `future [windows, horizon]`, after `into`, without anchor and unit."""
        return ((future - frame.base) / frame.spread).astype(np.float32)

    def forecast(self, frame: Frame, answer: Floats) -> Floats:
        """The network's answer `[windows, horizon, quantiles]` as values of the series."""
        return self.back(frame.base[:, :, None] + answer * frame.spread[:, :, None])

    @property
    def enough(self) -> int:
        """Steps beyond `reach` whose errors decide a unit by themselves."""
        return max(self.horizon, _LEAST)

    def spread(self, values: Floats, typical: float = 0.0) -> float:
        """The unit of a series: root mean square of the anchor's error inside `values [time]` (after `into`).

        A series that the anchor forecasts exactly gets a unit that is tiny beside its values; values below 1e-30 count
        as zeros.

        Args:
            values: The series.
            typical: From `typical`: what stands for the errors that a short series does not have yet; 0 for nothing.
        """
        errors = self.errors(values)
        return self._unit_of(values, float(np.sum(errors * errors)), errors.size, typical)

    def full_spread(self, values: Floats, typical: float = 0.0) -> float:
        """The unit as `spread` defines it, from every origin: what a stream of the values finds as they come."""
        n, total, count = len(values) - self.reach, 0.0, 0
        for first in range(0, n, _ORIGINS):
            errors = self._errors(values, np.arange(first, min(first + _ORIGINS, n)))
            total, count = total + float(np.sum(errors * errors)), count + errors.size
        return self._unit_of(values, total, count, typical)

    def _unit_of(self, values: Floats, squares: float, n: int, typical: float) -> float:
        usual = (
            typical * float(self.size(values[None, -self.reach :])[0]) if typical and self.borrowed(n).any() else 0.0
        )
        return float(self.unit(squares, n, float(np.abs(values).max(initial=0.0)), usual))

    def unit(self, squares: Numbers, n: Counts, top: Numbers, usual: Numbers = 0.0) -> Floats:
        """The unit from the sum of the squares of `n` errors, and the largest of all values without their signs.

        Errors that are missing to `enough` steps count as `usual`, if that is not 0. All of them may be of many series
        `[series]`.
        """
        short = np.where(np.equal(usual, 0.0), 0, np.maximum(self._wanted - np.asarray(n), 0))
        size = np.sqrt((squares + short * usual * usual) / np.maximum(n + short, 1))
        least = np.maximum(top, 1.0) if self.log else np.where(np.greater(top, _ZERO), top, np.maximum(top, 1.0))
        found: Floats = np.maximum(size, _TINY * least)
        return found

    def units(self, series: Sequence[Floats]) -> Floats:
        """The unit of each of several series `[time]` (after `into`); short ones borrow from the others."""
        own = np.array([self.spread(values) for values in series])
        beyond = np.array([len(values) - self.reach for values in series])
        long = np.flatnonzero(beyond >= self.enough)
        if len(long) == len(series):
            return own
        judges = [int(i) for i in (long if len(long) else np.flatnonzero(beyond > 0))]
        windows = [series[i][-self.reach :] for i in judges]
        typical = self.typical(np.stack(windows), own[judges]) if windows else 0.0
        return np.array([self.spread(values, typical) for values in series])

    def typical(self, windows: Floats, units: Floats) -> float:
        """How large the units `[windows]` of series usually are beside the `size` of their windows `[windows, reach]`.

        0 if no window has a size.
        """
        sizes = self.size(windows)
        real = (sizes > 0.0) & (units > _TINY * np.maximum(np.abs(windows).max(1, initial=0.0), sizes))
        return float(np.median(units[real] / sizes[real])) if real.any() else 0.0

    def size(self, windows: Floats) -> Floats:
        """Root mean square `[windows]` of what the network sees of windows `[windows, reach]`, in the values' unit."""
        top = np.abs(windows).max(1, initial=0.0)
        top = np.where(top > _ZERO, top, 1.0)
        seen = self.frame(windows / top[:, None], np.ones(len(windows))).x[:, :, 0].astype(np.float64)
        found: Floats = top * np.sqrt(np.mean(seen * seen, axis=1))
        return found

    def borrowed(self, n: Counts) -> Floats:
        """The share of `n` errors that is missing to `enough` steps: 1 for no error, 0 for as many as these have."""
        missing: Floats = np.maximum(self._wanted - np.asarray(n), 0) / self._wanted
        return missing

    @property
    def _wanted(self) -> int:
        """Errors of `enough` steps: 1, 2, … up to `horizon` a step."""
        return self.horizon * (self.horizon + 1) // 2 + (self.enough - self.horizon) * self.horizon

    def errors(self, values: Floats) -> Floats:
        """The anchor's errors inside `values [time]`, one after the other, from at most 500 evenly spread origins."""
        n = len(values) - self.reach
        if n < 1:
            return np.zeros(0)
        return self._errors(values, np.unique(np.linspace(0, n - 1, min(n, _ORIGINS)).astype(np.int64)))

    def _errors(self, values: Floats, origins: NDArray[np.int64]) -> Floats:
        frame = self.frame(values[origins[:, None] + np.arange(self.reach)], np.ones(len(origins)))
        at = origins[:, None] + self.reach + np.arange(self.horizon)
        known = at < len(values)
        errors: Floats = (values[np.minimum(at, len(values) - 1)] - frame.base)[known]
        return errors


def choose_log(series: Sequence[Floats], season: int) -> bool:
    """Whether effects multiply: the spread within a season grows with the level (Guerrero 1993, for powers 0 and 1).

    Logarithms must make it at least a tenth more even, since a series of one level fits both equally well.

    Args:
        series: The training part of each series.
        season: Steps in a season.
    """
    if any(float(values.min()) <= 0.0 for values in series):
        return False
    block = max(season, 8)
    plain, relative = [], []
    for values in series:
        blocks = values[len(values) % block :].reshape(-1, block)
        if len(blocks) < 3:
            continue
        level, spread = blocks.mean(1), blocks.std(1)
        plain.append(_variation(spread))
        relative.append(_variation(spread / level))
    return len(plain) > 0 and bool(np.mean(relative) < _CLEARLY * np.mean(plain))


def _variation(values: Floats) -> float:
    mean = float(values.mean())
    return float(values.std()) / mean if mean > 0.0 else 0.0
