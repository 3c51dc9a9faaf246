"""A series that goes on: after each new value the forecast of the next steps, without the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.data.framing import Floats, Framing
from ostinato.data.times import row_place
from ostinato.data.values import numbers_from_array
from ostinato.errors import ArgumentError, DataError, ShapeError, SnapshotError
from ostinato.runtime.clock import Clock
from ostinato.runtime.histories import Known, Reading
from ostinato.runtime.reading import check_policy
from ostinato.runtime.snapshot import Fact, pack, unpack
from ostinato.runtime.turns import Turns

_KIND = "forecast"
_LARGEST = float(np.finfo(np.float32).max)
_FIRST = int(np.datetime64("0001-01-01", "us").astype(np.int64))


Values = ArrayLike | Sequence[float | None]
"""Values `[time]`; None and NaN are missing ones."""


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
    def forecast(self, windows: Floats, spreads: Floats) -> Floats: ...


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


@dataclass(frozen=True, eq=False)
class _State:
    """All that is kept of a history. It never changes, so that streams may share it.

    Args:
        steps: Values so far, filled ones included.
        tail: The last ones, at most as many as the model reaches back.
        bases: `[origins, horizon]`, what the anchor said at the last origins of the steps after them, oldest first.
        squares: Sum of the squares of the anchor's errors so far.
        errors: How many these are.
        top: The largest value so far, without sign, on the scale on which effects add.
        unit: The unit of a series of training; 0 for one whose unit is found as it goes.
        clock: Where it stands in time.
    """

    steps: int
    tail: Floats
    bases: Floats
    squares: float
    errors: int
    top: float
    unit: float
    clock: Clock


class ForecasterStream:
    """One series that goes on. Its forecasts are those of `predict` on the history so far, to rounding.

    What it keeps does not grow: the last values within the model's reach, and for a new series the running mean square
    of the anchor's errors, from which its unit comes; that of a series of training is fixed. Each value costs the
    same. Any way of cutting a series into calls gives the same bits. A call that raises has changed nothing. A stream
    is used by one thread at a time: a second one gets `StreamBusy`. Made by `Forecaster.stream`.

    Args:
        model: The forecaster.
        blob: A snapshot to go on from; by default the series starts.
        series: Name of a series of training, which is gone on with; None for a new one.
        nonfinite: What to do about values that are missing, infinite or beyond float32. "raise": a `DataError`.
            "hold": the last value is taken again; there must be one. "propagate": they are kept, and forecasts are NaN
            as long as one is within the model's reach; units leave them out.

    Raises:
        ArgumentError: There is no such policy, or `series` is given beside a snapshot.
        DataError: `id`, no such series was in training.
        SnapshotError: `blob` is no snapshot of this model.
    """

    def __init__(
        self, model: Forecasting, blob: bytes | None = None, *, series: str | None = None, nonfinite: str = "raise"
    ) -> None:
        self._model, self._nonfinite, self.series = model, check_policy(nonfinite), series
        self._turns = Turns()
        if blob is None:
            self._state = self._start()
            return
        if series is not None:
            raise ArgumentError(
                "series must not be given beside a snapshot", got=f"{series!r:.80}", fix="The snapshot knows it."
            )
        self.series, self._state = self._restored(blob)

    @property
    def steps(self) -> int:
        """How many values it has taken since it started or was reset, filled ones included."""
        return self._state.steps

    def step(self, value: float | None, time: Any = None) -> Ahead | None:
        """Take one more value; the forecast after it, None while the history is shorter than the model's reach.

        Args:
            value: The value; None and NaN are missing ones.
            time: When it was; None for the step after the last one. Absent steps are treated as in training.

        Raises:
            DataError: `nan` or `nonfinite`, by the policy; `domain`, it is not positive though the model works on
                logarithms; `overflow`, a forecast is too large for a number; and those of `Clock.next`.
        """
        with self._turns:
            before = self._state
            try:
                self.feed([value], None if time is None else [time])
                return self.forecast()
            except BaseException:
                self._state = before
                raise

    def run(self, values: Values, times: Sequence[Any] | NDArray[Any] | None = None) -> list[Ahead | None]:
        """The forecasts after each of several values `[time]`, to the bit as step by step; see `feed` to skip them.

        Raises:
            ShapeError, DataError: As for `feed` and `step`, of any of the values; none was taken.
        """
        given = _checked(values, times)
        with self._turns:
            before = self._state
            try:
                return [self.step(value, time) for value, time in given]
            except BaseException:
                self._state = before
                raise

    def feed(self, values: Values, times: Sequence[Any] | NDArray[Any] | None = None) -> None:
        """Take several values `[time]` without forecasting: a history from which to go on.

        Args:
            values: The values.
            times: `[time]`, when they were; None for steps after the last one.

        Raises:
            ShapeError: There are not as many times as values, or more than one axis.
            DataError: As for `step`, of any of the values; none was taken.
        """
        given = _checked(values, times)
        with self._turns:
            state = self._state
            for value, time in given:
                state = self._taken(state, value, time)
            self._state = state

    def forecast(self) -> Ahead | None:
        """The forecast from where it stands; None while the history is shorter than the model's reach.

        Raises:
            DataError: `overflow`, it is too large for a number; `time`, a time would pass the year 9999.
        """
        state, framing, columns = self._state, self._model.framing, self._model.columns()
        if len(state.tail) < framing.reach:
            return None
        times = state.clock.ahead(framing.horizon)
        if not np.isfinite(state.tail).all():
            return Ahead(times, np.full((framing.horizon, len(columns)), np.nan), columns)
        borrowed = 0.0 if state.unit or not self._model.typical else framing.borrowed(state.errors)
        usual = self._model.typical * float(framing.size(framing.into(state.tail)[None])[0]) if borrowed else 0.0
        unit = state.unit or framing.unit(state.squares, state.errors, state.top, usual)
        return Ahead(times, self._model.forecast(state.tail[None], np.array([unit]))[0], columns, borrowed)

    def reset(self) -> None:
        """Start anew; a series of training goes on from its end again."""
        with self._turns:
            self._state = self._start()

    def fork(self) -> ForecasterStream:
        """A second stream that goes on from here by itself."""
        twin = ForecasterStream(self._model, series=self.series, nonfinite=self._nonfinite)
        twin._state = self._state
        return twin

    def snapshot(self) -> bytes:
        """All that `Forecaster.stream` needs to go on from here."""
        s = self._state
        last = np.empty(0, np.int64) if s.clock.last is None else s.clock.last.astype(np.int64)
        facts = {
            "series": self.series, "steps": s.steps, "errors": s.errors, "aware": s.clock.aware,
            "squares": s.squares, "top": s.top, "unit": s.unit,
        }  # fmt: skip
        return pack(self._model.fingerprint, _KIND, facts, [s.tail, s.bases, last])

    def _taken(self, state: _State, value: float, time: Any) -> _State:
        clock, absent = state.clock.next(time, state.steps)
        value = self._allowed(state, value)
        for filled in self._between(state, value, absent):
            state = self._added(state, float(filled))
        return replace(self._added(state, value), clock=clock)

    def _allowed(self, state: _State, value: float) -> float:
        """The value, or by the policy what stands for it."""
        where = ", ".join([*([f"series {self.series!r}"] if self.series else []), f"step {state.steps + 1}"])
        if not abs(value) <= _LARGEST:  # NaN included
            if self._nonfinite == "propagate":
                return value if np.isnan(value) else float(np.copysign(np.inf, value))
            if self._nonfinite == "hold" and len(state.tail):
                return float(state.tail[-1])
            raise _absent(value, where, hold=self._nonfinite == "hold")
        if self._model.framing.log and value <= 0.0:
            raise DataError(
                "all values must be positive, since this model works on logarithms", got=f"{value:g}",
                where=where, fix="Mend the values, or train with log='no'.", code="domain",
            )  # fmt: skip
        return value

    def _between(self, state: _State, value: float, absent: int) -> Floats:
        """What stands for the steps that are absent before `value`, as the reader fills them."""
        left = float(state.tail[-1]) if absent else value
        if self._model.reading.cleaning.missing != "interpolate":
            return np.full(absent, left)
        share = np.arange(1, absent + 1) / (absent + 1)
        between: Floats = left * (1 - share) + value * share
        return between

    def _added(self, state: _State, value: float) -> _State:
        """The state with one more value."""
        reach = self._model.framing.reach
        tail = np.append(state.tail, value)[-reach:]
        found = state if state.unit else self._judged(state, value)
        return replace(found, steps=state.steps + 1, tail=tail)

    def _judged(self, state: _State, value: float) -> _State:
        """The state after the anchors of the last origins were compared with one more value."""
        framing, bases = self._model.framing, state.bases
        with np.errstate(invalid="ignore"):
            if len(state.tail) == framing.reach:
                base = framing.frame(framing.into(state.tail)[None], np.ones(1)).base
                bases = np.concatenate([bases, base])[-framing.horizon :]
            now = float(framing.into(np.array(value)))
            n = np.arange(len(bases))
            errors = now - bases[n, n[::-1]]  # the newest origin is one step back, the oldest `len(bases)`
        errors = errors[np.isfinite(errors)]
        return replace(
            state,
            bases=bases,
            squares=state.squares + float(np.sum(errors * errors)),
            errors=state.errors + len(errors),
            top=max(state.top, abs(now)) if np.isfinite(now) else state.top,
        )

    def _start(self) -> _State:
        model, horizon = self._model, self._model.framing.horizon
        fresh = _State(0, np.empty(0), np.empty((0, horizon)), 0.0, 0, 0.0, 0.0, model.clock)
        if self.series is None:
            return fresh
        known = model.known
        if self.series not in known.ids:
            names = ", ".join(map(repr, known.ids[:10])) + (", …" if len(known.ids) > 10 else "")
            raise DataError(
                "the series must be one of training", got=f"{self.series!r:.80}",
                fix=f"Pass one of {names}, or none for a new one.", code="id",
            )  # fmt: skip
        i = known.ids.index(self.series)
        clock = replace(model.clock, series=self.series, last=known.last[[i]])
        return replace(fresh, tail=known.tails[i], unit=float(known.spreads[i]), clock=clock)

    def _restored(self, blob: bytes) -> tuple[str | None, _State]:
        if not isinstance(blob, (bytes, bytearray, memoryview)):
            raise SnapshotError(
                "a snapshot must be bytes", got=type(blob).__name__, fix="Pass what snapshot() gave.", code="foreign"
            )
        facts, arrays = unpack(bytes(blob), self._model.fingerprint, _KIND)
        try:
            return self._rebuilt(facts, *arrays)
        except (ValueError, TypeError, KeyError):  # another number of arrays, a fact that is not there
            raise SnapshotError(
                "a snapshot must hold the state of a series", got="another one", fix="Take it again.", code="damaged"
            ) from None

    def _rebuilt(
        self, facts: dict[str, Fact], tail: NDArray[Any], bases: NDArray[Any], last: NDArray[Any]
    ) -> tuple[str | None, _State]:
        """The series and the state of a snapshot; raises `ValueError`, `TypeError` or `KeyError` if it has others."""
        model, framing = self._model, self._model.framing
        state = _State(tail=tail, bases=bases, clock=model.clock, **_checked_facts(facts))
        fits = [
            tail.dtype == bases.dtype == np.float64 and last.dtype == np.int64,
            tail.ndim == last.ndim == 1 and len(tail) <= framing.reach and len(last) <= 1,
            bases.ndim == 2 and len(bases) <= framing.horizon and bases.shape[1] == framing.horizon,
            not framing.log or not (tail <= 0.0).any(),
        ]
        if not all(fits):
            raise ValueError
        series, aware = facts["series"], facts["aware"]
        if not isinstance(series, str | None) or not isinstance(aware, bool | None):
            raise TypeError
        moment = _moment(last, timed=model.clock.freq.unit != "step")
        clock = replace(model.clock, series=series or "", last=moment, aware=aware)
        return series, replace(state, clock=clock)


def _checked(values: Values, times: Sequence[Any] | NDArray[Any] | None) -> list[tuple[float, Any]]:
    """Values `[time]` with their times."""
    column = values if isinstance(values, np.ndarray) else np.asarray(values, object)
    if column.ndim != 1:
        raise ShapeError("values must be [time]", got=f"shape {column.shape}", fix="Pass one series.")
    found = numbers_from_array(column if column.dtype != object else list(column), name="y", place=row_place).tolist()
    moments = [None] * len(found) if times is None else list(times)
    if len(moments) != len(found):
        raise ShapeError(f"times must be one a value ({len(found)})", got=str(len(moments)), fix="Pass as many.")
    return list(zip(found, moments, strict=True))


def _absent(value: float, where: str, *, hold: bool) -> DataError:
    missing = bool(np.isnan(value))
    return DataError(
        "values must not be missing" if missing else f"values must be within ±{_LARGEST:.4g} (float32)",
        got=("a missing value" if missing else f"{value:g}") + (" before any other one" if hold else ""),
        fix="Begin with a value that is one." if hold
        else 'Fill it in, leave it out, or open the stream with nonfinite="hold" or "propagate".',
        where=where, code="nan" if missing else "nonfinite",
    )  # fmt: skip


def _checked_facts(facts: dict[str, Fact]) -> dict[str, Any]:
    """Steps, errors, squares, top and unit, if they are numbers that can be."""
    counts = {name: facts[name] for name in ("steps", "errors")}
    sizes = {name: facts[name] for name in ("squares", "top", "unit")}
    if any(type(n) is not int or n < 0 for n in counts.values()):
        raise ValueError
    if any(type(n) is not float or not 0.0 <= n < np.inf for n in sizes.values()):
        raise ValueError
    return counts | sizes


def _moment(last: NDArray[Any], *, timed: bool) -> NDArray[Any] | None:
    if not len(last):
        return None
    if timed and last[0] < _FIRST:
        raise ValueError
    return last.astype("datetime64[us]") if timed else last
