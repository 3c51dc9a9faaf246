"""A text or tune that goes on: what each symbol costs as it comes, what comes next, and what could follow."""

from __future__ import annotations

import codecs
import copy
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.data.inputs import Tune
from ostinato.data.vocabularies._text import TextVocabulary, utf8
from ostinato.data.vocabularies.base import Ids, Vocabulary
from ostinato.data.vocabularies.bytes import Bytes
from ostinato.errors import ArgumentError, DataError, SnapshotError
from ostinato.metrics.text import surprise
from ostinato.runtime.decode import Sampler, Sampling, log_softmax
from ostinato.runtime.snapshot import pack, unpack
from ostinato.runtime.stepping import Stepping
from ostinato.runtime.stream import Stream
from ostinato.runtime.turns import Turns
from ostinato.runtime.writing import Prime, banned, check_length, drawn, encoded, shown, text_vocabulary

_KIND = "generate"
_AT_ONCE = 1 << 20
"""Most scores that are held at once."""


class Candidate(NamedTuple):
    """A symbol that may come next.

    Args:
        id: Its number in the vocabulary.
        text: What it stands for; empty for the end of an item, and in music.
        log_probability: Natural logarithm of its probability.
    """

    id: int
    text: str
    log_probability: float


class GeneratorStream:
    """One text or tune that goes on, in pieces that may be cut anywhere, even inside a character.

    A symbol is read as soon as nothing that follows can change it: with words and sub-words the last word of a piece
    waits for the next piece, or for `finish`. `next`, `log_probabilities` and `sample` take it as it stands. Any way of
    cutting a text gives the same symbols at the same price. A call that raises has changed nothing. A stream is used by
    one thread at a time: a second one gets `StreamBusy`. Made by `Generator.stream`.

    Args:
        stepping: Of the network, from symbols to scores.
        vocabulary: Symbols to ids and back.
        first: The id before the first symbol.
        model: The model's fingerprint.
        blob: A snapshot to go on from; by default a text begins.

    Raises:
        SnapshotError: `blob` is no snapshot of this model.
    """

    def __init__(
        self, stepping: Stepping, vocabulary: Vocabulary, first: int, model: str, blob: bytes | None = None
    ) -> None:
        self._stepping, self._vocabulary, self._first, self._model = stepping, vocabulary, first, model
        self._turns, self._stream = Turns(), Stream(stepping)
        self._scores: NDArray[np.float32] = np.empty(0, np.float32)
        self._seen = np.zeros(vocabulary.size, bool)
        self._rest, self._cut = "", b""
        if blob is None:
            self.reset()
        else:
            self._restore(blob)

    @property
    def steps(self) -> int:
        """How many symbols it has read since the text began, those that wait not included."""
        return self._stream.steps - 1

    def feed(self, piece: Prime | ArrayLike) -> NDArray[np.float64]:
        """Read the next piece; the surprise in nats `[n]` of each symbol of it that is settled, in order.

        Args:
            piece: Text, or its bytes in UTF-8, which may end inside a character; for music a tune, the bytes of a MIDI
                file or its path; or ids `[n]`, before which what waits is read as it stands.

        Raises:
            DataError: `unknown_symbol`, the training text did not have a symbol of it; `encoding`, bytes are not
                UTF-8; those of the vocabulary.
        """
        with self._turns:
            if isinstance(self._vocabulary, TextVocabulary) and isinstance(piece, (str, bytes)):
                ids, rest, cut = self._settled(self._vocabulary, piece)
            else:
                ids, rest, cut = np.concatenate([self._waiting(), self._ids(piece)]), "", b""
            nats = self._read(ids)
            self._rest, self._cut = rest, cut
            return nats

    def finish(self) -> NDArray[np.float64]:
        """The text or item ends here: the surprise `[n]` of what waited, and of the end if items have one; starts anew.

        Raises:
            DataError: `encoding`, the text stops inside a character.
        """
        end = self._vocabulary.end_id
        with self._turns:
            nats = self._read(np.append(self._waiting(), [] if end is None else [end]).astype(np.int32))
            self.reset()
            return nats

    def log_probabilities(self) -> NDArray[np.float64]:
        """Natural logarithms `[symbols]` of the probabilities of the next symbol.

        Raises:
            DataError: `encoding`, the text stops inside a character.
        """
        with self._turns:
            scores = self._ahead()._scores
        return log_softmax(scores)

    def next(self, n: int = 5) -> list[Candidate]:
        """The `n` most probable next symbols, the best first; symbols that stand for nothing are left out.

        Raises:
            ArgumentError: `n` is no whole number of at least 1.
            DataError: `encoding`, the text stops inside a character.
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise ArgumentError("n must be a whole number of at least 1", got=f"{n!r:.80}", fix="Pass, say, 5.")
        logs = self.log_probabilities()
        order = [int(i) for i in np.argsort(-logs, kind="stable") if i not in banned(self._vocabulary)]
        return [Candidate(i, self._shown(i), float(logs[i])) for i in order[:n]]

    def sample(self, *, length: int = 500, sampling: Sampling | None = None) -> Iterator[int]:
        """Ids that could follow, as they are drawn; arguments as for `Generator.sample`. The stream stays where it is:
        feed what was drawn to go on after it.

        Raises:
            ArgumentError: `length` or the sampling is out of range.
            DataError: `encoding`, the text stops inside a character.
        """
        check_length(length)
        vocabulary = self._vocabulary
        sampler = Sampler(sampling or Sampling(), vocabulary.size, banned=banned(vocabulary))
        with self._turns:
            ahead = self._ahead()
            sampler.saw(np.flatnonzero(ahead._seen))
            stream, scores = ahead._stream.fork(), ahead._scores
        out = np.empty_like(scores)
        return drawn(lambda symbol: stream.step(symbol, out), scores, sampler, length=length, end=vocabulary.end_id)

    def pieces(self, *, length: int = 500, sampling: Sampling | None = None) -> Iterator[str]:
        """Text that could follow, in pieces of whole characters; as `sample`."""
        vocabulary = text_vocabulary(self._vocabulary)
        return shown(self.sample(length=length, sampling=sampling), vocabulary.stream())

    def reset(self) -> None:
        """A text begins."""
        with self._turns:
            self._stream.reset()
            self._scores = self._stream.step(self._first)
            self._seen = np.zeros_like(self._seen)
            self._rest, self._cut = "", b""

    def fork(self) -> GeneratorStream:
        """A second stream that goes on from here by itself."""
        with self._turns:
            twin = copy.copy(self)
            twin._turns, twin._stream, twin._seen = Turns(), self._stream.fork(), self._seen.copy()
            return twin

    def snapshot(self) -> bytes:
        """All that `Generator.stream` needs to go on from here."""
        with self._turns:
            arrays: list[NDArray[Any]] = [
                self._scores,
                np.flatnonzero(self._seen).astype(np.int64),
                np.frombuffer(self._rest.encode() + self._cut, np.uint8),
                np.frombuffer(self._stream.snapshot(), np.uint8),
            ]
        return pack(self._model, _KIND, {}, arrays)

    def _restore(self, blob: bytes) -> None:
        if not isinstance(blob, (bytes, bytearray, memoryview)):
            raise SnapshotError(
                "a snapshot must be bytes", got=type(blob).__name__, fix="Pass what snapshot() gave.", code="foreign"
            )
        _, arrays = unpack(bytes(blob), self._model, _KIND)
        kinds = [(a.dtype.name, a.ndim) for a in arrays]
        size = self._vocabulary.size
        if (
            kinds != [("float32", 1), ("int64", 1), ("uint8", 1), ("uint8", 1)]
            or len(arrays[0]) != size
            or ((arrays[1] < 0) | (arrays[1] >= size)).any()
        ):
            raise SnapshotError(
                "a snapshot must hold the state of a text", got="another one", fix="Take it again.", code="damaged"
            )
        self._scores, seen, waiting, inner = arrays
        self._stream = Stream(self._stepping, inner.tobytes())
        self._seen[seen] = True
        self._rest, self._cut = _decoded(waiting.tobytes())

    def _settled(self, vocabulary: TextVocabulary, piece: str | bytes) -> tuple[Ids, str, bytes]:
        """The ids that are sure after one more piece, and what waits: characters, and bytes of half a character."""
        data = utf8(piece) if isinstance(piece, str) else piece
        if isinstance(vocabulary, Bytes):
            return vocabulary.encode_bytes(data), "", b""
        more, cut = _decoded(self._cut + data)
        text = self._rest + more
        n = vocabulary.settled(text)
        return encoded(vocabulary, text[:n]), text[n:], cut

    def _waiting(self) -> Ids:
        """The ids of what waits, as it stands."""
        if self._cut:
            raise DataError(
                "a text must end with a whole character", got=f"{len(self._cut)} bytes of one", code="encoding",
                fix="Feed its other bytes first.",
            )  # fmt: skip
        return encoded(self._vocabulary, self._rest) if self._rest else np.empty(0, np.int32)

    def _ids(self, piece: Any) -> Ids:
        """The ids of a tune, or those that were given."""
        if isinstance(piece, (str, bytes, os.PathLike, Tune)):
            return encoded(self._vocabulary, piece)
        ids, start = self._vocabulary.checked(piece), self._vocabulary.start_id
        if start is not None and (ids == start).any():
            raise DataError(
                "ids of a stream must lie within one item", got=f"the start of another one ({start})", code="id",
                fix="Use finish() or reset() to begin another one.",
            )  # fmt: skip
        return ids

    def _ahead(self) -> GeneratorStream:
        """This stream, or a fork that has read what waits."""
        waiting = self._waiting()
        if not len(waiting):
            return self
        twin = self.fork()
        twin._read(waiting)
        return twin

    def _read(self, ids: Ids) -> NDArray[np.float64]:
        """Read symbols `[n]`; their surprise."""
        nats, at_once = [np.empty(0)], max(_AT_ONCE // self._vocabulary.size, 1)
        for a in range(0, len(ids), at_once):
            part = ids[a : a + at_once]
            scores = self._stream.run(part)
            nats.append(surprise(np.concatenate([self._scores[None], scores[:-1]]), part))
            self._scores = scores[-1].copy()
        self._seen[ids] = True
        return np.concatenate(nats)

    def _shown(self, symbol: int) -> str:
        return self._vocabulary.decode([symbol]) if isinstance(self._vocabulary, TextVocabulary) else ""


def _decoded(data: bytes) -> tuple[str, bytes]:
    """The whole characters of UTF-8, and the bytes of half a one at the end."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return decoder.decode(data), decoder.getstate()[0]
    except UnicodeDecodeError as error:
        raise DataError(
            "text must be UTF-8", got=f"the byte 0x{data[error.start]:02x}", where=f"byte {error.start} of the piece",
            fix="Decode it first, with the encoding that it has.", code="encoding",
        ) from None  # fmt: skip
