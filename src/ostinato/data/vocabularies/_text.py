"""What all vocabularies of text share: each id stands for some bytes of UTF-8, and a text is their join."""

from __future__ import annotations

import codecs
from abc import abstractmethod
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.data.vocabularies.base import Vocabulary
from ostinato.errors import ArgumentError, DataError

UNKNOWN = "\ufffd"
"""What an unknown symbol is decoded as."""


class Spans(NamedTuple):
    """A decoded text in pieces of whole characters.

    Args:
        texts: The pieces; joined they are the decoded text.
        owners: `[n]`, the piece that each id belongs to; several ids may share one where a character is cut.
    """

    texts: list[str]
    owners: NDArray[np.int64]


class Streamed:
    """Decodes ids one by one, as they are sampled; a character appears when its last byte is there."""

    def __init__(self, pieces: tuple[bytes, ...]) -> None:
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, symbol: int) -> str:
        """The characters that this id completes, often one, possibly none."""
        return self._decoder.decode(self._pieces[symbol])

    def close(self) -> str:
        """What is left: U+FFFD if the ids stopped inside a character."""
        return self._decoder.decode(b"", final=True)


@lean_dataclass(frozen=True, kw_only=True)
class TextVocabulary(Vocabulary):
    """A vocabulary whose ids stand for bytes of UTF-8: characters, words, parts of words or bytes themselves."""

    @property
    @abstractmethod
    def symbols_utf8(self) -> tuple[bytes, ...]:
        """The bytes of each id that is not special, in order of the ids."""

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """The bytes of each id: unknown is U+FFFD, start and end are nothing."""
        special = tuple(UNKNOWN.encode() if name == "unknown" else b"" for name in self.specials)
        return special + self.symbols_utf8

    @property
    def size(self) -> int:
        """Number of ids, the special ones included."""
        return len(self.pieces)

    def decode_bytes(self, ids: ArrayLike) -> bytes:
        """The UTF-8 bytes of ids `[n]`; those of a sampled text need not be valid."""
        return b"".join(map(self.pieces.__getitem__, self.checked(ids).tolist()))

    def decode(self, ids: ArrayLike) -> str:
        """The text of ids `[n]`. Bytes that are not UTF-8, and unknown symbols, become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def settled(self, text: str) -> int:
        """How many characters of a text that goes on are sure of their ids, whatever follows."""
        return len(text)

    def stream(self) -> Streamed:
        """A decoder for ids that come one by one."""
        return Streamed(self.pieces)

    def spans(self, ids: ArrayLike) -> Spans:
        """The decoded text in pieces of whole characters, to show one number for each.

        Start and end, which have no text, belong to the piece after them, or to an empty last one.
        """
        stream, texts, index = self.stream(), [""], []
        for symbol in self.checked(ids).tolist():
            index.append(len(texts) - 1)
            texts[-1] += stream.feed(symbol)
            if texts[-1]:
                texts.append("")
        rest = stream.close()
        if not index or index[-1] < len(texts) - 1:
            texts.pop()
        if rest:
            texts[-1] += rest
        return Spans(texts, np.array(index, dtype=np.int64))

    @cached_property
    def _characters(self) -> NDArray[np.int64]:
        return np.array([sum((byte & 0xC0) != 0x80 for byte in piece) for piece in self.pieces], dtype=np.int64)

    @cached_property
    def _bytes(self) -> NDArray[np.int64]:
        return np.array([len(piece) for piece in self.pieces], dtype=np.int64)

    def characters(self, ids: ArrayLike) -> NDArray[np.int64]:
        """How many characters (code points) each id begins `[n]`; their sum is the length of a valid text."""
        return self._characters[self.checked(ids)]

    def bytes_of(self, ids: ArrayLike) -> NDArray[np.int64]:
        """How many bytes of UTF-8 each id stands for `[n]`."""
        return self._bytes[self.checked(ids)]


def utf8(text: str) -> bytes:
    """The UTF-8 bytes of a text.

    Raises:
        DataError: `type`, it is no text; `surrogate`, it holds half a UTF-16 pair, which no UTF-8 can stand for.
    """
    if not isinstance(text, str):
        raise DataError(
            "texts must be str", got=f"an object of type {type(text).__name__}", fix="Pass a str.", code="type"
        )
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        bad = [i for i, c in enumerate(text) if "\ud800" <= c <= "\udfff"]
        raise DataError(
            "texts must hold whole characters only",
            got=f"the lone surrogate U+{ord(text[error.start]):04X}",
            fix='Decode the source with errors="replace".',
            where=[f"character {i}" for i in bad[:5]],
            count=len(bad),
            code="surrogate",
        ) from None


def codes(text: str) -> NDArray[np.int64]:
    """The code points `[n]` of a text."""
    utf8(text)
    return np.frombuffer(codecs.utf_32_le_encode(text)[0], dtype="<u4").astype(np.int64)  # needs no import at run time


def unknown_symbols(kind: str, found: dict[str, int], *, where: list[str]) -> DataError:
    """The error for symbols that a vocabulary does not know.

    Args:
        kind: What they are: "characters", "words".
        found: How often each occurs.
        where: Places of the first ones.
    """
    often = sorted(found, key=lambda symbol: (-found[symbol], symbol))
    names = ", ".join(f"{symbol!r}" + (f" (U+{ord(symbol):04X})" if len(symbol) == 1 else "") for symbol in often[:5])
    return DataError(
        f"all {kind} must be known to the vocabulary",
        got=names + (f" and {len(often) - 5} others" if len(often) > 5 else ""),
        fix='Leave them out, or fit the vocabulary with unknown="symbol".',
        where=where,
        count=sum(found.values()),
        code="unknown_symbol",
    )


def check_policy(unknown: str) -> None:
    """Refuse an `unknown` that is not "error" or "symbol"."""
    if unknown not in ("error", "symbol"):
        raise ArgumentError('unknown must be "error" or "symbol"', got=repr(unknown), fix="Pass one of them.")


def check_least(name: str, value: int | None, least: int) -> None:
    """Refuse a count that is not a whole number of at least `least`; None is allowed where it is the default."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise ArgumentError(
            f"{name} must be a whole number of at least {least}", got=repr(value), fix=f"Pass for example {least}."
        )
