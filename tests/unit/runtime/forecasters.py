"""Forecasters with random weights, for tests of what runs them."""

from __future__ import annotations

import numpy as np

from ostinato.cells import CELLS
from ostinato.data import Cleaning, Columns
from ostinato.data.framing import Framing
from ostinato.maps.dense import Dense
from ostinato.runtime.forecaster import Forecaster
from ostinato.runtime.histories import Known, Reading
from ostinato.runtime.machine import expected
from ostinato.scans.recurrent import Recurrent

STRICT = Cleaning()


def forecaster(
    *, anchor: str = "season", log: bool = False, timed: bool = False, freq: str = "", seed: int = 0,
    cleaning: Cleaning = STRICT, scale: float = 0.5, widening: float = 0.1,
) -> Forecaster:  # fmt: skip
    """A forecaster of three steps, of two networks, that knows the series "a" and "b"."""
    framing = Framing(horizon=3, length=6, season=4, log=log, anchor=anchor)
    parts = (Recurrent(CELLS["lstm"](5)), Dense(3 * 5))
    rng = np.random.default_rng(seed)
    members = tuple(
        [
            {name: rng.normal(0.0, scale, w.shape).astype(np.float32) for name, w in needed.items()}
            for needed in expected(parts, (6, 1))
        ]
        for _ in range(2)
    )
    tails = np.exp(rng.normal(0.0, 0.3, (2, framing.reach)))
    days = np.array(["2020-01-31", "2020-02-09"], "datetime64[us]")
    known = Known(("a", "b"), np.array([0.5, 2.0]), tails, days if timed else np.array([10, 12]))
    return Forecaster(
        parts=parts, members=members, framing=framing, level=(90.0, 50.0), widening=np.array([widening, 0.0]),
        label="LSTM", known=known, reading=Reading(Columns(time="ds"), cleaning, freq or ("D" if timed else "1")),
    )  # fmt: skip
