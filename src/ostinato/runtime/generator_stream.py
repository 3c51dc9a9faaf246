"""A text or tune that goes on: what each symbol costs as it comes, what comes next, and what could follow."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.data.inputs import Tune
from ostinato.data.vocabularies._text import TextVocabulary, utf8
from ostinato.data.vocabularies.base import Ids, Vocabulary
from ostinato.data.vocabularies.bytes import Bytes
from ostinato.errors import ArgumentError, DataError, SnapshotError
from ostinato.metrics.text import surprise
from ostinato.runtime.closing import Closing, closed
from ostinato.runtime.decode import Sampler, Sampling, log_softmax
from ostinato.runtime.seats import Seat, Seats
from ostinato.runtime.snapshot import pack, unpack
from ostinato.runtime.stepping import Stepping
from ostinato.runtime.stream import Stream
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


class _Read(NamedTuple):
    """What symbols cost, and the scores `[symbols]` of the next one."""

    nats: NDArray[np.float64]
    scores: NDArray[np.float32]


class _Settled(NamedTuple):
    """The ids that are sure after one more piece, and what waits: characters, and bytes of half a character."""

    ids: Ids
    rest: str
    cut: bytes


class GeneratorStream(Closing):
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
        seats: Where the states of the network are; by default in a room of their own. See `feed_together`.

    Raises:
        SnapshotError: `blob` is no snapshot of this model.
    """

    def __init__(
        self, stepping: Stepping, vocabulary: Vocabulary, first: int, model: str, blob: bytes | None = None,
        *, seats: Seats | None = None,
    ) -> None:  # fmt: skip
        self._stepping, self._vocabulary, self._first, self._model = stepping, vocabulary, first, model
        self._seats = Seats(stepping, "raise", few=1) if seats is None else seats
        self._scores: NDArray[np.float32] = np.empty(0, np.float32)
        self._seen = np.zeros(vocabulary.size, bool)
        self._rest, self._cut = "", b""
        self._seat: Seat | None = self._seats.open(None if blob is None else self._restored(blob))
        if blob is None:
            self.reset()

    @property
    def seat(self) -> Seat:
        """Where the states of the network are."""
        if self._seat is None:
            raise closed()
        return self._seat

    @property
    def steps(self) -> int:
        """How many symbols it has read since the text began, those that wait not included."""
        return self.seat.room.read(self.seat.row)[0] - 1

    def feed(self, piece: Prime | ArrayLike) -> NDArray[np.float64]:
        """Read the next piece; the surprise in nats `[n]` of each symbol of it that is settled, in order.

        Args:
            piece: Text, or its bytes in UTF-8, which may end inside a character; for music a tune, the bytes of a MIDI
                file or its path; or ids `[n]`, before which what waits is read as it stands.

        Raises:
            DataError: `unknown_symbol`, the training text did not have a symbol of it; `encoding`, bytes are not
                UTF-8; those of the vocabulary.
        """
        with self._seats.turns:
            found = self._settled(piece)
            nats = self._read(found.ids)
            self._rest, self._cut = found.rest, found.cut
            return nats

    def finish(self) -> NDArray[np.float64]:
        """The text or item ends here: the surprise `[n]` of what waited, and of the end if items have one; starts anew.

        Raises:
            DataError: `encoding`, the text stops inside a character.
        """
        with self._seats.turns:
            nats = self._read(self._ending(self._rest, self._cut))
            self.reset()
            return nats

    def log_probabilities(self) -> NDArray[np.float64]:
        """Natural logarithms `[symbols]` of the probabilities of the next symbol.

        Raises:
            DataError: `encoding`, the text stops inside a character.
        """
        with self._seats.turns:
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
        with self._seats.turns:
            ahead = self._ahead()
            sampler.saw(np.flatnonzero(ahead._seen))
            stream, scores = Stream(self._stepping, ahead._seats.snapshot(ahead.seat)), ahead._scores
        out = np.empty_like(scores)
        return drawn(lambda symbol: stream.step(symbol, out), scores, sampler, length=length, end=vocabulary.end_id)

    def pieces(self, *, length: int = 500, sampling: Sampling | None = None) -> Iterator[str]:
        """Text that could follow, in pieces of whole characters; as `sample`."""
        vocabulary = text_vocabulary(self._vocabulary)
        return shown(self.sample(length=length, sampling=sampling), vocabulary.stream())

    def reset(self) -> None:
        """A text begins."""
        with self._seats.turns:
            self._scores = self._seats.begin(self.seat, self._first)
            self._seen = np.zeros_like(self._seen)
            self._rest, self._cut = "", b""

    def fork(self) -> GeneratorStream:
        """A second stream that goes on from here by itself."""
        return GeneratorStream(self._stepping, self._vocabulary, self._first, self._model, self.snapshot())

    def snapshot(self) -> bytes:
        """All that `Generator.stream` needs to go on from here."""
        with self._seats.turns:
            arrays: list[NDArray[Any]] = [
                self._scores,
                np.flatnonzero(self._seen).astype(np.int64),
                np.frombuffer(self._rest.encode() + self._cut, np.uint8),
                np.frombuffer(self._seats.snapshot(self.seat), np.uint8),
            ]
        return pack(self._model, _KIND, {}, arrays)

    def close(self) -> None:
        with self._seats.turns:
            if self._seat is not None:
                self._seats.close(self._seat)
            self._seat = None

    def _restored(self, blob: bytes) -> bytes:
        """Go on from a snapshot; that of the network inside it."""
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
        self._seen[seen] = True
        self._rest, self._cut = _decoded(waiting.tobytes())
        return inner.tobytes()

    def _waiting(self, rest: str, cut: bytes) -> Ids:
        """The ids of what waits, as it stands."""
        if cut:
            raise DataError(
                "a text must end with a whole character", got=f"{len(cut)} bytes of one", code="encoding",
                fix="Feed its other bytes first.",
            )  # fmt: skip
        return encoded(self._vocabulary, rest) if rest else np.empty(0, np.int32)

    def _ending(self, rest: str, cut: bytes) -> Ids:
        """The ids of what waits, and of the end if items have one."""
        end = self._vocabulary.end_id
        return np.append(self._waiting(rest, cut), [] if end is None else [end]).astype(np.int32)

    def _settled(self, piece: Any) -> _Settled:
        """What a piece settles, of any kind."""
        vocabulary = self._vocabulary
        if isinstance(vocabulary, Bytes) and isinstance(piece, bytes):
            return _Settled(vocabulary.encode_bytes(piece), "", b"")
        if isinstance(vocabulary, TextVocabulary) and isinstance(piece, (str, bytes)):
            return _settled(vocabulary, [self], [piece])[0]
        return _Settled(np.concatenate([self._waiting(self._rest, self._cut), self._ids(piece)]), "", b"")

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
        if self._seat is None:
            raise closed()
        waiting = self._waiting(self._rest, self._cut)
        if not len(waiting):
            return self
        twin = self.fork()
        twin._read(waiting)
        return twin

    def _read(self, ids: Ids) -> NDArray[np.float64]:
        """Read symbols `[n]`; their surprise."""
        before = self.seat.room.read(self.seat.row)
        try:
            nats, self._scores = self._passed(self._scores, ids)
        except BaseException:
            self.seat.room.write(self.seat.row, *before)
            raise
        self._seen[ids] = True
        return nats

    def _passed(self, scores: NDArray[np.float32], ids: Ids) -> _Read:
        """Let the network read symbols `[n]`, for the first of which it gave these scores."""
        nats, at_once = [np.empty(0)], max(_AT_ONCE // self._vocabulary.size, 1)
        for a in range(0, len(ids), at_once):
            part = ids[a : a + at_once]
            after = self._seats.run(self.seat, part)
            nats.append(surprise(np.concatenate([scores[None], after[:-1]]), part))
            scores = after[-1].copy()
        return _Read(np.concatenate(nats), scores)

    def _shown(self, symbol: int) -> str:
        return self._vocabulary.decode([symbol]) if isinstance(self._vocabulary, TextVocabulary) else ""


def feed_together(
    streams: Sequence[GeneratorStream], pieces: Sequence[Prime | ArrayLike], *, ends: bool = False
) -> list[NDArray[np.float64]]:
    """As `feed` of different streams, in as few calls as there can be, to the same bits.

    Args:
        streams: Of one model, in the same seats.
        pieces: One for each, as `feed` takes them.
        ends: With each piece its text or item ends; as `feed`, and then `finish`.

    Raises:
        DataError: As for `feed` and `finish`, of any of them; none has moved.
    """
    with streams[0]._seats.turns:
        texts, vocabulary = [piece for piece in pieces if isinstance(piece, str)], streams[0]._vocabulary
        if isinstance(vocabulary, TextVocabulary) and len(texts) == len(pieces):
            found = _settled(vocabulary, streams, texts)
        else:
            found = [stream._settled(piece) for stream, piece in zip(streams, pieces, strict=True)]
        rows = [one.ids for one in found]
        if ends:
            rows = [
                np.concatenate([one.ids, s._ending(one.rest, one.cut)]) for s, one in zip(streams, found, strict=True)
            ]
        nats = _read_together(streams, rows)
        for stream, one in zip(streams, found, strict=True):
            stream._rest, stream._cut = one.rest, one.cut
            if ends:
                stream.reset()
    return nats


def feed_each(stream: GeneratorStream, pieces: Sequence[str]) -> list[NDArray[np.float64]]:
    """As `feed` of several texts, one after the other, read in one call.

    Raises:
        DataError: As for `feed`, of any of them; none was taken.
    """
    with stream._seats.turns:
        found = _settled(text_vocabulary(stream._vocabulary), [stream] * len(pieces), pieces)
        nats = stream._read(np.concatenate([one.ids for one in found]))
        stream._rest, stream._cut = found[-1].rest, found[-1].cut
    return np.split(nats, np.cumsum([len(one.ids) for one in found])[:-1])


def _settled(
    vocabulary: TextVocabulary, streams: Sequence[GeneratorStream], pieces: Sequence[str | bytes]
) -> list[_Settled]:
    """What the pieces settle, each of another stream, or one after the other of the same one."""
    waits, left, texts = dict[int, tuple[str, bytes]](), list[tuple[str, bytes]](), list[str]()
    for stream, piece in zip(streams, pieces, strict=True):
        rest, cut = waits.get(id(stream), (stream._rest, stream._cut))
        data = utf8(piece) if isinstance(piece, str) else piece
        more, cut = (piece, b"") if isinstance(piece, str) and not cut else _decoded(cut + data)
        text = rest + more
        n = vocabulary.settled(text)
        texts.append(text[:n])
        left.append((text[n:], cut))
        waits[id(stream)] = left[-1]
    rows = [encoded(vocabulary, texts[0])] if len(texts) == 1 else vocabulary.encode_each(texts)
    return [_Settled(ids, *both) for ids, both in zip(rows, left, strict=True)]


def _read_together(streams: Sequence[GeneratorStream], rows: Sequence[Ids]) -> list[NDArray[np.float64]]:
    """Let each stream read its symbols; their surprise. If one fails, none has moved."""
    if len(streams) == 1:
        return [streams[0]._read(rows[0])]
    put_back = streams[0]._seats.together([stream.seat for stream in streams]).kept()
    at_once, done = max(_AT_ONCE // streams[0]._vocabulary.size, 1), list[_Read]()
    try:
        for a in range(0, len(streams), at_once):
            done += _read_some(streams[a : a + at_once], rows[a : a + at_once])
    except BaseException:
        put_back()
        raise
    for stream, row, one in zip(streams, rows, done, strict=True):
        stream._scores = one.scores
        stream._seen[row] = True
    return [one.nats for one in done]


def _read_some(streams: Sequence[GeneratorStream], rows: Sequence[Ids]) -> list[_Read]:
    """Symbol after symbol for all streams, the ones with most symbols first, so that those that go on stay in front."""
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    lengths = np.array([len(rows[i]) for i in order])
    begins, flat = np.cumsum(lengths) - lengths, np.concatenate([rows[i] for i in order]).astype(np.int64)
    scores, nats = np.stack([streams[i]._scores for i in order]), np.empty(len(flat))
    together = streams[0]._seats.together([streams[i].seat for i in order])
    for t in range(int(lengths[0])):
        n = int(np.searchsorted(-lengths, -t))
        if n == 1:  # the rest of the longest one, in one call
            alone = streams[order[0]]
            nats[t : lengths[0]], scores[0] = alone._passed(scores[0], rows[order[0]][t:])
            break
        at = begins[:n] + t
        nats[at] = surprise(scores[:n], flat[at])
        scores[:n] = together.step(flat[at])
    done = {
        i: _Read(nats[a : a + n], scores[k].copy())
        for k, (i, a, n) in enumerate(zip(order, begins, lengths, strict=True))
    }
    return [done[i] for i in range(len(rows))]


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
