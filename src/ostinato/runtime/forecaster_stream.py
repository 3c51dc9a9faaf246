"""A series that goes on: after each new value the forecast of the next steps, without the history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.data.framing import Floats
from ostinato.data.times import row_place
from ostinato.data.values import numbers_from_array
from ostinato.errors import ArgumentError, DataError, ShapeError, SnapshotError
from ostinato.runtime.ahead import Ahead, Forecasting, forecasts
from ostinato.runtime.clock import Clock
from ostinato.runtime.closing import Closing, closed
from ostinato.runtime.forecaster_states import UNKNOWN, States, begun, moved, record, restored, stored
from ostinato.runtime.reading import check_policy
from ostinato.runtime.snapshot import Fact, pack, unpack
from ostinato.runtime.turns import Turns

_KIND = "forecast"
_LARGEST = float(np.finfo(np.float32).max)
_AT_ONCE = 1 << 22
"""Most bytes of states that are computed at once."""
_FACTS = ("steps", "errors", "aware", "squares", "top", "unit")
_KINDS = (np.float64, np.int64, np.bool_, np.int64, np.bool_)
_FIRST = int(np.datetime64("0001-01-01", "us").astype(np.int64))


Values = ArrayLike | Sequence[float | None]
"""Values `[time]`; None and NaN are missing ones."""


class _Plan(NamedTuple):
    """Values `[time]` that a series takes, filled ones among them, and when they are; see `states.record`."""

    values: Floats
    last: NDArray[np.int64]
    timed: NDArray[np.bool_]
    aware: NDArray[np.int64]
    asked: NDArray[np.bool_]
    """Which of them were given, so that a forecast after them may be asked for."""


class ForecasterStream(Closing):
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
        self._kept: bytes | None = b""
        if blob is None:
            self._state = self._start()
            return
        if series is not None:
            raise ArgumentError(
                "series must not be given beside a snapshot", got=f"{series!r:.80}", fix="The snapshot knows it."
            )
        self.series, self._state = self._restored(blob)

    @property
    def _state(self) -> bytes:
        if self._kept is None:
            raise closed()
        return self._kept

    @_state.setter
    def _state(self, state: bytes) -> None:
        if self._kept is None:
            raise closed()
        self._kept = state

    @property
    def steps(self) -> int:
        """How many values it has taken since it started or was reset, filled ones included."""
        return int(self._now()["steps"][0])

    def step(self, value: float | None, time: Any = None) -> Ahead | None:
        """Take one more value; the forecast after it, None while the history is shorter than the model's reach.

        Args:
            value: The value; None and NaN are missing ones.
            time: When it was; None for the step after the last one. Absent steps are treated as in training.

        Raises:
            DataError: `nan` or `nonfinite`, by the policy; `domain`, it is not positive though the model works on
                logarithms; `overflow`, a forecast is too large for a number; and those of `Clock.next`.
        """
        return self.run([value], None if time is None else [time])[0]

    def run(self, values: Values, times: Sequence[Any] | NDArray[Any] | None = None) -> list[Ahead | None]:
        """The forecasts after each of several values `[time]`, to the bit as step by step; see `feed` to skip them.

        Raises:
            ShapeError, DataError: As for `feed` and `step`, of any of the values; none was taken.
        """
        found: list[Ahead | None] = []
        given, moments = _checked(values, times)
        with self._turns:
            state = self._state
            for after, asked in self._taken(given, moments):
                found += forecasts(self._model, after[asked])
                state = after[-1:].tobytes()
            self._state = state
        return found

    def feed(self, values: Values, times: Sequence[Any] | NDArray[Any] | None = None) -> None:
        """Take several values `[time]` without forecasting: a history from which to go on.

        Args:
            values: The values.
            times: `[time]`, when they were; None for steps after the last one.

        Raises:
            ShapeError: There are not as many times as values, or more than one axis.
            DataError: As for `step`, of any of the values; none was taken.
        """
        given, moments = _checked(values, times)
        with self._turns:
            state = self._state
            for after, _ in self._taken(given, moments):
                state = after[-1:].tobytes()
            self._state = state

    def forecast(self) -> Ahead | None:
        """The forecast from where it stands; None while the history is shorter than the model's reach.

        Raises:
            DataError: `overflow`, it is too large for a number; `time`, a time would pass the year 9999.
        """
        return forecasts(self._model, self._now())[0]

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
        now = self._now()
        facts: dict[str, Fact] = {"series": self.series} | {name: now[name].item() for name in _FACTS}
        aware = facts["aware"]
        return pack(
            self._model.fingerprint, _KIND, facts | {"aware": None if aware == UNKNOWN else bool(aware)}, stored(now)
        )

    def close(self) -> None:
        with self._turns:
            self._kept = None

    def _now(self) -> States:
        return np.frombuffer(self._state, record(self._model.framing))

    def _taken(self, values: Floats, times: list[Any] | None) -> Iterator[tuple[States, NDArray[np.bool_]]]:
        """The states `[time]` after values, some of them at a time, and which of the values were given."""
        if not len(values):
            return
        framing, now = self._model.framing, self._now()
        plan = self._plan(now, values, times)
        at_once = max(_AT_ONCE // now.itemsize, 1)
        for a in range(0, len(plan.values), at_once):
            part = slice(a, a + at_once)
            after = moved(framing, now, plan.values[None, part])[0]
            after["last"], after["timed"], after["aware"] = plan.last[part], plan.timed[part], plan.aware[part]
            yield after, plan.asked[part]
            now = after[-1:]

    def _plan(self, now: States, values: Floats, times: list[Any] | None) -> _Plan:
        """What the series takes; if a value or time is not plain, the first one that is wrong is found."""
        n, clock = len(values), self._model.clock
        if _plain(self._model, values).all():
            timed = now["timed"].astype(bool)
            if times is None:
                try:
                    last, known = clock.onward(now["last"], timed, n)
                    return _Plan(values, last[0], known[0], np.repeat(now["aware"], n), np.ones(n, bool))
                except DataError:  # the values before the one whose time is too late may be wrong, too
                    pass
            elif (given := clock.read_all(times)) is not None and len(set(given.aware.tolist())) < 2:
                before = np.concatenate([now["last"], given.moments[:-1]])
                known = np.concatenate([timed, np.ones(n - 1, bool)])
                same = (now["aware"] == UNKNOWN) | (now["aware"] == given.aware)
                if same.all() and clock.follows(before, known, given.moments).all():
                    return _Plan(
                        values, given.moments, np.ones(n, bool), given.aware.astype(np.int64), np.ones(n, bool)
                    )
        return self._planned(now, values, times)

    def _planned(self, now: States, values: Floats, times: list[Any] | None) -> _Plan:
        """As `_plan`, value by value."""
        taken: list[tuple[float, int, bool, int, bool]] = []
        clock, steps = self._clock(now), int(now["steps"][0])
        last = float(now["tail"][0, -1]) if now["held"][0] else None
        for value, time in zip(values.tolist(), [None] * len(values) if times is None else times, strict=True):
            clock, absent = clock.next(time, steps + len(taken))
            value = self._allowed(value, last, steps + len(taken))
            moment = 0 if clock.last is None else int(clock.last.astype(np.int64)[0])
            aware = UNKNOWN if clock.aware is None else int(clock.aware)
            filled = [(one, False) for one in self._between(last, value, absent).tolist()]
            taken += [(one, moment, clock.last is not None, aware, own) for one, own in [*filled, (value, True)]]
            last = value
        return _Plan(*(np.array(column, kind) for column, kind in zip(zip(*taken, strict=True), _KINDS, strict=True)))

    def _clock(self, now: States) -> Clock:
        """Where it stands in time."""
        clock, aware = self._model.clock, int(now["aware"][0])
        last = clock.times(now["last"]) if now["timed"][0] else None
        return replace(clock, series=self.series or "", last=last, aware=None if aware == UNKNOWN else bool(aware))

    def _allowed(self, value: float, last: float | None, steps: int) -> float:
        """The value, or by the policy what stands for it."""
        where = ", ".join([*([f"series {self.series!r}"] if self.series else []), f"step {steps + 1}"])
        if not abs(value) <= _LARGEST:  # NaN included
            if self._nonfinite == "propagate":
                return value if np.isnan(value) else float(np.copysign(np.inf, value))
            if self._nonfinite == "hold" and last is not None:
                return last
            raise _absent(value, where, hold=self._nonfinite == "hold")
        if self._model.framing.log and value <= 0.0:
            raise DataError(
                "all values must be positive, since this model works on logarithms", got=f"{value:g}",
                where=where, fix="Mend the values, or train with log='no'.", code="domain",
            )  # fmt: skip
        return value

    def _between(self, last: float | None, value: float, absent: int) -> Floats:
        """What stands for the steps that are absent before `value`, as the reader fills them."""
        left = value if last is None else last
        if self._model.reading.cleaning.missing != "interpolate":
            return np.full(absent, left)
        share = np.arange(1, absent + 1) / (absent + 1)
        between: Floats = left * (1 - share) + value * share
        return between

    def _start(self) -> bytes:
        model, fresh = self._model, begun(self._model.framing)
        if self.series is None:
            return fresh.tobytes()
        known = model.known
        if self.series not in known.ids:
            names = ", ".join(map(repr, known.ids[:10])) + (", …" if len(known.ids) > 10 else "")
            raise DataError(
                "the series must be one of training", got=f"{self.series!r:.80}",
                fix=f"Pass one of {names}, or none for a new one.", code="id",
            )  # fmt: skip
        i = known.ids.index(self.series)
        fresh["tail"], fresh["held"], fresh["unit"] = known.tails[i], known.tails.shape[1], known.spreads[i]
        fresh["last"], fresh["timed"] = known.last[i].astype(np.int64), 1
        return fresh.tobytes()

    def _restored(self, blob: bytes) -> tuple[str | None, bytes]:
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

    def _rebuilt(self, facts: dict[str, Fact], *arrays: NDArray[Any]) -> tuple[str | None, bytes]:
        """The series and the state of a snapshot; raises `ValueError`, `TypeError` or `KeyError` if it has others."""
        state = restored(self._model.framing, _checked_facts(facts), *arrays)
        series, aware = facts["series"], facts["aware"]
        if not isinstance(series, str | None) or not isinstance(aware, bool | None):
            raise TypeError
        if self._model.clock.freq.unit != "step" and state["timed"][0] and state["last"][0] < _FIRST:
            raise ValueError
        state["aware"] = UNKNOWN if aware is None else aware
        return series, state.tobytes()


def step_together(
    streams: Sequence[ForecasterStream], values: Values, times: Sequence[Any] | NDArray[Any] | None = None
) -> list[Ahead | None]:
    """As `step` of different streams, in as few calls as there can be, to the same bits.

    Args:
        streams: Of one model.
        values: One for each.
        times: Those of the values; a stream whose value has none goes on to its next step.

    Raises:
        DataError: As for `step`, of any of them; none has moved.
    """
    model = streams[0]._model
    framing = model.framing
    given, moments = _checked(values, times)
    with ExitStack() as turns:
        for stream in streams:
            turns.enter_context(stream._turns)
        now = np.frombuffer(b"".join([stream._state for stream in streams]), record(framing))
        after = np.empty_like(now)
        plain = _plain(model, given)
        ticks = _ticks(model.clock, now, moments)
        if ticks is None:
            plain[:] = False
        else:
            plain &= ticks.plain
            rows = np.flatnonzero(plain)
            after[rows] = moved(framing, now[rows], given[rows, None])[:, 0]
            after["last"], after["timed"], after["aware"] = ticks.last, ticks.timed, ticks.aware
        for i in np.flatnonzero(~plain).tolist():
            one = slice(i, i + 1)
            for states, _ in streams[i]._taken(given[one], None if moments is None else moments[one]):
                after[one] = states[-1:]
        found = forecasts(model, after)
        whole, size = after.tobytes(), after.itemsize
        for i, stream in enumerate(streams):
            stream._state = whole[i * size : (i + 1) * size]
    return found


class _Ticks(NamedTuple):
    """Where series stand in time after a value each, `[series]`, and for which of them it is plain that they may."""

    plain: NDArray[np.bool_]
    last: NDArray[np.int64]
    timed: NDArray[np.bool_]
    aware: NDArray[np.int64]


def _ticks(clock: Clock, now: States, times: list[Any] | None) -> _Ticks | None:
    """None if the values must be taken one by one."""
    timed = now["timed"].astype(bool)
    if times is None:
        try:
            last, known = clock.onward(now["last"], timed, 1)
        except DataError:
            return None
        return _Ticks(np.ones(len(now), bool), last[:, 0], known[:, 0], now["aware"])
    given = None if None in times else clock.read_all(times)
    if given is None:
        return None
    same = (now["aware"] == UNKNOWN) | (now["aware"] == given.aware)
    plain = same & clock.follows(now["last"], timed, given.moments)
    return _Ticks(plain, given.moments, np.ones(len(now), bool), given.aware.astype(np.int64))


def _plain(model: Forecasting, values: Floats) -> NDArray[np.bool_]:
    """Which of the values can be taken as they are, whatever the policy is."""
    good: NDArray[np.bool_] = np.abs(values) <= _LARGEST  # NaN is not
    return good & (values > 0.0) if model.framing.log else good


def _checked(values: Values, times: Sequence[Any] | NDArray[Any] | None) -> tuple[Floats, list[Any] | None]:
    """Values `[time]` with their times; None for no times at all."""
    column = values if isinstance(values, np.ndarray) else np.asarray(values, object)
    if column.ndim != 1:
        raise ShapeError("values must be [time]", got=f"shape {column.shape}", fix="Pass one series.")
    try:
        found = numbers_from_array(column if column.dtype != object else list(column), name="y", place=row_place)
    except DataError as error:  # whose advice is for tables that have other columns
        raise DataError(
            "values must be real numbers", got=error.got, where=error.where, count=error.count, code=error.code,
            fix="Convert them to float first; None is a missing one.",
        ) from None  # fmt: skip
    moments = None if times is None else list(times)
    if moments is not None and len(moments) != len(found):
        raise ShapeError(f"times must be one a value ({len(found)})", got=str(len(moments)), fix="Pass as many.")
    return found, None if moments is None or all(moment is None for moment in moments) else moments


def _absent(value: float, where: str, *, hold: bool) -> DataError:
    missing = bool(np.isnan(value))
    return DataError(
        "values must not be missing" if missing else f"values must be within ±{_LARGEST:.4g} (float32)",
        got=("a missing value" if missing else f"{value:g}") + (" before any other one" if hold else ""),
        fix="Begin with a value that is one." if hold
        else 'Fill it in, leave it out, or open the stream with nonfinite="hold" or nonfinite="propagate".',
        where=where, code="nan" if missing else "nonfinite",
    )  # fmt: skip


def _checked_facts(facts: dict[str, Fact]) -> dict[str, Any]:
    """Steps, errors, squares, top and unit, if they are numbers that can be."""
    counts = {name: facts[name] for name in ("steps", "errors")}
    sizes = {name: facts[name] for name in ("squares", "top", "unit")}
    if any(type(n) is not int or not 0 <= n < 2**62 for n in counts.values()):
        raise ValueError
    if any(type(n) is not float or not 0.0 <= n < np.inf for n in sizes.values()):
        raise ValueError
    return counts | sizes
