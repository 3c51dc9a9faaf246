"""Bytes of UTF-8: 256 ids for any text in any script, and never an unknown symbol."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Self

import numpy as np

from ostinato._lean_dataclass import lean_dataclass
from ostinato.data.vocabularies._text import TextVocabulary, utf8
from ostinato.data.vocabularies.base import Ids, Setting, Stored


@lean_dataclass(frozen=True)
class Bytes(TextVocabulary):
    """One id for each of the 256 bytes, after the special ones; a Chinese character takes three.

    Args:
        items: There are symbols for the start and the end of an item.

    >>> Bytes().encode("né").tolist()
    [110, 195, 169]
    """

    @classmethod
    def fit(cls, texts: Iterable[str], *, items: bool = False) -> Self:
        """Check that the texts can be encoded; there is nothing to learn."""
        for text in texts:
            utf8(text)
        return cls(items=items)

    @cached_property
    def symbols_utf8(self) -> tuple[bytes, ...]:
        """The 256 bytes."""
        return tuple(bytes([value]) for value in range(256))

    def encode(self, source: str) -> Ids:
        """One id for each byte of the text in UTF-8 `[n]`.

        Raises:
            DataError: `surrogate` or `type`.
        """
        return self.encode_bytes(utf8(source))

    def encode_bytes(self, data: bytes) -> Ids:
        """One id for each byte `[n]`, whether they are a text or half of a character."""
        return np.frombuffer(data, dtype=np.uint8).astype(np.int32) + np.int32(len(self.specials))

    @property
    def settings(self) -> dict[str, Setting]:
        """What `store` keeps beside tensors."""
        return {"items": self.items}

    def store(self) -> Stored:
        """Settings alone."""
        return Stored(self.settings, {})

    @classmethod
    def from_stored(cls, stored: Stored) -> Self:
        """Rebuild from `store`."""
        return cls(items=bool(stored.settings["items"]))
