"""Streams of one model side by side, each under a name, that answer records: what lines and messages are made of."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from ostinato.data.values import numbers_from_text
from ostinato.errors import DataError, ModelFileError, OstinatoError, SnapshotError
from ostinato.runtime.refusal import reason
from ostinato.runtime.snapshot import pack, unpack
from ostinato.runtime.strict_json import check_json

_KIND = "records"

_EXPECTED = re.compile(r"Expected (?P<wanted>.+?), got (?P<got>.+?)(?: - at (?P<at>.+))?")
_MALFORMED = re.compile("^JSON is malformed")

_RESET = {"": False, "0": False, "false": False, "1": True, "true": True}

Name = Annotated[str, Meta(max_length=1024)] | int | None
"""What a record calls its stream; records without a name share one."""


S = TypeVar("S")


class Record(NamedTuple):
    """What one stream is told.

    Args:
        given: What it moves on by; None for nothing.
        id: Which stream.
        reset: It starts anew first.
    """

    given: Any
    id: str | int | None = None
    reset: bool = False


class Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every record may have as JSON: `{"id": …}` names its stream, `{"reset": true}` starts it anew."""

    id: Name = None
    reset: bool = False


class Records(ABC, Generic[S]):
    """Answers records, each by the stream that it names; a new name opens a new stream.

    A record that raises has changed nothing. Records of different streams, or several of one, are answered in one call.

    Args:
        name: The stream of records that name none.
    """

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._open: dict[str | None, S] = {}
        self._waiting: dict[str | None, bytes] = {}  # restored, and not yet used

    def __len__(self) -> int:
        return len(self._open) + len(self._waiting)

    @property
    @abstractmethod
    def model(self) -> str:
        """The fingerprint that snapshots carry."""

    @property
    @abstractmethod
    def columns(self) -> list[str]:
        """Names of the numbers of an answer when it is a row of a table."""

    @property
    def id_columns(self) -> frozenset[str]:
        """How the column of a table that names streams may be called."""
        return frozenset({"id"})

    @abstractmethod
    def parse(self, line: bytes) -> Record:
        """The record that a line of JSON is; raises `DataError` (`json`) if it is none."""

    @abstractmethod
    def parse_row(self, row: Mapping[str, str]) -> Record:
        """The record that a row of a table is; raises `DataError` if it is none."""

    @abstractmethod
    def cells(self, answer: Mapping[str, Any]) -> Sequence[Any]:
        """An answer as a row, in the order of `columns`."""

    @abstractmethod
    def _made(self, name: str | None, blob: bytes | None = None) -> S:
        """A stream of that name, which begins or goes on from a snapshot."""

    @abstractmethod
    def _moved(self, stream: S, given: Any) -> dict[str, Any]:
        """What the stream answers to what it is given."""

    @abstractmethod
    def _run(self, stream: S, given: Sequence[Any]) -> list[dict[str, Any]]:
        """What one stream answers to several things, one after the other; if it raises, nothing has changed. So here
        and in `_step` a `ValueError` means that they do not fit together."""

    @abstractmethod
    def _step(self, streams: Sequence[S], given: Sequence[Any]) -> list[dict[str, Any]]:
        """What different streams answer, each to one thing; if it raises, nothing has changed."""

    @abstractmethod
    def _blob(self, stream: S) -> bytes:
        """A snapshot of the stream."""

    def _end(self, stream: S) -> None:
        """The stream is not used any more."""

    def answers(self, records: Sequence[Record]) -> tuple[list[dict[str, Any]], OstinatoError | None]:
        """The answers to the first of several records, and what is wrong with the one after these, if it cannot be
        answered; that one and those behind it have changed nothing. The answers are those of `answer`, to the bit."""
        said: list[dict[str, Any]] = []
        while len(said) < len(records):
            found, error = self._answered(self._group(records, len(said)))
            said += found
            if error is not None:
                return said, error
        return said, None

    def _answered(self, group: Sequence[Record]) -> tuple[list[dict[str, Any]], OstinatoError | None]:
        """As `answers`, of records that one call can answer; if one of them is wrong, halves of them are tried."""
        if len(group) == 1:
            try:
                return [self.answer(group[0])], None
            except OstinatoError as error:
                return [], error
        try:
            return self._together(group), None
        except (OstinatoError, ValueError):
            half = len(group) // 2
        said, wrong = self._answered(group[:half])
        if wrong is not None:
            return said, wrong
        more, wrong = self._answered(group[half:])
        return said + more, wrong

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
        names, given = [self._called(record) for record in group], [record.given for record in group]
        one = names[0] == names[1]
        streams: list[S] = []
        try:
            for record, name in zip(group[:1] if one else group, names, strict=False):
                streams.append(self._stream(name, reset=record.reset))
            said = self._run(streams[0], given) if one else self._step(streams, given)
        except BaseException:
            for name, stream in zip(names, streams, strict=False):
                self._drop(name, stream)
            raise
        for name, stream in zip(names, streams, strict=False):
            self._keep(name, stream)
        return [
            answer if record.id is None else {"id": record.id, **answer}
            for record, answer in zip(group, said, strict=True)
        ]

    def answer(self, record: Record) -> dict[str, Any]:
        """The answer to a record: its id, if it has one, and what the stream says.

        Raises:
            OstinatoError: The record cannot be answered; nothing has changed.
        """
        name, id = self._called(record), record.id
        if record.given is not None:
            stream = self._stream(name, reset=record.reset)
            try:
                said = self._moved(stream, record.given)
            except OstinatoError:
                self._drop(name, stream)
                raise
            self._keep(name, stream)
        elif record.reset:
            self._forget(name)
            said = {"reset": True}
        else:
            raise DataError(
                "a record must hold something for its stream", got="nothing" if id is None else "only its name",
                fix="See `ostinato stream --help` for what a line can be.", code="json",
            )  # fmt: skip
        return said if id is None else {"id": id, **said}

    def _called(self, record: Record) -> str | None:
        """The name of the stream that a record is for."""
        return self._name if record.id is None else str(record.id)

    def _stream(self, name: str | None, *, reset: bool) -> S:
        """The stream of that name, or a new one."""
        known = None if reset else self._open.get(name)
        return self._made(name, None if reset else self._waiting.get(name)) if known is None else known

    def _keep(self, name: str | None, stream: S) -> None:
        """Keep a stream that `_stream` has given."""
        if self._open.get(name) is not stream:
            self._forget(name)
            self._open[name] = stream

    def _drop(self, name: str | None, stream: S) -> None:
        """End a stream that `_stream` has given, if it was opened for a record that failed."""
        if self._open.get(name) is not stream:
            self._end(stream)

    def _forget(self, name: str | None) -> None:
        if name in self._open:
            self._end(self._open.pop(name))
        self._waiting.pop(name, None)

    def snapshot(self, lines: int) -> bytes:
        """All streams as bytes.

        Args:
            lines: How many lines were answered, for the reader of the snapshot.
        """
        waiting = self._waiting | {name: self._blob(stream) for name, stream in self._open.items()}
        blobs = list(waiting.values())
        arrays: list[NDArray[Any]] = [
            np.frombuffer(msgspec.json.encode(list(waiting)), np.uint8),
            np.array([len(blob) for blob in blobs], np.int64),
            np.frombuffer(b"".join(blobs), np.uint8),
        ]
        return pack(self.model, _KIND, {"lines": lines}, arrays)

    def restore(self, blob: bytes) -> int:
        """Go on with the streams of a snapshot; how many lines were answered before it.

        Raises:
            SnapshotError: It is no snapshot of this model.
        """
        facts, arrays = unpack(blob, self.model, _KIND)
        lines: Any = facts.get("lines")
        if type(lines) is not int or [a.dtype.name for a in arrays] != ["uint8", "int64", "uint8"]:
            raise _other()
        try:
            pieces = _pieces(*arrays)
        except (ValueError, TypeError, UnicodeDecodeError, msgspec.DecodeError):
            raise _other() from None
        for name, piece in pieces.items():
            self._end(self._made(name, piece))  # which checks it
        for name in [*self._open]:
            self._forget(name)
        self._waiting = pieces
        return lines


