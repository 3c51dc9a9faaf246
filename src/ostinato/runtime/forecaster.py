"""A trained forecaster: from the history of series to the quantiles of their next steps. NumPy only."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.data import Columns, Freq, Panel, Series, Table, read_panel
from ostinato.data.framing import Floats, Frame, Framing
from ostinato.errors import ArgumentError, DataError, DataWarning
from ostinato.maps.base import Part, Weights
from ostinato.runtime.clock import Clock
from ostinato.runtime.forecaster_pool import ForecasterPool
from ostinato.runtime.forecaster_stream import ForecasterStream
from ostinato.runtime.histories import Known, Reading
from ostinato.runtime.machine import Machine
from ostinato.runtime.snapshot import fingerprint

LEAST_LEVEL = 0.01
"""Levels of intervals are at least this far from 0 and from 100 per cent."""

_ROWS = 4096


def quantile_grid(level: Sequence[float]) -> list[float]:
    """The quantiles that intervals of these levels (in per cent) need, rising, with the median in the middle."""
    tails = sorted((100.0 - p) / 200.0 for p in level)
    return [round(q, 6) for q in (*tails, 0.5, *(1.0 - t for t in reversed(tails)))]


def band_names(label: str, level: Sequence[float]) -> list[str]:
    """Names of a forecast's columns, in the order of the quantiles; `level` is falling."""
    return [*(f"{label}-lo-{p:g}" for p in level), label, *(f"{label}-hi-{p:g}" for p in reversed(level))]


