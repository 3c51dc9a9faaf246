"""Characters: one id for each Unicode code point that the training text has; any script works."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.data.vocabularies._text import (
    TextVocabulary,
    check_least,
    check_policy,
    codes,
    unknown_symbols,
    utf8,
)
from ostinato.data.vocabularies.base import Ids, Setting, Stored, stored_ints
from ostinato.errors import ArgumentError, DataError


@lean_dataclass(frozen=True)
class Characters(TextVocabulary):
    r"""One id for each character, in order of code points, after the special ones. Nothing is normalised.

    Args:
        symbols: The characters, sorted, each once.
        unknown: "error" refuses other characters; "symbol" gives them all one id, decoded as U+FFFD.
        items: There are symbols for the start and the end of an item.

    >>> v = Characters.fit(["hello"])
    >>> v.symbols, v.encode("hole").tolist(), v.decode([1, 0, 2, 2, 3])
    ('ehlo', [1, 3, 2, 0], 'hello')
    """

    symbols: str
    unknown: Literal["error", "symbol"] = "error"

    tensor_axes = {"codes": 1}

    def __post_init__(self) -> None:
        check_policy(self.unknown)
        utf8(self.symbols)
        if not self.symbols or any(a >= b for a, b in pairwise(self.symbols)):
            raise ArgumentError(
                "symbols must be sorted characters, each once", got=repr(self.symbols[:40]), fix="Use Characters.fit."
            )

    @classmethod
    def fit(
        cls,
        texts: Iterable[str],
        *,
        unknown: Literal["error", "symbol"] = "error",
        items: bool = False,
        least: int = 1,
    ) -> Self:
        """Learn the characters of the training texts.

        Args:
            texts: The training part; one string for continuous text.
            unknown: What `encode` does with characters that are not learnt.
            items: Add symbols for the start and the end of an item.
            least: Characters that occur less often are not learnt; above 1 only with `unknown="symbol"`, whose id then
                occurs in training.
        """
        check_policy(unknown)
        check_least("least", least, 1)
        _check_rare(unknown, least)
        counted: dict[int, int] = {}
        for text in texts:
            found, counts = np.unique(codes(text), return_counts=True)
            for code, count in zip(found.tolist(), counts.tolist(), strict=True):
                counted[code] = counted.get(code, 0) + count
        kept = sorted(code for code, count in counted.items() if count >= least)
        if not kept:
            raise DataError("there must be characters to learn", got="none", fix="Give more text.", code="empty")
        return cls("".join(map(chr, kept)), unknown, items=items)

    @property
    def has_unknown(self) -> bool:
        """True with `unknown="symbol"`."""
        return self.unknown == "symbol"

    @cached_property
    def _codes(self) -> NDArray[np.int64]:
        return codes(self.symbols)

    @cached_property
    def symbols_utf8(self) -> tuple[bytes, ...]:
        """Each character in UTF-8."""
        return tuple(symbol.encode() for symbol in self.symbols)

    def encode(self, source: str) -> Ids:
        """One id for each character `[n]`.

        Raises:
            DataError: `unknown_symbol`, with the characters, their number and their places; `surrogate`; `type`.
        """
        given = codes(source)
        place = np.minimum(np.searchsorted(self._codes, given), len(self._codes) - 1)
        strange = self._codes[place] != given
        ids = place + len(self.specials)
        if strange.any():
            if self.unknown_id is None:
                found, counts = np.unique(given[strange], return_counts=True)
                where = [f"character {i}" for i in np.flatnonzero(strange)[:5]]
                counted = {chr(code): int(count) for code, count in zip(found, counts, strict=True)}
                raise unknown_symbols("characters", counted, where=where)
            ids[strange] = self.unknown_id
        return ids.astype(np.int32)

    def encode_each(self, sources: Sequence[str]) -> list[Ids]:
        """The ids of several texts, each by itself, from one pass over all of them."""
        ends = np.cumsum([len(source) for source in sources]).tolist()
        ids = self.encode("".join(sources))
        return [ids[a:b] for a, b in pairwise([0, *ends])]

    @property
    def settings(self) -> dict[str, Setting]:
        """What `store` keeps beside tensors."""
        return {"unknown": self.unknown, "items": self.items}

    def store(self) -> Stored:
        """Settings, and the code points as a tensor."""
        return Stored(self.settings, {"codes": self._codes})

    @classmethod
    def from_stored(cls, stored: Stored) -> Self:
        """Rebuild from `store`."""
        given = stored_ints(stored, "codes").tolist()
        settings = stored.settings
        return cls("".join(map(chr, given)), settings["unknown"], items=bool(settings["items"]))  # type: ignore[arg-type]


def _check_rare(unknown: str, least: int) -> None:
    if least > 1 and unknown == "error":
        raise ArgumentError(
            'least must be 1 with unknown="error", since the training text itself must be encodable',
            got=str(least),
            fix='Pass unknown="symbol".',
        )
