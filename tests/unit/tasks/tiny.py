"""Small data and quick settings for the tests of the forecasting task."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato import Forecast
from ostinato.data import Columns, Freq, Panel, Series
from ostinato.tasks.forecasting.windows import Windows
from ostinato.tasks.training import Training

QUICK = Training(epochs=2, members=1)
DAY = np.datetime64("2020-01-01", "D")


def wave(n: int = 80, *, seed: int = 0, level: float = 10.0) -> np.ndarray:
    """A week's season around a level, with noise."""
    noise = np.random.default_rng(seed).normal(0.0, 0.3, n)
    return level + 2.0 * np.sin(2.0 * np.pi * np.arange(n) / 7.0) + noise


def days(n: int = 80) -> np.ndarray:
    """The days from the first of 2020 on."""
    return DAY + np.arange(n)


def table(n: int = 80, *, names: tuple[str, ...] = ("north", "south")) -> dict[str, Any]:
    """A wide table of daily series."""
    return {"ds": days(n), **{name: wave(n, seed=i, level=10.0 * (i + 1)) for i, name in enumerate(names)}}


def quick(**options: Any) -> Forecast:
    """A forecast of 3 steps that trains in a moment."""
    given: dict[str, Any] = {"horizon": 3, "units": 4, "training": QUICK} | options
    return Forecast(**given)


def panel(*values: np.ndarray, freq: str = "D") -> Panel:
    """Daily series as `make_plan` takes them."""
    series = tuple(
        Series(f"s{i}", days(len(v)).astype("datetime64[us]"), np.asarray(v, float), np.ones(len(v), bool))
        for i, v in enumerate(values)
    )
    return Panel(series, Freq.parse(freq), Columns(None, "ds", None), "dict")


def judged(model: Forecast) -> list[np.ndarray]:
    """All weights of the networks that were evaluated."""
    return [w for t in model.fit_.trained for layer in t.weights for w in layer.values()]


def same(one: Any, other: Any) -> None:
    """Two tables with equal columns, bit for bit."""
    assert list(one) == list(other)
    for name in one:
        a, b = np.asarray(one[name]), np.asarray(other[name])
        assert a.dtype == b.dtype or {a.dtype.kind, b.dtype.kind} <= {"O", "U", "M"}
        assert (a == b).all(), name


__all__ = ["QUICK", "Training", "Windows", "days", "judged", "panel", "quick", "same", "table", "wave"]
