"""Generators with random weights, one for each kind of vocabulary, for the tests of what runs and stores them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.cells import CELLS
from ostinato.data.inputs import Note, Tune
from ostinato.data.vocabularies import Vocabulary
from ostinato.data.vocabularies.bytes import Bytes
from ostinato.data.vocabularies.characters import Characters
from ostinato.data.vocabularies.midi import Midi
from ostinato.data.vocabularies.subwords import Subwords
from ostinato.data.vocabularies.words import Words
from ostinato.maps.base import Part
from ostinato.maps.dense import Dense
from ostinato.maps.dropout import Dropout
from ostinato.maps.embedding import Embedding
from ostinato.maps.unembedding import Unembedding
from ostinato.runtime.generator import Generator
from ostinato.runtime.machine import expected
from ostinato.scans.recurrent import Recurrent

TEXT = "the rain falls on the sea, \u96e8 and the wind.\n" * 3
TUNES = [Tune.of([Note(i * 6, i * 6 + 6, 60 + (i * k) % 12, 80) for i in range(9)]) for k in (2, 3)]
WORDS = Words.fit([TEXT], unknown="symbol", least=4)

VOCABULARIES: dict[str, Vocabulary] = {
    "characters": Characters.fit([TEXT]),
    "names": Characters.fit([TEXT], items=True),
    "bytes": Bytes(),
    "words": WORDS,
    "words of items": Words.fit([TEXT], unknown="symbol", items=True, least=2),
    "subwords": Subwords(((116, 104), (256, 101))),
    "midi": Midi.fit(TUNES, items=True),
}


def parts(size: int, cells: Sequence[str] = ("lstm", "gru"), *, tied: bool = False) -> tuple[Part, ...]:
    """Layers from ids to scores."""
    recurrent = [Recurrent(CELLS[name](6 + i), return_sequences=True) for i, name in enumerate(cells)]
    width = 5 + len(cells) if tied else 4
    return (Embedding(size, width), *recurrent, Dropout(0.5), Unembedding(size) if tied else Dense(size))


def generator(
    vocabulary: Vocabulary, layers: Sequence[Part] | None = None, *, seed: int = 0, scale: float = 1.0
) -> Generator:
    """A generator with random weights, whose text is far from uniform."""
    layers = parts(vocabulary.size) if layers is None else layers
    rng = np.random.default_rng(seed)
    weights = [
        {name: rng.normal(0.0, scale, w.shape).astype(np.float32) for name, w in needed.items()}
        for needed in expected(layers, (None,))
    ]
    return Generator(tuple(layers), weights, vocabulary, 0 if vocabulary.items else vocabulary.size - 1)


def source(name: str) -> str | Tune:
    """Something that the vocabulary of this name can encode."""
    return TUNES[0] if name == "midi" else "the sea"
