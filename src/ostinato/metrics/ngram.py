"""The naive rival of a language model: how often did this symbol follow the last few?"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.errors import ArgumentError, DataError, ShapeError
from ostinato.metrics.paired import Floats

_Whole = NDArray[np.int64]


class _Level(NamedTuple):
    """All n-grams of one length k, sorted.

    Args:
        keys: `[m]`, number of the first k - 1 symbols in the level below, times the symbols there are, plus the last.
        left: `[m]`, count of the n-gram after its discount.
        total: `[c]`, count of all n-grams that begin with each context; 0 for a context that only ends the text.
        freed: `[c]`, what the discounts took from them.
    """

    keys: _Whole
    left: Floats
    total: Floats
    freed: Floats


@lean_dataclass(frozen=True, eq=False)
class NGram:
    """Interpolated n-grams with modified Kneser–Ney discounts (Chen & Goodman 1999, section 3).

    The probability of a symbol is its discounted share after the last k - 1 symbols, and what the discounts freed goes
    to the estimate of the next shorter context, down to one of equal shares; so no symbol has probability 0. Shorter
    contexts count in how many different places a symbol occurs, not how often. About a second for a million symbols.

    Args:
        size: Number of different symbols that there can be.
        levels: One for each length of n-grams, shortest first.
    """

    size: int
    levels: tuple[_Level, ...]

    @classmethod
    def fit(cls, ids: ArrayLike, *, size: int, order: int = 5, lengths: ArrayLike | None = None) -> Self:
        """Count the n-grams of the training part.

        Args:
            ids: `[n]`, symbols `0 … size - 1`.
            size: Number of different symbols that there can be.
            order: Longest n-gram, 1 to 16; a context is one symbol shorter.
            lengths: Lengths of the items that `ids` consists of, one after the other; no n-gram spans two. None: one.

        Raises:
            ArgumentError: `order` or `size` is out of range.
            DataError: `empty`, `dtype` or `id`.
            ShapeError: `lengths` do not add up.
        """
        if not 1 <= order <= 16 or not 1 <= size < 2**31:
            raise ArgumentError(
                "order must be 1 to 16 and size 1 to 2**31 - 1", got=f"order={order!r}, size={size!r}", fix="Pass 5."
            )
        symbols, place = _placed(ids, size, lengths)
        counted: list[tuple[_Whole, _Whole, int]] = []
        now = np.zeros(len(symbols), dtype=np.int64)
        contexts = 1
        for k in range(1, order + 1):
            at = np.flatnonzero(place >= k - 1)
            if at.size == 0:
                break
            before = now[at - 1] if k > 1 else now[at]
            keys, first, inverse, counts = np.unique(
                before * size + symbols[at], return_index=True, return_inverse=True, return_counts=True
            )
            if counted:
                shorter, _, below = counted[-1]
                places = np.bincount(now[at[first]], minlength=len(shorter))
                counted[-1] = shorter, np.maximum(places, 1), below
            counted.append((keys, counts, contexts))
            now = np.full(len(symbols), -1, dtype=np.int64)
            now[at] = inverse
            contexts = len(keys)
        return cls(size, tuple(_level(keys, counts, size, below) for keys, counts, below in counted))

    def surprise(self, ids: ArrayLike, *, lengths: ArrayLike | None = None) -> Floats:
        """Nats `[n]` that each symbol cost; the first of an item or text have shorter contexts.

        Args:
            ids: `[n]`, symbols `0 … size - 1`, of validation or test.
            lengths: Lengths of the items that `ids` consists of; None: one.
        """
        symbols, place = _placed(ids, self.size, lengths)
        chance = np.full(len(symbols), 1.0 / self.size)
        context = np.zeros(len(symbols), dtype=np.int64)
        for k, level in enumerate(self.levels, 1):
            if k > 1:
                context = np.concatenate([[-1], context[:-1]])
                context[place < k - 1] = -1
            chance, context = _interpolated(level, self.size, context, symbols, chance)
        nats: Floats = -np.log(chance)
        return nats

    def probabilities(self, context: ArrayLike) -> Floats:
        """Probability of each symbol `[size]` after `context [n]`, of which the last `order - 1` count."""
        given = np.asarray(context, dtype=np.int64)
        every = np.arange(self.size, dtype=np.int64)
        chance = np.full(self.size, 1.0 / self.size)
        for k, level in enumerate(self.levels, 1):
            if len(given) < k - 1:
                break
            number = 0
            for below, symbol in zip(self.levels, given[len(given) - k + 1 :].tolist(), strict=False):
                number = int(_find(below.keys, np.array([number * self.size + symbol]))[0]) if number >= 0 else -1
            chance, _ = _interpolated(level, self.size, np.full(self.size, number), every, chance)
        return chance


def _level(keys: _Whole, counts: _Whole, size: int, contexts: int) -> _Level:
    discount = _discounts(counts)[np.minimum(counts, 3) - 1]
    context = keys // size
    total: Floats = np.bincount(context, weights=counts, minlength=contexts).astype(np.float64)
    freed: Floats = np.bincount(context, weights=discount, minlength=contexts).astype(np.float64)
    return _Level(keys, counts - discount, total, freed)


def _discounts(counts: _Whole) -> Floats:
    """What is taken from counts of 1, 2 and 3 or more (Chen & Goodman 1999, equation 17), kept inside sensible limits.

    Where so few n-grams are rare that the estimates do not exist, one discount for all (Ney, Essen & Kneser 1994), or
    one half.
    """
    n1, n2, n3, n4 = (int((counts == c).sum()) for c in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2) if n1 else 0.5
    if n1 and n2 and n3:
        found = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
    else:
        found = [y, y, y]
    return np.clip(found, 0.05, [0.95, 1.9, 2.9])


def _interpolated(level: _Level, size: int, context: _Whole, symbols: _Whole, lower: Floats) -> tuple[Floats, _Whole]:
    """Probability at this level and the number of each n-gram; -1 and `lower` where a context or n-gram is unknown."""
    known = context >= 0
    known[known] = level.total[context[known]] > 0
    numbers = np.full(len(symbols), -1, dtype=np.int64)
    numbers[known] = _find(level.keys, context[known] * size + symbols[known])
    hit = numbers >= 0
    share = np.zeros(len(symbols))
    share[hit] = level.left[numbers[hit]]
    chance = lower.copy()
    at = context[known]
    chance[known] = (share[known] + level.freed[at] * lower[known]) / level.total[at]
    return chance, numbers


def _find(keys: _Whole, wanted: _Whole) -> _Whole:
    """The position of each number in the sorted `keys`, or -1."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, at, -1)


