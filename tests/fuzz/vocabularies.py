"""Feeds vocabularies that a hostile file could bring, odd texts and odd ids to what turns symbols into ids and back.

    python -m tests.fuzz.vocabularies --count 1000000 --seed 1

An input is a stored vocabulary with changed settings and tensors, a text and a row of ids. The vocabulary must be
accepted or refused by a `ModelFileError`, text and ids by an `OstinatoError`, within a second of work. One that is
accepted must be stored as the same again, and keep the laws of `_laws`. Anything else is a finding, and the command
ends with 1.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
from tests.fuzz import mutate
from tests.fuzz.work import TooLong, Work
from tests.unit.runtime.generators import VOCABULARIES as SEEDS

from ostinato.data.vocabularies import VOCABULARIES, Vocabulary, restore
from ostinato.data.vocabularies._text import UNKNOWN, TextVocabulary
from ostinato.data.vocabularies.midi import Midi
from ostinato.errors import ModelFileError, OstinatoError

MOST_FINDINGS = 20
LONGEST = 60
"""Most characters of a text, and most ids of a row."""

_PIECES = (
    "the ", "rain", "thethe", " ", "  ", "\n", "\r\n", "\t", ".", "...", "_", "-", "e\u0301", "\u0301", "\u00e9",
    "\u96e8", "\U0001f9d1\u200d\U0001f680", "\U0001f1e9", "\u202e", "\u2066", "\u200b", "\ufeff", "\ufffd", "\0",
    "\x1b[2J", "\x85", "\u2028", "\u3000", "\u00a0", "\u0e33", "\u0130", "\ufb01", "\U0010ffff", "\ud800", "\udfff",
    "9" * 33, "x" * 40, "!" * 17,
)  # fmt: skip
_WORDS = tuple(VOCABULARIES[name] for name in ("words", "subwords"))


class Broken(Exception):
    """A law does not hold."""


@dataclass
class Found:
    """What came out.

    Args:
        inputs: How many there were.
        answers: How often each answer was given to a vocabulary ("accepted" or a code), by its kind, and to a text.
        faults: What went wrong, and the input.
    """

    inputs: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, str]] = field(default_factory=list)


def compare(*, count: int, seed: int) -> Found:
    """Try so many inputs; the same seed gives the same ones."""
    rng, found = Random(seed), Found()
    seeds = [(type(v), v.store()) for v in SEEDS.values()]
    with Work() as work:
        while found.inputs < count and len(found.faults) < MOST_FINDINGS:
            kind, stored = rng.choice(seeds)
            settings, tensors = dict(stored.settings), {name: array.copy() for name, array in stored.tensors.items()}
            if rng.random() < 0.7:
                for _ in range(rng.choice((1, 1, 2, 3))):
                    _change(rng, settings, tensors)
            text, ids = _text(rng), [rng.randrange(400) for _ in range(rng.randrange(LONGEST))]
            found.inputs += 1
            work.grant()
            try:
                _once(kind, settings, tensors, text, ids, found)
            except (Exception, TooLong, RecursionError):
                given = f"{kind.__name__} {settings!r} {tensors!r:.300} {text!r} {ids!r}"
                found.faults.append((traceback.format_exc(limit=-4), given))
    return found


def _text(rng: Random) -> str:
    pieces = "".join(
        rng.choice(_PIECES) if rng.random() < 0.8 else chr(rng.randrange(0x110000)) for _ in range(rng.randrange(12))
    )
    if rng.random() < 0.9:  # half of a pair refuses the whole text
        pieces = pieces.encode("utf-8", "ignore").decode()
    return pieces[:LONGEST]


def _change(rng: Random, settings: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """One setting or one tensor becomes another."""
    if tensors and rng.random() < 0.7:
        name = rng.choice(sorted(tensors))
        tensors[name] = _other(rng, tensors[name])
        return
    if settings and rng.random() < 0.8:
        name = rng.choice(sorted(settings))
        settings[name] = mutate.value(rng, settings[name])
    elif settings and rng.random() < 0.5:
        del settings[rng.choice(sorted(settings))]
    else:
        settings[rng.choice(("x", "items", "size", "__class__"))] = mutate.value(rng, 1)


def _other(rng: Random, array: np.ndarray) -> np.ndarray:
    """A tensor with other numbers, another length, another order, another type or more axes."""
    act = rng.random()
    if act < 0.5 and array.size and array.dtype.kind in "iu":
        limits = np.iinfo(array.dtype)
        near = int(array.reshape(-1)[rng.randrange(array.size)]) + rng.choice((-1, 0, 1))
        new = rng.choice((near, rng.randrange(600), *mutate.WHOLE, 0xD800, 0x10FFFF, 0x110000))
        array.reshape(-1)[rng.randrange(array.size)] = min(max(new, limits.min), limits.max)
        return array
    if act < 0.6:
        return array[: rng.randrange(len(array) + 1)]
    if act < 0.7:
        return np.concatenate([array, array[: rng.randrange(len(array) + 1)]])
    if act < 0.8:
        return array[::-1].copy()
    if act < 0.9:
        with np.errstate(invalid="ignore"):
            return array.astype(rng.choice(("uint8", "int64", "float64")))
    return array[None] if rng.random() < 0.5 else array.reshape(-1)


def _once(
    kind: type[Vocabulary], settings: dict[str, Any], tensors: dict[str, np.ndarray], text: str, ids: list[int],
    found: Found,
) -> None:  # fmt: skip
    try:
        vocabulary = restore(kind, settings, tensors)
    except ModelFileError as error:
        found.answers[f"{kind.__name__} {error.code}"] += 1
        return
    found.answers[f"{kind.__name__} accepted"] += 1
    again = vocabulary.store()
    _need(again.settings == settings, "stored settings are others")
    _need(
        all(np.array_equal(again.tensors[name], array) for name, array in tensors.items()), "stored tensors are others"
    )
    row = [i % vocabulary.size for i in ids]
    _refused(vocabulary, [*ids, vocabulary.size])
    if isinstance(vocabulary, Midi):
        tune = vocabulary.decode_tune(row)
        _need(vocabulary.decode_tune(vocabulary.encode(tune)).notes == tune.notes or vocabulary.velocities > 0,
              "a tune comes back as another one")  # fmt: skip
        return
    _need(isinstance(vocabulary, TextVocabulary), "there is a new kind of vocabulary")
    _decodes(vocabulary, row)
    try:
        encoded = vocabulary.encode(text)
    except OstinatoError as error:
        found.answers[f"text {error.code}"] += 1
        return
    found.answers["text accepted"] += 1
    _laws(vocabulary, text, encoded)


def _refused(vocabulary: Vocabulary, ids: list[int]) -> None:
    try:
        vocabulary.decode(ids)
    except OstinatoError:
        return
    raise Broken("an id that does not exist was decoded")


def _decodes(vocabulary: TextVocabulary, row: list[int]) -> None:
    """Any ids are a text, the same at once, one by one and in pieces."""
    text, stream, spans = vocabulary.decode(row), vocabulary.stream(), vocabulary.spans(row)
    _need("".join(stream.feed(i) for i in row) + stream.close() == text, "ids one by one are another text")
    _need("".join(spans.texts) == text, "pieces are another text")
    _need(len(spans.owners) == len(row), "an id has no piece")
    _need(int(vocabulary.bytes_of(row).sum()) == len(vocabulary.decode_bytes(row)), "another number of bytes")


def _laws(vocabulary: TextVocabulary, text: str, ids: np.ndarray) -> None:
    """Ids exist, stand for the text, and those that are settled stay the same whatever follows."""
    _need(ids.dtype == np.int32 and ids.ndim == 1, "ids are no row of int32")
    _need(not ids.size or (ids.min() >= 0 and ids.max() < vocabulary.size), "an id does not exist")
    if vocabulary.count_unknown(ids):
        _need(UNKNOWN in vocabulary.decode(ids), "an unknown symbol is not shown")
    else:
        _need(vocabulary.decode(ids) == text, "a text comes back as another one")
        _need(int(vocabulary.characters(ids).sum()) == len(text), "another number of characters")
    settled = vocabulary.settled(text)
    _need(0 <= settled <= len(text), "more is settled than there is")
    if isinstance(vocabulary, _WORDS):
        first = vocabulary.encode(text[:settled])
        for more in ("", "e", " ", "\u0301", "."):
            try:
                longer = vocabulary.encode(text + more)
            except OstinatoError:
                continue
            _need(np.array_equal(longer[: len(first)], first), f"what was settled changed before {more!r}")


def _need(true: bool, what: str) -> None:
    if not true:
        raise Broken(what)


def main(arguments: Sequence[str]) -> int:
    """Try, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    begin = time.process_time()
    found = compare(count=given.count, seed=given.seed)
    speed = found.inputs / (time.process_time() - begin)
    print(f"{found.inputs} inputs, {speed:.0f} a second of work, {len(found.faults)} findings")
    print("answers:", ", ".join(f"{answer} {n}" for answer, n in sorted(found.answers.items())))
    for fault, data in found.faults:
        print(f"--- {data}\n{fault}")
    return int(bool(found.faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