def check_names(columns: Columns, label: str, level: Sequence[float]) -> None:
    """Raise `ArgumentError` if two columns of a forecast or of an evaluation would have one name."""
    names = [columns.id or "unique_id", columns.time or "ds", "cutoff", "y", *band_names(label, level)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ArgumentError(
            "the columns of a forecast must have different names",
            got=", ".join(f"{name!r} twice" for name in twice[:5]),
            fix="Rename the column of the data, or pass other levels.",
        )


def check_future(freq: Freq, last: NDArray[Any], horizon: int) -> None:
    """Raise `DataError` if no `horizon` steps can follow one of the times `last [series]`."""
    off = last[freq.split(last).residue == -1]
    for moment in (last.min(), last.max(), *off[:1]):
        freq.next(moment, horizon)


@lean_dataclass(frozen=True, eq=False)
class Forecaster:
    """Everything that a forecast needs. Its recurrent layers multiply in float32 unless `at` was asked for another.

    Args:
        parts: The layers of one network.
        members: The weights of each network, fixed from the first forecast on; their quantiles are averaged.
        framing: How a network sees a series.
        level: Levels of the intervals in per cent, falling: the widest first.
        widening: `[levels]`, how much each interval widens at both ends, in the unit of the network's output.
        label: Name of the forecast's columns.
        known: The series of training: their units and the last steps of their histories.
        reading: How tables are read.
    """

    parts: tuple[Part, ...]
    members: tuple[Sequence[Weights], ...]
    framing: Framing
    level: tuple[float, ...]
    widening: Floats
    label: str
    known: Known
    reading: Reading

    @property
    def precision(self) -> str:
        """What its recurrent layers multiply in, "float32" or "bf16"."""
        return self._machines[0].precision

    def at(self, precision: str) -> Forecaster:
        """The same model in another precision, "float32" or "bf16"; `self` if it has it already.

        Raises:
            ArgumentError: There is no such precision.
            KernelError: This processor or a layer's cell has no such products.
        """
        if precision == self.precision:
            return self
        other = replace(self)
        other.__dict__["_machines"] = other._made(precision)
        return other

    def answer(self, x: NDArray[np.float32]) -> Floats:
        """Quantiles in the network's unit, rising, `[windows, horizon, quantiles]`, from `x [windows, length, 1]`."""
        n_quantiles = 2 * len(self.level) + 1
        total = np.zeros((len(x), self.framing.horizon, n_quantiles))
        for machine in self._machines:
            for first in range(0, len(x), _ROWS):
                y, _ = machine.run(x[first : first + _ROWS])
                total[first : first + _ROWS] += y.reshape(len(y), self.framing.horizon, n_quantiles)
        answer = np.sort(total / len(self.members), axis=2)
        for i, widening in enumerate(self.widening):
            answer[:, :, i] -= widening
            answer[:, :, n_quantiles - 1 - i] += widening
        return np.sort(answer, axis=2)

    @cached_property
    def _machines(self) -> tuple[Machine, ...]:
        return self._made("float32")

    def _made(self, precision: str) -> tuple[Machine, ...]:
        return tuple(Machine(self.parts, weights, precision=precision) for weights in self.members)

    def frame(self, windows: Floats, spreads: Floats) -> Frame:
        """What the networks see of histories; arguments as for `forecast`."""
        return self.framing.frame(self.framing.into(windows), spreads)

    def forecast(self, windows: Floats, spreads: Floats) -> Floats:
        """Quantiles of the values, `[windows, horizon, quantiles]`.

        Args:
            windows: `[windows, reach]`, the last values of each history.
            spreads: `[windows]`, the unit of each series.

        Raises:
            DataError: `overflow`, a forecast is too large for a number.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            frame = self.frame(windows, spreads)
            quantiles = self.framing.forecast(frame, self.answer(frame.x))
        if not np.isfinite(quantiles).all():
            raise DataError(
                "a forecast must be finite",
                got="an overflow",
                fix="The history lies far outside of what the model was trained on; train it on such data.",
                code="overflow",
            )
        return quantiles

    def forecast_each(self, windows: Floats, spreads: Floats) -> Floats:
        """As `forecast`; each history gets the same bits alone and beside others."""
        if all(machine.rowwise for machine in self._machines):
            return self.forecast(windows, spreads)
        return np.concatenate([self.forecast(windows[[i]], spreads[[i]]) for i in range(len(windows))])

    def predict(self, source: Any = None) -> Table:
        """The next `horizon` steps of every series, as a long table.

        Args:
            source: Histories, as `ostinato.data.read_panel` takes them; None continues the series of training.

        Returns:
            Columns: the series' name, the time, the median, and the ends of each interval.

        Raises:
            DataError: `short`, a history is shorter than the model's reach; `domain`, a value is not positive though
                the model works on logarithms; and those of `read_panel`.
        """
        if source is None:
            return self._table(self.known.ids, list(self.known.last), self.known.tails, self.known.spreads)
        panel = self.read(source)
        ids, last = panel.ids, [one.times[-1] for one in panel.series]
        windows = np.stack([self.window(one) for one in panel.series])
        return self._table(ids, last, windows, self.spreads(panel))

    def stream(
        self, blob: bytes | None = None, *, series: str | None = None, nonfinite: str = "raise"
    ) -> ForecasterStream:
        """One series that goes on: after each new value the forecast of the next steps, without the history.

        Args:
            blob: A snapshot to go on from; by default the series starts.
            series: Name of a series of training, which is gone on with; None for a new one.
            nonfinite: What to do about missing and infinite values: "raise", "hold" or "propagate", see
                `ForecasterStream`.

        Raises:
            ArgumentError: There is no such policy, or `series` is given beside a snapshot.
            DataError: `id`, no such series was in training.
            SnapshotError: `blob` is damaged, or of another model or precision.
        """
        return ForecasterStream(self, blob, series=series, nonfinite=nonfinite)

    def pool(self, capacity: int, *, nonfinite: str = "raise") -> ForecasterPool:
        """Up to `capacity` series under ids, of which any take a value in one call; see `ForecasterPool`.

        Raises:
            ArgumentError: `capacity` is no whole number of at least 1, or there is no such policy.
        """
        return ForecasterPool(self, capacity, nonfinite=nonfinite)

    @cached_property
    def typical(self) -> float:
        """How large the units of the series of training are beside what the network sees of their ends."""
        return self.framing.typical(self.framing.into(self.known.tails), self.known.spreads)

    @cached_property
    def clock(self) -> Clock:
        """The clock of a series that begins."""
        columns = self.reading.columns
        freq = Freq.parse(self.reading.freq)
        return Clock(freq, columns.time or "ds", columns.time_format, self.reading.cleaning.gaps)

    @cached_property
    def fingerprint(self) -> str:
        """What the snapshots of its streams carry, so that those of another model or precision are refused."""
        weights = [layer for member in self.members for layer in member]
        rest = (self.framing, self.level, self.widening.tolist(), self.label, self.reading, self.precision)
        return fingerprint(self.parts, weights, *rest)

    def read(self, source: Any) -> Panel:
        """Read histories the way the model was trained on them; a `Panel` is one that was read."""
        if isinstance(source, Panel):
            return source
        return read_panel(source, self.reading.columns, cleaning=self.reading.cleaning, freq=self.reading.freq)

    def window(self, series: Series) -> Floats:
        """The last `reach` values of a history, checked."""
        if len(series) < self.framing.reach:
            raise DataError(
                f"a history must have at least {self.framing.reach} steps",
                got=f"{len(series)}",
                where=f"series {series.id!r}",
                fix="Pass a longer history, or train with a shorter window (windows length).",
                code="short",
            )
        self.check_domain(series)
        return series.values[-self.framing.reach :]

    def check_domain(self, series: Series) -> None:
        """Raise `DataError` if the model works on logarithms and a value of `series` is not positive."""
        bad = np.flatnonzero(series.values <= 0.0) if self.framing.log else np.zeros(0, int)
        if len(bad):
            raise DataError(
                "all values must be positive, since this model works on logarithms",
                got=f"{series.values[bad[0]]:g}",
                where=[f"series {series.id!r}, {series.times[i]}" for i in bad[:5]],
                count=len(bad),
                fix="Mend the values, or train with log='no'.",
                code="domain",
            )

    def spreads(self, panel: Panel) -> Floats:
        """The unit of each series: that of training, or for a new series its own history's.

        A new series that is short borrows from those of training, see `Framing.unit`, and there is a warning.
        """
        place = {name: i for i, name in enumerate(self.known.ids)}
        new = [one for one in panel.series if one.id not in place]
        framing = self.framing
        enough = framing.reach + framing.enough
        short = [one for one in new if len(one) < enough]
        if new and place:
            note = ""
            if short:
                note = f"; {len(short)} have fewer than {enough} steps (first: {short[0].id!r}), so that a part comes "
                note += "from the errors usual in training"
            warnings.warn(
                f"{len(new)} of {len(panel)} series were not in training (first: {new[0].id!r}); "
                f"their scale comes from their own history{note}",
                DataWarning,
                stacklevel=3,
            )
        return np.array(
            [
                self.known.spreads[place[one.id]]
                if one.id in place
                else framing.full_spread(framing.into(one.values), self.typical)
                for one in panel.series
            ]
        )

    def warn_if_known(self, panel: Panel, steps: int) -> None:
        """Warn if the last `steps` steps of a series were in training: scores on them would flatter the model."""
        place = {name: i for i, name in enumerate(self.known.ids)}
        seen = [
            one.id for one in panel.series
            if one.id in place and one.times[-min(steps, len(one))] <= self.known.last[place[one.id]]
        ]  # fmt: skip
        if seen:
            warnings.warn(
                f"{len(seen)} of {len(panel)} series (first: {seen[0]!r}) have test steps that the model was trained "
                "on; its scores there flatter it",
                DataWarning,
                stacklevel=3,
            )

    def columns(self) -> list[str]:
        """Names of the forecast's columns, in the order of the quantiles."""
        return band_names(self.label, self.level)

    def _table(self, ids: Sequence[str], last: Sequence[Any], windows: Floats, spreads: Floats) -> Table:
        quantiles = self.forecast(windows, spreads)
        horizon, middle = self.framing.horizon, len(self.level)
        freq = Freq.parse(self.reading.freq)
        names = band_names(self.label, self.level)
        order = [middle, *(i for i in range(len(names)) if i != middle)]
        return Table(
            {
                self.reading.columns.id or "unique_id": np.repeat(np.array(ids, dtype=object), horizon),
                self.reading.columns.time or "ds": np.concatenate([freq.next(t, horizon) for t in last]),
                **{names[i]: quantiles[:, :, i].reshape(-1) for i in order},
            }
        )