def _placed(ids: ArrayLike, size: int, lengths: ArrayLike | None) -> tuple[_Whole, _Whole]:
    """The checked symbols, and the place of each inside its item."""
    symbols = np.asarray(ids)
    if symbols.ndim != 1 or symbols.dtype.kind not in "iu":
        fault = f"dtype {symbols.dtype}, shape {symbols.shape}"
        raise DataError("ids must be whole numbers [n]", got=fault, fix="Pass one sequence of integers.", code="dtype")
    if symbols.size == 0:
        raise DataError("there must be symbols", got="none", fix="Give a longer text.", code="empty")
    if symbols.min() < 0 or symbols.max() >= size:
        bad = np.flatnonzero((symbols < 0) | (symbols >= size))
        raise DataError(
            f"ids must lie in 0 … {size - 1}",
            got=str(symbols[bad[0]]),
            fix="Pass ids of one vocabulary and its size.",
            where=[f"position {i}" for i in bad[:5]],
            count=int(bad.size),
            code="id",
        )
    parts = np.array([len(symbols)]) if lengths is None else np.asarray(lengths, dtype=np.int64)
    if parts.ndim != 1 or (parts < 0).any() or parts.sum() != len(symbols):
        raise ShapeError(
            "lengths must be [items], at least 0, and add up to the number of ids",
            got=f"a sum of {parts.sum()} for {len(symbols)} ids",
            fix="Pass the length of each item.",
        )
    begins = np.repeat(np.cumsum(parts) - parts, parts)
    return symbols.astype(np.int64), np.arange(len(symbols)) - begins
