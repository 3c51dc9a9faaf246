"""Forecasts from where series stand, for many of them at once."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ostinato.data.framing import Floats, Framing
from ostinato.runtime.clock import Clock
from ostinato.runtime.forecaster_states import States
from ostinato.runtime.histories import Known, Reading


class Forecasting(Protocol):
    """What a stream needs of a forecaster."""

    @property
    def framing(self) -> Framing: ...
    @property
    def known(self) -> Known: ...
    @property
    def reading(self) -> Reading: ...
    @property
    def typical(self) -> float: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def fingerprint(self) -> str: ...
    def columns(self) -> list[str]: ...
    def forecast_each(self, windows: Floats, spreads: Floats) -> Floats: ...


class Ahead(NamedTuple):
    """What a forecaster says of the next steps.

    Args:
        times: `[horizon]`; None if the stream knows no times.
        quantiles: `[horizon, quantiles]`, rising along the last axis.
        columns: Names of the quantiles, as `predict` names them; the one in the middle is the median.
        borrowed: How much of the intervals' width comes from the errors usual in training, since the series has too
            few of its own: 1 at first, 0 after as many steps as `Framing.enough` says, and for a series of training.
    """

    times: NDArray[Any] | None
    quantiles: Floats
    columns: list[str]
    borrowed: float = 0.0


def forecasts(model: Forecasting, states: States) -> list[Ahead | None]:
    """The forecasts from states `[n]`; None where the history is shorter than the model's reach.

    Raises:
        DataError: As for `ForecasterStream.forecast`, of any of them.
    """
    framing, columns = model.framing, model.columns()
    ready = np.flatnonzero(states["held"] == framing.reach)
    found: list[Ahead | None] = [None] * len(states)
    if not len(ready):
        return found
    states = states[ready]
    finite = np.flatnonzero(np.isfinite(states["tail"]).all(axis=1))
    quantiles, borrowed = np.full((len(states), framing.horizon, len(columns)), np.nan), np.zeros(len(states))
    if len(finite):
        units, borrowed[finite] = _units(model, states[finite])
        quantiles[finite] = model.forecast_each(np.ascontiguousarray(states["tail"][finite]), units)
    times: list[NDArray[Any] | None] = [None] * len(states)
    timed = np.flatnonzero(states["timed"])
    if len(timed):
        ahead = model.clock.freq.ahead(model.clock.times(states["last"][timed]), framing.horizon)
        for i, row in zip(timed.tolist(), ahead, strict=True):
            times[i] = row
    for i, when, rows, share in zip(ready.tolist(), times, quantiles, borrowed.tolist(), strict=True):
        found[i] = Ahead(when, rows, columns, share)
    return found


def _units(model: Forecasting, states: States) -> tuple[Floats, Floats]:
    """The units `[n]` of series, and the shares that they borrow from those of training."""
    framing, own = model.framing, states["unit"] == 0.0
    borrowed = np.where(own & (model.typical > 0.0), framing.borrowed(states["errors"]), 0.0)
    usual, short = np.zeros(len(states)), np.flatnonzero(borrowed)
    if len(short):
        usual[short] = model.typical * framing.size(framing.into(np.ascontiguousarray(states["tail"][short])))
    found = framing.unit(states["squares"], states["errors"], states["top"], usual)
    return np.where(own, found, states["unit"]), borrowed
