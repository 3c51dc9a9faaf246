"""Records for a network: the numbers of one step in, its output out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import GenericAlias
from typing import Any

import numpy as np
from msgspec import UNSET, UnsetType, defstruct
from numpy.typing import NDArray

from ostinato.errors import DataError, ShapeError
from ostinato.runtime.models import Network
from ostinato.runtime.reading import check_policy, shown
from ostinato.runtime.records.base import Record, Records, Wire, decoded, numbers_of, only_reset, reset_of
from ostinato.runtime.seats import Seat, Seats
from ostinato.runtime.snapshot import fingerprint

_NUMBERS: Any = float | None
"""JSON has no NaN: null stands for a number that is not there."""


class NetworkRecords(Records[Seat]):
    """A list of numbers, or `{"x": […]}`, is answered by `{"y": […]}`. One number needs no list.

    Streams share their memory.

    Args:
        network: The network.
        nonfinite: See `ostinato.runtime.stream.Stream`; null is NaN.
        name: The stream of records that name none.
    """

    def __init__(self, network: Network, *, nonfinite: str = "raise", name: str | None = None) -> None:
        super().__init__(name)
        self._network = network
        self._seats = Seats(network.stepping, check_policy(nonfinite))
        self._shape = tuple(int(n) for n in network.input_shape[1:] if n is not None)
        kind: Any = _NUMBERS
        for _ in self._shape:
            kind = GenericAlias(list, (kind,))
        if self._shape == (1,):
            kind |= _NUMBERS
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
        if self._shape == (1,) and not isinstance(found, list):
            found = [found]
        try:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which the policy treats
                return np.array(found, np.float32)
        except ValueError:
            raise ShapeError(
                f"x must be {shown(*self._shape)}", got="lists of several lengths", fix="Pass one step's features."
            ) from None

    def parse_row(self, row: Mapping[str, str]) -> Record:
        """The record that a row is: the columns id and reset are such, the others are the numbers in order."""
        cells = {name: cell for name, cell in row.items() if name not in ("id", "reset")}
        if only_reset(row, cells.values()):
            return Record(None, row.get("id"), reset=True)
        wanted = int(np.prod(self._shape))
        if len(cells) != wanted:
            raise DataError(
                f"a row must have {wanted} numbers", got=str(len(cells)),
                fix="Pass one step's numbers in the order of training, with commas between them.", code="column",
            )  # fmt: skip
        x = numbers_of(cells)
        return Record(x.reshape(self._shape), row.get("id"), reset_of(row))

    def cells(self, answer: Mapping[str, Any]) -> Sequence[Any]:
        """The numbers of an answer, none for one without."""
        return np.ravel(answer["y"]).tolist() if "y" in answer else [None] * self._width

    def _made(self, name: str | None, blob: bytes | None = None) -> Seat:
        return self._seats.open(blob)

    def _moved(self, stream: Seat, given: Any) -> dict[str, Any]:
        return {"y": self._seats.step_one(stream, given).tolist()}

    def _run(self, stream: Seat, given: Sequence[Any]) -> list[dict[str, Any]]:
        return [{"y": y} for y in self._seats.run(stream, np.array(given)).tolist()]

    def _step(self, streams: Sequence[Seat], given: Sequence[Any]) -> list[dict[str, Any]]:
        return [{"y": y} for y in self._seats.step(streams, np.array(given)).tolist()]

    def _blob(self, stream: Seat) -> bytes:
        return self._seats.snapshot(stream)

    def _end(self, stream: Seat) -> None:
        self._seats.close(stream)
