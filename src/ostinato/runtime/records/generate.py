"""Records for a generator: text in, what it cost out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.runtime.generator import Generator
from ostinato.runtime.generator_stream import GeneratorStream, feed_each, feed_together
from ostinato.runtime.records.base import Record, Records, Wire, check_columns, decoded, only_reset, reset_of
from ostinato.runtime.writing import text_vocabulary


class _Wire(Wire, frozen=True, forbid_unknown_fields=True, kw_only=True):
    text: str | None = None


class GenerateRecords(Records[GeneratorStream]):
    """A text, or `{"text": …}`, is answered by `{"symbols": …, "nats": …}`: how many were read, and their surprise.

    If the model knows items (names, lines) each record is one, its end included. Else records go on with each other,
    and what a piece leaves open (a last word, if symbols are words) is read with the next one.

    Args:
        generator: The model, of text.
        name: The stream of records that name none.

    Raises:
        DataError: `type`, the model is one of music.
    """

    def __init__(self, generator: Generator, *, name: str | None = None) -> None:
        super().__init__(name)
        self._generator, self._items = generator, text_vocabulary(generator.vocabulary).items
        self._seats = generator.seats()

    @property
    def model(self) -> str:
        """The fingerprint that snapshots carry."""
        return self._generator.fingerprint

    @property
    def columns(self) -> list[str]:
        """symbols and nats."""
        return ["symbols", "nats"]

    def parse(self, line: bytes) -> Record:
        """The record that a line is."""
        if line.lstrip()[:1] != b"{":
            return Record(decoded(line, str))
        wire: _Wire = decoded(line, _Wire)
        return Record(wire.text, wire.id, wire.reset)

    def parse_row(self, row: Mapping[str, str]) -> Record:
        """The record that a row is."""
        check_columns(row, {"id", "text", "reset"}, {"text"})
        if only_reset(row, [row["text"]]):
            return Record(None, row.get("id"), reset=True)
        return Record(row["text"], row.get("id"), reset_of(row))

    def cells(self, answer: Mapping[str, Any]) -> Sequence[Any]:
        """Both numbers."""
        return [answer.get("symbols"), answer.get("nats")]

    def _made(self, name: str | None, blob: bytes | None = None) -> GeneratorStream:
        return self._generator.stream_in(self._seats, blob)

    def _blob(self, stream: GeneratorStream) -> bytes:
        return stream.snapshot()

    def _end(self, stream: GeneratorStream) -> None:
        stream.close()

    def _moved(self, stream: GeneratorStream, given: str) -> dict[str, Any]:
        return self._step([stream], [given])[0]

    def _run(self, stream: GeneratorStream, given: Sequence[str]) -> list[dict[str, Any]]:
        if not self._items:
            return [_told(nats) for nats in feed_each(stream, given)]
        others = [self._made(None) for _ in given[1:]]  # each item begins anew, so that other streams say the same
        try:
            return self._step([stream, *others], given)
        finally:
            for other in others:
                self._end(other)

    def _step(self, streams: Sequence[GeneratorStream], given: Sequence[str]) -> list[dict[str, Any]]:
        return [_told(nats) for nats in feed_together(streams, given, ends=self._items)]


def _told(nats: NDArray[np.float64]) -> dict[str, Any]:
    return {"symbols": len(nats), "nats": float(nats.sum())}
