"""Sub-words: byte-pair encoding (Sennrich, Haddow & Birch 2016) on the bytes of UTF-8, so that nothing is unknown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np

from ostinato._lean_dataclass import lean_dataclass
from ostinato._optional import require
from ostinato.data.vocabularies._text import TextVocabulary, check_least, utf8
from ostinato.data.vocabularies.base import Ids, Setting, Stored, stored_ints
from ostinato.errors import ArgumentError, DataError

_CHUNK = re.compile(r" ?\w{1,32}| ?[^\w\s]{1,16}|\s{1,32}(?!\S)|\s")
"""Merges stay inside such a chunk: a word or punctuation with the space before it, or white space. Nothing is left."""

_LONGEST = 256
"""Most bytes that one symbol may stand for: a chunk has at most 33 characters of 4 bytes, so training stays below."""

_LETTERS = {chr(byte): chr(0x100 + byte) for byte in range(256)}
"""Bytes as letters that are no white space, for the trainer."""

Merge = tuple[int, int]


class _Built(NamedTuple):
    """The bytes of each symbol; rank and result of each merge."""

    pieces: tuple[bytes, ...]
    table: dict[Merge, tuple[int, int]]


@lean_dataclass(frozen=True)
class Subwords(TextVocabulary):
    """Ids for the 256 bytes, then for pairs that were merged, after the special ones.

    Numbers in `merges` do not count the special symbols: 0 … 255 are the bytes, 256 is the first symbol that a merge
    makes, and so on; a merge whose bytes exist already makes no new one. Encoding applies merges in order inside words.

    Args:
        merges: Pairs of symbols, in the order in which they were learnt.
        items: There are symbols for the start and the end of an item.

    >>> v = Subwords(((116, 104), (256, 101)))
    >>> v.encode("the thing").tolist(), v.size
    ([257, 32, 256, 105, 110, 103], 258)
    """

    merges: tuple[Merge, ...] = ()

    tensor_axes = {"merges": 2}

    def __post_init__(self) -> None:
        self._built  # noqa: B018  # a merge of symbols that do not exist is refused here

    @classmethod
    def fit(cls, texts: Iterable[str], *, size: int = 2048, items: bool = False, least: int = 2) -> Self:
        """Learn merges from the training texts; needs the package `tokenizers`, which using them does not.

        Args:
            texts: The training part; one string for continuous text.
            size: Number of symbols wanted, bytes included, at least 256; a small text may give fewer.
            items: Add symbols for the start and the end of an item.
            least: Pairs that occur less often are not merged.

        Raises:
            MissingDependency: `tokenizers` is not installed.
            DataError: `empty`, no text.
        """
        check_least("size", size, 256)
        check_least("least", least, 1)
        import json

        package = require("tokenizers", purpose="to learn sub-words")
        model = package.Tokenizer(package.models.BPE())
        model.pre_tokenizer = package.pre_tokenizers.WhitespaceSplit()
        trainer = package.trainers.BpeTrainer(
            vocab_size=size, min_frequency=least, initial_alphabet=list(_LETTERS.values()), show_progress=False
        )
        seen = _Seen()
        model.train_from_iterator(seen.lines(texts), trainer)
        if not seen.any:
            raise DataError("there must be text to learn from", got="none", fix="Give more text.", code="empty")
        back = {letter: byte for byte, letter in enumerate(_LETTERS.values())}
        learnt = json.loads(model.to_str())["model"]["merges"]
        numbers: dict[bytes, int] = {bytes([byte]): byte for byte in range(256)}
        merges = []
        for pair in learnt:
            left, right = (bytes(back[letter] for letter in part) for part in pair)
            merges.append((numbers[left], numbers[right]))
            numbers.setdefault(left + right, len(numbers))
        return cls(tuple(merges), items=items)

    @cached_property
    def _built(self) -> _Built:
        pieces = [bytes([byte]) for byte in range(256)]
        numbers = {piece: byte for byte, piece in enumerate(pieces)}
        table: dict[Merge, tuple[int, int]] = {}
        for rank, (left, right) in enumerate(self.merges):
            if not (0 <= left < len(pieces) and 0 <= right < len(pieces)) or (left, right) in table:
                raise ArgumentError(
                    "each merge must join two symbols that exist, once",
                    got=f"({left}, {right}) as number {rank}",
                    fix="Use Subwords.fit.",
                )
            piece = pieces[left] + pieces[right]
            if len(piece) > _LONGEST:
                raise ArgumentError(
                    f"symbols must have at most {_LONGEST} bytes", got=str(len(piece)), fix="Use Subwords.fit."
                )
            if piece not in numbers:
                numbers[piece] = len(pieces)
                pieces.append(piece)
            table[left, right] = rank, numbers[piece]
        return _Built(tuple(pieces), table)

    @property
    def symbols_utf8(self) -> tuple[bytes, ...]:
        """The bytes that each symbol stands for."""
        return self._built.pieces

    def encode(self, source: str) -> Ids:
        """The ids of the text's sub-words `[n]`. Time grows with the text and with the number of its different words.

        Raises:
            DataError: `surrogate` or `type`.
        """
        utf8(source)
        known: dict[str, list[int]] = {}
        ids: list[int] = []
        for chunk in _CHUNK.findall(source):
            found = known.get(chunk)
            if found is None:
                found = known[chunk] = self._merged(chunk.encode())
            ids += found
        return np.array(ids, dtype=np.int32) + np.int32(len(self.specials))

    def settled(self, text: str) -> int:
        """All but the last word, marks or white space, which may go on."""
        chunks = _CHUNK.findall(text)
        return len(text) - len(chunks[-1]) if chunks else 0

    def _merged(self, chunk: bytes) -> list[int]:
        """One chunk by its merges: the earliest learnt pair is joined wherever it stands, until no pair is known."""
        table, ids = self._built.table, list(chunk)
        while len(ids) > 1:
            ranks = [table.get(pair, (len(table), 0))[0] for pair in pairwise(ids)]
            best = min(ranks)
            if best == len(table):
                break
            left, right = self.merges[best]
            result, joined, i = table[left, right][1], [], 0
            while i < len(ids):
                hit = ids[i] == left and i + 1 < len(ids) and ids[i + 1] == right
                joined.append(result if hit else ids[i])
                i += 2 if hit else 1
            ids = joined
        return ids

    @property
    def settings(self) -> dict[str, Setting]:
        """What `store` keeps beside tensors."""
        return {"items": self.items}

    def store(self) -> Stored:
        """Settings, and the merges as a tensor `[merges, 2]`."""
        return Stored(self.settings, {"merges": np.array(self.merges, dtype=np.int64).reshape(-1, 2)})

    @classmethod
    def from_stored(cls, stored: Stored) -> Self:
        """Rebuild from `store`."""
        pairs = stored_ints(stored, "merges")
        if pairs.shape[1] != 2:
            raise ValueError("merges are not pairs")
        return cls(tuple(map(tuple, pairs.tolist())), items=bool(stored.settings["items"]))


class _Seen:
    """Turns texts into lines of chunks for the trainer, and notes whether there were any."""

    def __init__(self) -> None:
        self.any = False

    def lines(self, texts: Iterable[str]) -> Iterator[str]:
        """Chunks as letters, parted by spaces, at most a thousand a line."""
        table = str.maketrans(_LETTERS)
        for text in texts:
            utf8(text)
            chunks = _CHUNK.findall(text)
            self.any |= bool(chunks)
            for start in range(0, len(chunks), 1000):
                part = chunks[start : start + 1000]
                yield " ".join(chunk.encode().decode("latin-1").translate(table) for chunk in part)
