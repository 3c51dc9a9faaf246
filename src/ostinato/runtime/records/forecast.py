"""Records for a forecaster: one more value of a series in, the forecast of its next steps out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato.data.times import time_text
from ostinato.errors import DataError, DataWarning
from ostinato.runtime.ahead import Ahead
from ostinato.runtime.forecaster import Forecaster
from ostinato.runtime.forecaster_stream import ForecasterStream, step_together
from ostinato.runtime.records.base import Record, Records, check_columns, decoded, numbers_of, only_reset, reset_of

_DAY = 86_400_000_000
_Field = int | float | str | bool | None
_NEEDS = {"y"}
_KNOWS = {"id", "ds", "y", "reset"}


class _Value(NamedTuple):
    y: float | None
    ds: Any


class ForecastRecords(Records[ForecasterStream]):
    """A number, or `{"id": …, "ds": …, "y": …}`, is answered by `{"forecast": {"ds": […], "LSTM": […], …}}`.

    `ds` may be left out: then it is the next step. The names of the columns of training are understood, too. The
    forecast is null while the history is too short. A name of a series of training goes on with it.

    Args:
        forecaster: The model.
        nonfinite: See `ForecasterStream`; null is a missing value.
        name: The stream of records that name none.
    """

    def __init__(self, forecaster: Forecaster, *, nonfinite: str = "raise", name: str | None = None) -> None:
        super().__init__(name)
        self._forecaster, self._nonfinite = forecaster, nonfinite
        columns, known = forecaster.reading.columns, forecaster.known.ids
        pairs = ((columns.id, "id"), (columns.time, "ds"), (columns.target, "y"))
        self._names = {own: name for own, name in pairs if own is not None}
        self._known, self._warned = frozenset(known), False
        forecaster.stream(nonfinite=nonfinite)

    @property
    def model(self) -> str:
        """The fingerprint that snapshots carry."""
        return self._forecaster.fingerprint

    @property
    def columns(self) -> list[str]:
        """For each step ahead its time and its quantiles: ds+1, LSTM+1, …, ds+2, …"""
        names = ["ds", *self._forecaster.columns()]
        return [f"{name}+{step}" for step in range(1, self._forecaster.framing.horizon + 1) for name in names]

    @property
    def id_columns(self) -> frozenset[str]:
        """id, or as in training."""
        return frozenset({"id", *(own for own, name in self._names.items() if name == "id")})

    def parse(self, line: bytes) -> Record:
        """The record that a line is."""
        if line.lstrip()[:1] != b"{":
            return Record(_Value(decoded(line, float | None), None))
        fields: dict[str, Any] = self._canonical(decoded(line, dict[str, _Field]), "json")
        strange = set(fields) - _KNOWS
        if strange:
            raise _form(f"the field {min(strange)!r:.80}")
        id, reset, y = fields.get("id"), fields.get("reset", False), fields.get("y")
        if not isinstance(id, str | int | None) or isinstance(id, bool) or not isinstance(reset, bool):
            raise _form("an id or a reset of another kind")
        if isinstance(y, str | bool):
            raise _form(f"{y!r:.60} as y")
        return Record(_Value(y, fields.get("ds")) if "y" in fields else None, id, reset)

    def parse_row(self, row: Mapping[str, str]) -> Record:
        """The record that a row is."""
        fields = self._canonical(row, "column")
        check_columns(fields, _KNOWS, _NEEDS)
        if only_reset(fields, [fields["y"], fields.get("ds", "")]):
            return Record(None, fields.get("id"), reset=True)
        y = numbers_of({"y": fields["y"]})
        return Record(_Value(float(y[0]), fields.get("ds")), fields.get("id"), reset_of(fields))

    def cells(self, answer: Mapping[str, Any]) -> Sequence[Any]:
        """The forecast in a row, empty if there is none."""
        ahead = answer.get("forecast")
        if ahead is None:
            return [None] * len(self.columns)
        columns = [column or [None] * self._forecaster.framing.horizon for column in ahead.values()]
        return [value for step in zip(*columns, strict=True) for value in step]

    def _canonical(self, fields: Mapping[str, Any], code: str) -> dict[str, Any]:
        found = {self._names.get(name, name): value for name, value in fields.items()}
        if len(found) < len(fields):
            raise DataError(
                "id, ds and y must have one name each", got=", ".join(f"{name!r:.80}" for name in fields), code=code,
                fix="Send each once, under its own name or the one that it had in training.",
            )  # fmt: skip
        return found

    def _made(self, name: str | None, blob: bytes | None = None) -> ForecasterStream:
        if blob is not None:
            return self._forecaster.stream(blob, nonfinite=self._nonfinite)
        if name is not None and name not in self._known and not self._warned:
            self._warned = True
            warnings.warn(
                f"the series {name!r:.80} was not in training, perhaps others, too; "
                "their scale comes from their own history",
                DataWarning,
                stacklevel=2,
            )
        return self._forecaster.stream(series=name if name in self._known else None, nonfinite=self._nonfinite)

    def _blob(self, stream: ForecasterStream) -> bytes:
        return stream.snapshot()

    def _moved(self, stream: ForecasterStream, given: _Value) -> dict[str, Any]:
        return _told([stream.step(given.y, given.ds)])[0]

    def _run(self, stream: ForecasterStream, given: Sequence[_Value]) -> list[dict[str, Any]]:
        return _told(stream.run([one.y for one in given], [one.ds for one in given]))

    def _step(self, streams: Sequence[ForecasterStream], given: Sequence[_Value]) -> list[dict[str, Any]]:
        return _told(step_together(streams, [one.y for one in given], [one.ds for one in given]))


def _told(found: list[Ahead | None]) -> list[dict[str, Any]]:
    """The answers to forecasts."""
    there = [ahead for ahead in found if ahead is not None]
    if not there:
        return [{"forecast": None} for _ in found]
    numbers = iter(np.stack([ahead.quantiles.T for ahead in there]).tolist())
    times = iter(_texts([ahead.times for ahead in there]))
    said: list[dict[str, Any]] = []
    for ahead in found:
        if ahead is None:
            said.append({"forecast": None})
            continue
        said.append({"forecast": {"ds": next(times), **dict(zip(ahead.columns, next(numbers), strict=True))}})
        if ahead.borrowed:
            said[-1]["borrowed"] = ahead.borrowed
    return said


def _texts(times: Sequence[NDArray[Any] | None]) -> list[list[str] | None]:
    """Times of forecasts, each as `time_text` writes it."""
    rows = [row for row in times if row is not None]
    together = np.concatenate(rows) if rows else np.zeros(0)
    if together.dtype.kind == "M" and (together.astype(np.int64) % _DAY).any():  # they may need several units
        return [None if row is None else time_text(row) for row in times]
    texts = time_text(together)
    begins = iter(range(0, len(texts), max(map(len, rows), default=1)))
    return [None if row is None else texts[(a := next(begins)) : a + len(row)] for row in times]


def _form(got: str) -> DataError:
    return DataError(
        'a line must be a number or {"id": …, "ds": …, "y": …}', got=got, fix="Send one value of a series a line.",
        code="json",
    )  # fmt: skip
