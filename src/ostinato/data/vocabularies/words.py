"""Words with their punctuation and white space, so that a text of known words comes back exactly."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import Literal, Self

import numpy as np

from ostinato._lean_dataclass import lean_dataclass
from ostinato.data.vocabularies._text import (
    TextVocabulary,
    check_least,
    check_policy,
    unknown_symbols,
    utf8,
)
from ostinato.data.vocabularies.base import Ids, Setting, Stored, stored_ints
from ostinato.errors import ArgumentError, DataError

_TOKEN = re.compile(r" ?\w+| ?[^\w\s]|\s")
"""A word or a punctuation mark, either with the space before it, or one white-space character. Nothing is left over."""


@lean_dataclass(frozen=True)
class Words(TextVocabulary):
    """One id for each word, punctuation mark and white-space character, after the special ones.

    A single space belongs to the word or mark after it: " the" and "the" are two symbols. Where " word" is not known
    but "word" is, it becomes a space and the word. Upper and lower case differ. Scripts without spaces between words,
    such as Chinese, are better served by characters or sub-words.

    Args:
        symbols: The symbols, each once, most frequent first; the space is always one.
        unknown: "error" refuses other words; "symbol" gives them all one id, decoded as U+FFFD.
        items: There are symbols for the start and the end of an item.

    >>> v = Words.fit(["to be, or not to be"], unknown="symbol")
    >>> v.decode(v.encode("to be, or not to sleep"))
    'to be, or not to �'
    """

    symbols: tuple[str, ...]
    unknown: Literal["error", "symbol"] = "error"

    tensor_axes = {"symbols": 1, "lengths": 1}

    def __post_init__(self) -> None:
        check_policy(self.unknown)
        if " " not in self.symbols or "" in self.symbols or len(set(self.symbols)) < len(self.symbols):
            raise ArgumentError(
                "symbols must be different texts, one of them a space",
                got=f"{len(self.symbols)} of them",
                fix="Use Words.fit.",
            )

    @classmethod
    def fit(
        cls,
        texts: Iterable[str],
        *,
        unknown: Literal["error", "symbol"] = "error",
        items: bool = False,
        least: int = 1,
        largest: int | None = None,
    ) -> Self:
        """Learn the words of the training texts.

        Args:
            texts: The training part; one string for continuous text.
            unknown: What `encode` does with words that are not learnt.
            items: Add symbols for the start and the end of an item.
            least: Words that occur less often are not learnt.
            largest: Largest number of symbols, most frequent first; None learns all. It and `least` leave words out,
                which needs `unknown="symbol"`.

        Raises:
            ArgumentError: A value is out of range, or words would be left out with `unknown="error"`.
            DataError: `empty`, no text.
        """
        check_policy(unknown)
        check_least("least", least, 1)
        check_least("largest", largest, 2)
        if unknown == "error" and (least > 1 or largest is not None):
            raise ArgumentError(
                'all words must be learnt with unknown="error", since the training text itself must be encodable',
                got=f"least={least}, largest={largest}",
                fix='Pass unknown="symbol".',
            )
        counted: Counter[str] = Counter()
        for text in texts:
            utf8(text)
            counted.update(_TOKEN.findall(text))
        if not counted:
            raise DataError("there must be words to learn", got="none", fix="Give more text.", code="empty")
        counted.setdefault(" ", 0)
        order = sorted(counted, key=lambda word: (-counted[word], word))
        kept = [word for word in order if counted[word] >= least and word != " "]
        kept = [" ", *kept[: None if largest is None else largest - 1]]
        return cls(tuple(sorted(kept, key=lambda word: (-counted[word], word))), unknown, items=items)

    @property
    def has_unknown(self) -> bool:
        """True with `unknown="symbol"`."""
        return self.unknown == "symbol"

    @cached_property
    def symbols_utf8(self) -> tuple[bytes, ...]:
        """Each symbol in UTF-8."""
        return tuple(map(utf8, self.symbols))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.symbols, len(self.specials))}

    def encode(self, source: str) -> Ids:
        """One id for each word, mark or white space `[n]`.

        Raises:
            DataError: `unknown_symbol`, with the words, their number and their places; `surrogate`; `type`.
        """
        utf8(source)
        known = self._ids
        ids: list[int] = []
        strange: Counter[str] = Counter()
        where: list[str] = []
        for match in _TOKEN.finditer(source):
            word = match[0]
            if word not in known and word[0] == " ":
                ids.append(known[" "])
                word = word[1:]
            if word not in known:
                strange[word] += 1
                if len(where) < 5:
                    where.append(f"character {match.end() - len(word)}")
            ids.append(known.get(word, 0))
        if strange and self.unknown_id is None:
            raise unknown_symbols("words", dict(strange), where=where)
        return np.array(ids, dtype=np.int32)

    def settled(self, text: str) -> int:
        """All but a last word, which may go on, or a last space, which may belong to what follows."""
        tokens = _TOKEN.findall(text)
        ends = not tokens or not (tokens[-1] == " " or tokens[-1][-1].isalnum() or tokens[-1][-1] == "_")
        return len(text) if ends else len(text) - len(tokens[-1])

    @property
    def settings(self) -> dict[str, Setting]:
        """What `store` keeps beside tensors."""
        return {"unknown": self.unknown, "items": self.items}

    def store(self) -> Stored:
        """Settings, and the symbols as their joined bytes and the length of each."""
        data = np.frombuffer(b"".join(self.symbols_utf8), dtype=np.uint8)
        lengths = np.array([len(symbol) for symbol in self.symbols_utf8], dtype=np.int64)
        return Stored(self.settings, {"symbols": data, "lengths": lengths})

    @classmethod
    def from_stored(cls, stored: Stored) -> Self:
        """Rebuild from `store`."""
        data, lengths = stored.tensors["symbols"], stored_ints(stored, "lengths")
        if data.dtype != np.uint8 or int(lengths.sum()) != data.size:
            raise ValueError("the lengths of the symbols do not add up to their bytes")
        whole, ends = np.ascontiguousarray(data).data, np.cumsum(lengths).tolist()
        symbols = tuple(str(whole[end - n : end], "utf-8") for end, n in zip(ends, lengths.tolist(), strict=True))
        return cls(symbols, stored.settings["unknown"], items=bool(stored.settings["items"]))  # type: ignore[arg-type]
