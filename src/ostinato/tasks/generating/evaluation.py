"""How good a generator is, beside rivals that need no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato.data.inputs import Texts
from ostinato.data.vocabularies._text import TextVocabulary
from ostinato.data.vocabularies.base import Ids
from ostinato.metrics.compressor import compressed
from ostinato.metrics.ngram import NGram
from ostinato.metrics.text import perplexity
from ostinato.runtime.generator import Generator
from ostinato.tasks.generating.reading import Corpus

ORDER = 7
"""Longest n-gram of the rival; 7 characters is about its best on a megabyte of English."""


class Score(NamedTuple):
    """One method's figures; None where it has none.

    Args:
        name: The method.
        nats: Mean surprise a symbol.
        perplexity: Its exponential.
        bits: Bits a character of text; None for music.
    """

    name: str
    nats: float | None
    perplexity: float | None
    bits: float | None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Figures on the validation part.

    Args:
        scores: The network first.
        symbols: How many symbols were predicted.
        characters: How many characters they stand for; 0 for music.
        nats: `[symbols]`, what each cost the network.
        verdict: Who wins, in a sentence.
    """

    scores: tuple[Score, ...]
    symbols: int
    characters: int
    nats: NDArray[np.float64]
    verdict: str

    def text(self) -> str:
        """A table for a terminal."""
        head = f"{'':14}{'nats a symbol':>15}{'perplexity':>12}{'bits a character':>18}"
        rows = [
            head,
            *(
                f"{s.name:14}{_shown(s.nats, 15, 4)}{_shown(s.perplexity, 12, 2)}{_shown(s.bits, 18, 3)}"
                for s in self.scores
            ),
        ]
        return "\n".join([self.verdict, f"{self.symbols} symbols of the validation part:", "", *rows])


def _shown(value: float | None, width: int, digits: int) -> str:
    return f"{'–' if value is None else f'{value:.{digits}f}':>{width}}"


def nats_of(generator: Generator, rows: Sequence[Ids]) -> NDArray[np.float64]:
    """What each symbol costs; a text's first symbol comes after the opening, an item's after its start."""
    return np.concatenate([generator.surprise(row) for row in rows])


def evaluate(generator: Generator, corpus: Corpus, *, label: str) -> Evaluation:
    """Measure a generator on the validation part, beside n-grams, a compressor and a guess."""
    nats = nats_of(generator, corpus.valid)
    vocabulary = corpus.vocabulary
    characters = 0
    if isinstance(vocabulary, TextVocabulary):
        characters = sum(int(vocabulary.characters(row).sum()) for row in corpus.valid)
    before = [] if vocabulary.items else [generator.opening]
    grams = _ngram(corpus, before)
    scores = [_score(label, nats, characters), _score(f"{ORDER}-gram", grams, characters)]
    if corpus.texts is not None:
        scores.append(compressor_score(*corpus.texts))
    scores.append(_score("guess", np.full(len(nats), math.log(vocabulary.size)), characters))
    return Evaluation(tuple(scores), len(nats), characters, nats, _verdict(scores))


def compressor_score(train: Texts, valid: Texts) -> Score:
    """Bits a character of the best compressor that saw the training part.

    Items are compressed in a drawn order, each with a line end, which it pays for as the network pays for the end of an
    item. In the order of a list, which no model of items may know, the next one is often known by half.
    """
    found = compressed(*(_joined(part) for part in (train, valid)))
    return Score(found.compressor, None, None, found.bits / sum(map(len, valid.items)))


def _joined(texts: Texts) -> str:
    if texts.stream:
        return "\n".join(texts.items)
    items = sorted(texts.items)
    return "".join(f"{items[i]}\n" for i in np.random.default_rng(0).permutation(len(items)))


def _ngram(corpus: Corpus, before: list[int]) -> NDArray[np.float64]:
    if corpus.vocabulary.items:
        train, valid = np.concatenate(corpus.train), np.concatenate(corpus.valid)
        model = NGram.fit(train, size=corpus.vocabulary.size, order=ORDER, lengths=[len(r) for r in corpus.train])
        nats = model.surprise(valid, lengths=[len(r) for r in corpus.valid])
        return np.asarray(nats[valid != corpus.vocabulary.start_id])
    model = NGram.fit(corpus.train[0], size=corpus.vocabulary.size, order=ORDER)
    return np.asarray(model.surprise(np.concatenate([before, corpus.valid[0]]).astype(np.int32))[len(before) :])


def _score(name: str, nats: NDArray[np.float64], characters: int) -> Score:
    bits = float(nats.sum()) / math.log(2.0) / characters if characters else None
    return Score(name, float(nats.mean()), perplexity(nats), bits)


def _verdict(scores: Sequence[Score]) -> str:
    own, *rivals = scores
    if own.bits is not None:
        unit, mine = "bits a character", own.bits
        others = {s.name: s.bits for s in rivals if s.bits is not None}
    else:
        unit, mine = "nats a symbol", own.nats or 0.0
        others = {s.name: s.nats for s in rivals if s.nats is not None}
    best = min(others, key=others.__getitem__)
    if mine < others[best]:
        return (
            f"The network wins: {mine:.3f} {unit} against {others[best]:.3f} for {best}, the best rival "
            f"({100 * (1 - mine / others[best]):.0f} % less)."
        )
    return f"The network does not win: {mine:.3f} {unit} against {others[best]:.3f} for {best}."
