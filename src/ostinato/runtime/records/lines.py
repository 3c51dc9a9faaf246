"""Records as lines of text: JSON, one record a line, or a table of CSV with its header in the first line."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import Any, BinaryIO

import msgspec

from ostinato.errors import DataError
from ostinato.runtime.records.base import Record, Records

LONGEST = 1 << 24
"""Most bytes of a line."""

_MARK = b"\xef\xbb\xbf"
"""What some programs put before a text in UTF-8."""

_AT_ONCE = 1 << 16
"""Most bytes that are taken from the source in one go."""


class Lines(ABC):
    """Reads records from one stream of bytes and writes answers to another.

    Args:
        records: What the lines are for.
        source: Where lines come from.
        sink: Where answers go.
    """

    def __init__(self, records: Records[Any], source: BinaryIO, sink: BinaryIO) -> None:
        self._records, self._source, self._sink = records, source, sink
        self._whole: deque[bytes] = deque()
        self._begun: list[bytes] = []
        self.number = 0
        """Of the line that was read last, from 1."""

    def begin(self) -> None:  # noqa: B027 (nothing by default)
        """Read and answer what stands before the first record."""

    @abstractmethod
    def read(self) -> Any:
        """The next line that is not empty, waiting for it; None at the end.

        Raises:
            DataError: `line`, it is too long; `encoding` or `csv`, it is no text or no row. The one after it can be
                read.
        """

    @property
    @abstractmethod
    def waits(self) -> bool:
        """Whether there is a whole line already, so that `read` gives it at once."""

    @abstractmethod
    def record(self, line: Any) -> Record:
        """The record that a line is; raises `DataError` if it is none."""

    @abstractmethod
    def write(self, answer: Mapping[str, Any]) -> None:
        """Write an answer, or what was wrong as `{"error": …}`, as one line."""

    def _line(self) -> bytes:
        """The next line with its end, nothing at the end of the source."""
        size = sum(map(len, self._begun))
        while not self._whole:
            piece = self._source.read1(_AT_ONCE)  # type: ignore[attr-defined]
            first, *more = piece.split(b"\n")
            size += len(first)
            if size <= LONGEST:
                self._begun.append(first)
            if more:
                self._whole.extend([b"".join([*self._begun, b"\n"]), *(line + b"\n" for line in more[:-1])])
                self._begun = [more[-1]]
            elif not piece:
                self._whole.append(b"".join(self._begun))
                self._begun = []
        line = self._whole.popleft()
        self.number += bool(line)
        if size > LONGEST:
            raise DataError(
                f"a line must have at most {LONGEST:,} bytes", got="more", fix="Send one record a line.", code="line"
            )
        return line.removeprefix(_MARK)

    def _there(self, blank: bytes | None = None) -> bytes:
        """The line that waits, empty if there is none; lines of nothing but `blank` (white space) are left out."""
        while self._whole and not self._whole[0].strip(blank):
            self._whole.popleft()
            self.number += 1
        return self._whole[0] if self._whole else b""


class JsonLines(Lines):
    """One JSON value a line. NaN and infinities are written as null, other numbers so that they read back exactly."""

    def read(self) -> bytes | None:
        """The next line that is not blank."""
        while line := self._line():
            if line.strip():
                return line
        return None

    @property
    def waits(self) -> bool:
        """Whether there is a whole line."""
        return bool(self._there())

    def record(self, line: bytes) -> Record:
        """The record that it is."""
        return self._records.parse(line)

    def write(self, answer: Mapping[str, Any]) -> None:
        """Write it."""
        self._sink.write(msgspec.json.encode(answer) + b"\n")


class CsvLines(Lines):
    """A table with a comma between columns and a point in numbers; the first line has the names of the columns.

    Args:
        records, source, sink: See `Lines`.
        errors: Whether what was wrong with a row is written, into a last column.
    """

    def __init__(self, records: Records[Any], source: BinaryIO, sink: BinaryIO, *, errors: bool = False) -> None:
        super().__init__(records, source, sink)
        self._rows = csv.reader(_Texts(self._line), strict=True)
        self._errors = errors
        self._header: list[str] = []

    def begin(self) -> None:
        """Read the header, and write that of the answers.

        Raises:
            DataError: `column`, a name stands there twice.
        """
        first = self._row()
        if first is not None:
            self._header = _names(first)
            self._put([*self._id, *self._records.columns, *(["error"] if self._errors else [])])

    def read(self) -> list[str] | None:
        """The next row."""
        return self._row()

    @property
    def waits(self) -> bool:
        """Whether there is a whole row; one with quotes may go on in a line that has still to come."""
        line = self._there(b"\r\n")
        return bool(line) and b'"' not in line

    def _row(self) -> list[str] | None:
        try:
            return next((row for row in self._rows if row), None)
        except csv.Error as error:
            raise DataError(
                "a line must be a row of CSV", got=str(error), fix="Quote cells that hold quotes, commas or line ends.",
                code="csv",
            ) from None  # fmt: skip

    @property
    def _id(self) -> list[str]:
        """The first column of the answers, if rows name their streams."""
        return [name for name in self._header if name in self._records.id_columns]

    def record(self, line: list[str]) -> Record:
        """The record that a row is."""
        if len(line) != len(self._header):
            raise DataError(
                f"a row must have {len(self._header)} cells", got=str(len(line)), fix="Complete it.", code="csv"
            )
        return self._records.parse_row(dict(zip(self._header, line, strict=True)))

    def write(self, answer: Mapping[str, Any]) -> None:
        """Write it."""
        name = [answer.get("id")] if self._id else []
        self._put([*name, *self._records.cells(answer), *([answer.get("error")] if self._errors else [])])

    def _put(self, cells: list[Any]) -> None:
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n").writerow(cells)
        self._sink.write(out.getvalue().encode())


def _names(header: list[str]) -> list[str]:
    names = [name.strip() for name in header]
    if len(set(names)) < len(names):
        raise DataError(
            "the first line must have the names of the columns, each once", got=",".join(names)[:80],
            fix="Write them there.", code="column",
        )  # fmt: skip
    if all(map(_is_number, names)) and names != [str(i) for i in range(len(names))]:
        raise DataError(
            "the first line must have the names of the columns", got=f"numbers, {','.join(names)[:80]}",
            fix="Put a line of names, such as x0,x1, before the first row.", code="column",
        )  # fmt: skip
    return names


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


class _Texts:
    """Lines as text; after an error the next one can be read."""

    def __init__(self, line: Any) -> None:
        self._line = line

    def __iter__(self) -> _Texts:
        return self

    def __next__(self) -> str:
        line: bytes = self._line()
        if not line:
            raise StopIteration
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise DataError(
                "a line must be UTF-8", got=f"the byte 0x{line[error.start]:02x}", fix="Save the table as UTF-8.",
                code="encoding",
            ) from None  # fmt: skip
