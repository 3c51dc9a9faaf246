"""What is kept of series that go on, as one record each; how values change it, for many series or steps at once.

A series has the same bits alone and beside others, and however its values are cut into calls: whatever is summed up
lies in a contiguous row, since NumPy's order of summation follows the memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ostinato.data.framing import Floats, Framing

States = NDArray[np.void]
"""Records of `record`."""

UNKNOWN = -1
"""Instead of whether the times of a series have UTC offsets, before the first one that was given."""


def record(framing: Framing) -> np.dtype[np.void]:
    """What is kept of a history.

    - `steps`: How many values there were, filled ones included.
    - `held`, `tail`: The last ones, at most as many as the model reaches back; they fill the end of the row.
    - `origins`, `bases`: What the anchor said at the last origins of the steps after them, the newest one last.
    - `squares`, `errors`: Sum of the squares of the anchor's errors so far, and how many these are.
    - `top`: The largest value so far, without sign, on the scale on which effects add.
    - `unit`: The unit of a series of training; 0 for one whose unit is found as it goes.
    - `timed`, `last`: Whether a time is known, and the time of the last value, as a whole number.
    - `aware`: Whether the times had UTC offsets, or `UNKNOWN`.
    """
    horizon = framing.horizon
    return np.dtype(
        [
            ("steps", "i8"), ("held", "i8"), ("tail", "f8", (framing.reach,)), ("origins", "i8"),
            ("bases", "f8", (horizon, horizon)), ("squares", "f8"), ("errors", "i8"), ("top", "f8"), ("unit", "f8"),
            ("timed", "i8"), ("last", "i8"), ("aware", "i8"),
        ]
    )  # fmt: skip


def begun(framing: Framing) -> States:
    """The state `[1]` of a series without any value."""
    state = np.zeros(1, record(framing))
    state["tail"], state["bases"], state["aware"] = np.nan, np.nan, UNKNOWN
    return state


def moved(framing: Framing, states: States, values: Floats) -> States:
    """The states `[series, time]` after each of `values [series, time]`; the times in them are those of `states`."""
    time = values.shape[1]
    after = np.repeat(states[:, None], time, axis=1)
    windows = sliding_window_view(np.concatenate([states["tail"], values], axis=1), framing.reach, axis=1)
    after["steps"] += np.arange(1, time + 1)
    after["held"] = np.minimum(after["held"] + np.arange(1, time + 1), framing.reach)
    after["tail"] = windows[:, 1:]
    new = np.flatnonzero(states["unit"] == 0.0)
    if len(new):
        with np.errstate(invalid="ignore"):
            _judge(framing, states[new], after, new, framing.into(values[new]), windows[new, :-1])
    return after


def _judge(framing: Framing, states: States, after: States, new: NDArray[Any], now: Floats, windows: Floats) -> None:
    """Compare the anchors of the last origins with values that come: those of the series `new`."""
    (n, time), horizon = now.shape, framing.horizon
    origin = states["held"][:, None] + np.arange(time) >= framing.reach
    base = np.full((n, time, horizon), np.nan)
    seen = np.ascontiguousarray(windows[origin])
    base[origin] = framing.frame(framing.into(seen), np.ones(len(seen))).base
    lines = np.concatenate([states["bases"], base], axis=1)
    steps, place = np.arange(time)[:, None] + 1, np.arange(horizon)
    ahead = np.ascontiguousarray(lines[:, steps + place, horizon - 1 - place])  # the newest origin is one step back
    errors = now[:, :, None] - ahead
    known = np.isfinite(errors)
    squares = np.where(known, errors * errors, 0.0).sum(axis=2)
    after["squares"][new] = _running(np.add, states["squares"], squares)
    after["errors"][new] = _running(np.add, states["errors"], known.sum(axis=2))
    after["top"][new] = _running(np.maximum, states["top"], np.where(np.isfinite(now), np.abs(now), 0.0))
    after["origins"][new] = np.minimum(_running(np.add, states["origins"], origin.astype(np.int64)), horizon)
    after["bases"][new] = sliding_window_view(lines, horizon, axis=1)[:, 1:].swapaxes(2, 3)


def _running(what: np.ufunc, first: NDArray[Any], more: NDArray[Any]) -> NDArray[Any]:
    """Results so far `[series, time]` that begin at `first [series]`."""
    found: NDArray[Any] = what.accumulate(np.concatenate([first[:, None], more], axis=1), axis=1)
    return found[:, 1:]


def stored(state: States) -> list[NDArray[Any]]:
    """The tail, the bases and the last time of one state, as snapshots have them."""
    one = state[0]
    held, origins = len(one["tail"]) - one["held"], len(one["bases"]) - one["origins"]
    return [one["tail"][held:], one["bases"][origins:], state["last"][: one["timed"]]]


def restored(
    framing: Framing, facts: dict[str, Any], tail: NDArray[Any], bases: NDArray[Any], last: NDArray[Any]
) -> States:
    """The state of `facts` and of what `stored` gave; raises `ValueError` if there is none such."""
    fits = [
        tail.dtype == bases.dtype == np.float64 and last.dtype == np.int64,
        tail.ndim == last.ndim == 1 and len(tail) <= framing.reach and len(last) <= 1,
        bases.ndim == 2 and len(bases) <= framing.horizon and bases.shape[1] == framing.horizon,
        not framing.log or not (tail <= 0.0).any(),
    ]
    if not all(fits):
        raise ValueError
    state = begun(framing)
    for name, value in facts.items():
        state[name] = value
    state["held"], state["origins"], state["timed"] = len(tail), len(bases), len(last)
    state["tail"][0, framing.reach - len(tail) :] = tail
    state["bases"][0, framing.horizon - len(bases) :] = bases
    state["last"][: len(last)] = last
    return state
