"""What a generator and its streams share when they read and write symbols."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ostinato.data.inputs import Tune
from ostinato.data.vocabularies._text import Streamed, TextVocabulary
from ostinato.data.vocabularies.base import Ids, Vocabulary
from ostinato.errors import ArgumentError, DataError
from ostinato.runtime.decode import Sampler

Prime = str | bytes | os.PathLike[str] | Tune
"""What is gone on with: a text, or for music a tune, the bytes of a MIDI file, or its path."""


def encoded(vocabulary: Vocabulary, source: Prime, place: str = "") -> Ids:
    """The ids of a text or tune, or an error that says what a model can do about unknown symbols."""
    try:
        return vocabulary.encode(source)
    except DataError as error:
        if error.code != "unknown_symbol":
            raise
        raise DataError(
            error.rule,
            got=error.got,
            fix='Leave them out, or fit a model that has them, or one of bytes, which has all: symbols="bytes".',
            where=[f"{where} of {place}" if place else where for where in error.where],
            count=error.count,
            code=error.code,
        ) from None


def banned(vocabulary: Vocabulary) -> tuple[int, ...]:
    """Symbols that stand for nothing: they are never drawn."""
    return tuple(i for i in (vocabulary.start_id, vocabulary.unknown_id) if i is not None)


def drawn(
    step: Callable[[int], NDArray[np.floating]],
    scores: NDArray[np.floating],
    sampler: Sampler,
    *,
    length: int,
    end: int | None,
) -> Iterator[int]:
    """Symbols one by one, as they are drawn; ends at `length`, or with `end`, which is not given.

    Args:
        step: From a symbol to the scores `[symbols]` of the next one.
        scores: Those of the first one.
        sampler: What draws.
        length: Most symbols.
        end: The end of an item; None if there is none.
    """
    symbol = sampler.draw(scores)
    for n in range(1, length + 1):
        if symbol == end:
            return
        yield symbol
        if n < length:
            symbol = sampler.draw(step(symbol))


def shown(symbols: Iterator[int], decoder: Streamed) -> Iterator[str]:
    """Symbols as text, in pieces of whole characters."""
    for symbol in symbols:
        piece = decoder.feed(symbol)
        if piece:
            yield piece
    rest = decoder.close()
    if rest:
        yield rest


def text_vocabulary(vocabulary: Vocabulary) -> TextVocabulary:
    """The vocabulary, if it is one of text."""
    if not isinstance(vocabulary, TextVocabulary):
        raise DataError(
            "only text can be shown in pieces",
            got=f"a vocabulary of {type(vocabulary).__name__.lower()}",
            fix="Use generate(), which gives the bytes of a file.",
            code="type",
        )
    return vocabulary


def check_length(length: int) -> None:
    """Refuse a number of symbols that is not a whole number of at least 1."""
    if isinstance(length, bool) or not isinstance(length, (int, np.integer)) or length < 1:
        raise ArgumentError("length must be a whole number of at least 1", got=f"{length!r:.80}", fix="Pass, say, 500.")