def _pieces(names: NDArray[Any], lengths: NDArray[Any], data: NDArray[Any]) -> dict[str | None, bytes]:
    """The snapshot of each stream; raises if the arrays do not belong together."""
    whole, ends = data.tobytes(), np.cumsum(lengths).tolist()
    known = msgspec.json.decode(names.tobytes(), type=list[str | None])
    if (lengths < 0).any() or len(whole) != (ends[-1] if ends else 0):
        raise ValueError
    return {name: whole[end - n : end] for name, end, n in zip(known, ends, lengths.tolist(), strict=True)}


def decoded(line: bytes, kind: Any) -> Any:
    """A line of JSON as a type of msgspec; raises `DataError` (`json`), also if a key comes twice."""
    try:
        found = msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unfit(_told(reason(error))) from None
    names = found if isinstance(found, dict) else found.__struct_fields__ if isinstance(found, msgspec.Struct) else ()
    if any(line.count(_quoted(name)) > 1 for name in names) or (names and b"\\" in line):
        try:
            check_json(line, "line")  # msgspec takes the last one
        except ModelFileError as error:
            raise _unfit(f"the key {error.got} twice" if error.code == "duplicate_key" else error.got) from None
    return found


@lru_cache(maxsize=64)
def _quoted(name: str) -> bytes:
    return msgspec.json.encode(name)


