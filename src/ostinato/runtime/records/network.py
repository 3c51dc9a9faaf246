"""Records for a network: the numbers of one step in, its output out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import GenericAlias
from typing import Any

import msgspec
import numpy as np

from ostinato.data.values import numbers_from_text
from ostinato.errors import DataError, ShapeError
from ostinato.runtime.models import Network
from ostinato.runtime.records.base import Record, Records, Wire, decoded
from ostinato.runtime.snapshot import fingerprint
from ostinato.runtime.stream import Stream

_NUMBERS: Any = float | None
"""JSON has no NaN: null stands for a number that is not there."""


class _Wire(Wire, frozen=True, forbid_unknown_fields=True, kw_only=True):
    x: msgspec.Raw = msgspec.Raw()


class NetworkRecords(Records[Stream]):
    """A list of numbers, or `{"x": […]}`, is answered by `{"y": […]}`.

    Args:
        network: The network.
        nonfinite: See `ostinato.runtime.stream.Stream`; null is NaN.
        name: The stream of records that name none.
    """

    def __init__(self, network: Network, *, nonfinite: str = "raise", name: str | None = None) -> None:
        super().__init__(name)
        self._network, self._nonfinite = network, nonfinite
        self._shape = tuple(int(n) for n in network.input_shape[1:] if n is not None)
        self._kind: Any = _NUMBERS
        for _ in self._shape:
            self._kind = GenericAlias(list, (self._kind,))
        self._width = network.stream(nonfinite=nonfinite).step(np.zeros(self._shape, np.float32)).size

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
            return Record(self._numbers(line))
        wire: _Wire = decoded(line, _Wire)
        text = bytes(wire.x)
        return Record(self._numbers(text) if text else None, wire.id, wire.reset)

    def _numbers(self, text: bytes) -> Any:
        """What a step takes as it is: float32, or an int for a network that reads symbols."""
        found = decoded(text, self._kind)
        if not self._shape:
            return int(found) if found is not None and found.is_integer() else np.array(found, np.float64)
        try:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which the policy treats
                return np.array(found, np.float32)
        except ValueError:
            raise ShapeError(
                f"x must be {self._shape}", got="lists of several lengths", fix="Pass one step's features."
            ) from None

    def parse_row(self, row: Mapping[str, str]) -> Record:
        """The record that a row is: a column named id is its name, the others are the numbers in order."""
        numbers = [cell for name, cell in row.items() if name != "id"]
        wanted = int(np.prod(self._shape))
        if len(numbers) != wanted:
            raise DataError(
                f"a row must have {wanted} numbers", got=str(len(numbers)),
                fix="Pass one step's numbers in the order of training.", code="column",
            )  # fmt: skip
        x = numbers_from_text(numbers, name="x", place=lambda i: f"number {i + 1} of the row")
        return Record(x.reshape(self._shape), row.get("id"))

    def cells(self, answer: Mapping[str, Any]) -> Sequence[Any]:
        """The numbers of an answer, none for one without."""
        return np.ravel(answer["y"]).tolist() if "y" in answer else [None] * self._width

    def _made(self, name: str | None, blob: bytes | None = None) -> Stream:
        return self._network.stream(blob, nonfinite=self._nonfinite)

    def _moved(self, stream: Stream, given: Any) -> dict[str, Any]:
        return {"y": stream.step(given).tolist()}
