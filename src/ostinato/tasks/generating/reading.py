"""From files to the symbols that a generator learns and those that test it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ostinato.data.inputs import Texts, Tune, list_files, read_texts
from ostinato.data.split import split_items, split_texts
from ostinato.data.vocabularies import VOCABULARIES, Vocabulary
from ostinato.data.vocabularies.base import Ids
from ostinato.data.vocabularies.characters import Characters
from ostinato.data.vocabularies.midi import Midi
from ostinato.data.vocabularies.subwords import Subwords
from ostinato.data.vocabularies.words import Words
from ostinato.errors import ArgumentError, DataError
from ostinato.tasks.checks import check_choice, check_number, check_whole

SYMBOLS = ("auto", *VOCABULARIES)
_MUSIC = (".mid", ".midi")


@dataclass(frozen=True)
class Reading:
    """How files become symbols.

    Args:
        items: "stream" for one continuous text; "lines" if each line is a text of its own (names), "files" if each file
            is; "auto" takes one text for texts and files for music.
        valid: Share that is kept for validation: the end of a continuous text, or drawn items.
        errors: "strict" refuses bytes that are not UTF-8, "replace" reads them as U+FFFD.
        newlines: Keep the line ends of Windows; by default all become one symbol.
        size: Number of symbols of a vocabulary of sub-words.
        least: Words that occur less often in the training part become the unknown one.
    """

    items: str = "auto"
    valid: float = 0.1
    errors: str = "strict"
    newlines: bool = False
    size: int = 2048
    least: int = 2

    def check(self) -> None:
        """Raise `ArgumentError` unless all values are in range."""
        check_choice("items", self.items, ("auto", "stream", "lines", "files"))
        check_choice("errors", self.errors, ("strict", "replace"))
        check_number("valid", self.valid)
        check_whole("size", self.size, least=300)
        check_whole("least", self.least, least=1)
        if not 0.0 < self.valid < 1.0:
            raise ArgumentError(
                "valid must be above 0 and below 1", got=repr(self.valid), fix="Pass, say, 0.1.", code="argument"
            )


class Corpus(NamedTuple):
    """What there is to learn.

    Args:
        vocabulary: Symbols and ids.
        train: One row of ids, or one an item with its start and end.
        valid: Likewise.
        texts: The training part and the validation part as texts; None for music.
        source: What was read, in words.
        treatments: What was done to it, as sentences.
    """

    vocabulary: Vocabulary
    train: list[Ids]
    valid: list[Ids]
    texts: tuple[Texts, Texts] | None
    source: str
    treatments: list[str]

    @property
    def kind(self) -> str:
        """The vocabulary's name."""
        return next(name for name, cls in VOCABULARIES.items() if type(self.vocabulary) is cls)


def read_corpus(data: Any, *, symbols: str, reading: Reading, seed: int) -> Corpus:
    """Read, split and encode.

    Args:
        data: Paths of text or MIDI files or folders; or `Texts`, or a list of `Tune`.
        symbols: A name of a vocabulary, or "auto": events for MIDI files and tunes, else characters.
        reading: How.
        seed: Decides which items are for validation.

    Raises:
        DataError: The files cannot be read, or there is too little in them.
    """
    if symbols == "midi" or (symbols == "auto" and _is_music(data)):
        return _music(data, reading, seed)
    if isinstance(data, Texts):
        texts, source = data, "a text" if data.stream else f"{len(data.items)} items"
    else:
        items = "stream" if reading.items == "auto" else reading.items
        texts = read_texts(data, items=items, errors=reading.errors, newlines=reading.newlines)  # type: ignore[arg-type]
        source = _names(list_files(data, endings=(".txt",)))
    train, valid = split_texts(texts, share=reading.valid, seed=seed)
    vocabulary = _fit(("characters" if symbols == "auto" else symbols), texts, train, reading)
    encode = vocabulary.encode_item if vocabulary.items else vocabulary.encode
    treatments = []
    if texts.replaced:
        treatments.append(f"{texts.replaced} byte sequences that are not UTF-8 were read as U+FFFD.")
    if texts.skipped:
        treatments.append(f"{texts.skipped} empty lines or files were left out.")
    if not isinstance(data, Texts) and not reading.newlines:
        treatments.append("All line ends were read as one symbol.")
    learn, test = ([encode(text) for text in part.items] for part in (train, valid))
    return Corpus(vocabulary, learn, test, (train, valid), source, treatments)


def _fit(symbols: str, texts: Texts, train: Texts, reading: Reading) -> Vocabulary:
    items = not texts.stream
    if symbols == "characters":
        return Characters.fit(texts.items, items=items)
    if symbols == "words":
        return Words.fit(train.items, unknown="symbol", items=items, least=reading.least)
    if symbols == "subwords":
        return Subwords.fit(train.items, size=reading.size, items=items)
    return VOCABULARIES["bytes"](items=items)


def _is_music(data: Any) -> bool:
    if isinstance(data, Texts):
        return False
    if isinstance(data, (str, Path)):
        path = Path(data)
        return path.suffix.lower() in _MUSIC or (
            path.is_dir() and any(p.suffix.lower() in _MUSIC for p in path.rglob("*"))
        )
    return isinstance(data, Sequence) and bool(data) and all(isinstance(d, Tune) or _is_music(d) for d in data)


def _music(data: Any, reading: Reading, seed: int) -> Corpus:
    if reading.items not in ("auto", "files"):
        raise ArgumentError("items must be 'files' for music", got=repr(reading.items), fix="Leave it out.")
    tunes: list[Any] = (
        list(data)
        if isinstance(data, (list, tuple)) and data and all(isinstance(d, Tune) for d in data)
        else list_files(data, endings=_MUSIC)
    )
    vocabulary = Midi.fit(tunes, items=True)
    rows = [vocabulary.encode_item(tune) for tune in tunes]
    if len(rows) < 2:
        raise DataError(
            "there must be at least two tunes, one to learn and one to test",
            got=str(len(rows)),
            fix="Give more MIDI files.",
            code="short",
        )
    parts = split_items([row.tobytes() for row in rows], share=reading.valid, seed=seed)
    source = _names(tunes) if not isinstance(tunes[0], Tune) else f"{len(tunes)} tunes"
    return Corpus(vocabulary, [rows[i] for i in parts.train], [rows[i] for i in parts.valid], None, source, [])


def _names(files: Sequence[Any]) -> str:
    return Path(files[0]).name if len(files) == 1 else f"{len(files)} files"


def opening(corpus: Corpus) -> int:
    """The id that a continuous text comes after when nothing is given: a line end, or else the most frequent symbol."""
    ids = np.concatenate(corpus.train)
    try:
        line = corpus.vocabulary.encode("\n")
    except DataError:
        line = np.empty(0, np.int32)
    if len(line) == 1:
        return int(line[0])
    return int(np.bincount(ids, minlength=corpus.vocabulary.size).argmax())