def _unfit(got: str) -> DataError:
    return DataError(
        "a line must be JSON of the form that the model reads", got=got, code="json",
        fix="See `ostinato stream --help` for what a line can be.",
    )  # fmt: skip


def _told(said: str) -> str:
    """What msgspec says of a line, as what came instead."""
    if found := _EXPECTED.fullmatch(said):
        return f"{found['got']} for {found['wanted']}" + (f" at {found['at']}" if found["at"] else "")
    return _MALFORMED.sub("no JSON", said)


def numbers_of(cells: Mapping[str, str]) -> NDArray[np.float64]:
    """The numbers in cells of a row, by column; NaN for those that are missing.

    Raises:
        DataError: `text`, a cell holds something else.
    """
    names = list(cells)
    try:
        return numbers_from_text(list(cells.values()), name="", place=lambda i: f"column {names[i]!r:.80}")
    except DataError as error:  # whose advice is for tables that are read as a whole
        raise DataError(
            "cells must hold numbers", got=error.got, where=error.where, count=error.count, code=error.code,
            fix="Write them with a decimal point, and leave those empty that are missing.",
        ) from None  # fmt: skip


def reset_of(row: Mapping[str, str]) -> bool:
    """Whether the column `reset` of a row, if there is one, starts the stream anew; raises `DataError` (`reset`)."""
    text = row.get("reset", "").strip().lower()
    if text not in _RESET:
        raise DataError(
            "reset must be 1 or true, 0 or false, or empty", got=f"{text!r:.40}", fix="Write 1 where a stream begins.",
            code="reset",
        )  # fmt: skip
    return _RESET[text]


def only_reset(row: Mapping[str, str], rest: Iterable[str]) -> bool:
    """Whether a row starts its stream anew and holds nothing for it: the cells of its other columns are empty."""
    return reset_of(row) and not any(cell.strip() for cell in rest)


def check_columns(given: Mapping[str, str], known: set[str], needed: set[str]) -> None:
    """Refuse a table without a column that is needed, or with one that means nothing."""
    absent, strange = needed - set(given), set(given) - known
    if absent or strange:
        raise DataError(
            f"the columns must be {', '.join(sorted(needed))}"
            + (f", and may be {', '.join(sorted(known - needed))}" if known - needed else ""),
            got=f"none of the name {min(absent)!r}" if absent else f"{min(strange)!r:.80}",
            fix="Name or leave out columns in the first line.", code="column",
        )  # fmt: skip


def _other() -> SnapshotError:
    return SnapshotError(
        "a snapshot must hold the states of streams", got="others", fix="Take it again.", code="damaged"
    )
