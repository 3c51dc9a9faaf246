"""Records for a network: the numbers of one step in, its output out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import GenericAlias
from typing import Any

import numpy as np
from msgspec import UNSET, UnsetType, defstruct
from numpy.typing import NDArray

from ostinato.data.values import numbers_from_text
from ostinato.errors import DataError, OstinatoError, ShapeError
from ostinato.runtime.models import Network
from ostinato.runtime.reading import check_policy
from ostinato.runtime.records.base import Record, Records, Wire, decoded, only_reset, reset_of
from ostinato.runtime.seats import Seat, Seats
from ostinato.runtime.snapshot import fingerprint

_NUMBERS: Any = float | None
"""JSON has no NaN: null stands for a number that is not there."""


class NetworkRecords(Records[Seat]):
    """A list of numbers, or `{"x": […]}`, is answered by `{"y": […]}`.

    Streams share their memory, and steps of several of them, or several of one, are computed in one call.

    Args:
        network: The network.
        nonfinite: See `ostinato.runtime.stream.Stream`; null is NaN.
        name: The stream of records that name none.
    """

    most = sys.maxsize
    """All of them are open: a seat is smaller than a snapshot."""

    def __init__(self, network: Network, *, nonfinite: str = "raise", name: str | None = None) -> None:
        super().__init__(name)
        self._network = network
        self._seats = Seats(network.stepping, check_policy(nonfinite))
        self._shape = tuple(int(n) for n in network.input_shape[1:] if n is not None)
        kind: Any = _NUMBERS
        for _ in self._shape:
            kind = GenericAlias(list, (kind,))
        self._kind = kind
        field = ("x", kind | UnsetType, UNSET)
        self._wire = defstruct("Step", [field], bases=(Wire,), frozen=True, kw_only=True, forbid_unknown_fields=True)
        self._width = int(np.prod(network.stepping.network.out_shape))

    @property
    def model(self) -> str:
        """The fingerprint that snapshots carry."""
        network = self._network
        return fingerprint(network.parts, network.weights, network.precision, network.input_shape)

    @property
    def columns(self) -> list[str]:
        """y, or y0, y1, … if there are several."""
        return ["y"] if self._width == 1 else [f"y{i}" for i in range(self._width)]

    def parse(self, line: bytes) -> Record:
        """The record that a line is."""
        if line.lstrip()[:1] != b"{":
            return Record(self._numbers(decoded(line, self._kind)))
        wire: Any = decoded(line, self._wire)
        return Record(None if wire.x is UNSET else self._numbers(wire.x), wire.id, wire.reset)

    def _numbers(self, found: Any) -> NDArray[Any]:
        """What a step takes as it is: float32, or an int for a network that reads symbols."""
        if not self._shape:
            whole = found is not None and found.is_integer()
            return np.array(found, np.int64 if whole and abs(found) < 2**53 else np.float64)
        try:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which the policy treats
                return np.array(found, np.float32)
        except ValueError:
            raise ShapeError(
                f"x must be {self._shape}", got="lists of several lengths", fix="Pass one step's features."
            ) from None

    def parse_row(self, row: Mapping[str, str]) -> Record:
        """The record that a row is: the columns id and reset are such, the others are the numbers in order."""
        numbers = [cell for name, cell in row.items() if name not in ("id", "reset")]
        if only_reset(row, numbers):
            return Record(None, row.get("id"), reset=True)
        wanted = int(np.prod(self._shape))
        if len(numbers) != wanted:
            raise DataError(
                f"a row must have {wanted} numbers", got=str(len(numbers)),
                fix="Pass one step's numbers in the order of training.", code="column",
            )  # fmt: skip
        x = numbers_from_text(numbers, name="x", place=lambda i: f"number {i + 1} of the row")
        return Record(x.reshape(self._shape), row.get("id"), reset_of(row))

    def cells(self, answer: Mapping[str, Any]) -> Sequence[Any]:
        """The numbers of an answer, none for one without."""
        return np.ravel(answer["y"]).tolist() if "y" in answer else [None] * self._width

    def answers(self, records: Sequence[Record]) -> tuple[list[dict[str, Any]], OstinatoError | None]:
        """As of all records, with as few calls as there can be."""
        said: list[dict[str, Any]] = []
        while len(said) < len(records):
            group = self._group(records, len(said))
            try:
                found = self._together(group) if len(group) > 1 else None
            except (OstinatoError, ValueError):  # one of them is wrong, and which one is found by itself
                found = None
            if found is None:
                found, error = super().answers(group)
                if error is not None:
                    return said + found, error
            said += found
        return said, None

    def _group(self, records: Sequence[Record], first: int) -> Sequence[Record]:
        """Records from the `first` one on that one call can answer: all of one stream, or all of different ones."""
        begin, seen = self._called(records[first]), set[str | None]()
        one = first + 1 < len(records) and self._called(records[first + 1]) == begin
        last = first
        for record in records[first:]:
            name = self._called(record)
            goes_on = name == begin and (last == first or not record.reset) if one else name not in seen
            if record.given is None or not goes_on:
                break
            seen.add(name)
            last += 1
        return records[first : max(last, first + 1)]

    def _together(self, group: Sequence[Record]) -> list[dict[str, Any]]:
        """The answers to a group; if it raises, nothing has changed."""
        names = [self._called(record) for record in group]
        x = np.array([record.given for record in group])
        one = names[0] == names[1]
        seats: list[Seat] = []
        try:
            for record, name in zip(group[:1] if one else group, names, strict=False):
                seats.append(self._stream(name, reset=record.reset))
            y = self._seats.run(seats[0], x) if one else self._seats.step(seats, x)
        except BaseException:
            for name, seat in zip(names, seats, strict=False):
                self._drop(name, seat)
            raise
        for name, seat in zip(names, seats, strict=False):
            self._keep(name, seat)
        return [
            {"y": row} if record.id is None else {"id": record.id, "y": row}
            for record, row in zip(group, y.tolist(), strict=True)
        ]

    def _made(self, name: str | None, blob: bytes | None = None) -> Seat:
        return self._seats.open(blob)

    def _moved(self, stream: Seat, given: Any) -> dict[str, Any]:
        return {"y": self._seats.step_one(stream, given).tolist()}

    def _blob(self, stream: Seat) -> bytes:
        return self._seats.snapshot(stream)

    def _end(self, stream: Seat) -> None:
        self._seats.close(stream)
