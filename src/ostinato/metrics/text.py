"""Metrics of models that predict the next symbol, all from one number a symbol: its surprise, `-ln p`, in nats."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ostinato.errors import ArgumentError, DataError, ShapeError
from ostinato.metrics.paired import Floats, numbers

_ROWS = 1 << 22
"""Most numbers that `surprise` holds in float64 at once."""


def surprise(scores: ArrayLike, ids: ArrayLike) -> Floats:
    """Nats `[n]` that each symbol cost: minus the logarithm of the probability that it was given.

    Args:
        scores: `[n, symbols]`, logits or log-probabilities (probabilities would be wrong); -inf is probability 0.
        ids: `[n]`, the symbol that came, `0 … symbols - 1`.

    Raises:
        ShapeError: `scores` is not `[n, symbols]` or `ids` not `[n]`.
        DataError: `dtype`, `id` (out of range) or `nonfinite` (NaN, +inf, or a row without any probability).

    >>> surprise([[0.0, 0.0]], [1]).round(4).tolist()
    [0.6931]
    """
    table, symbols = np.asarray(scores), np.asarray(ids)
    if table.ndim != 2 or symbols.shape != table.shape[:1]:
        raise ShapeError(
            "scores must be [n, symbols] and ids [n]",
            got=f"shapes {table.shape} and {symbols.shape}",
            fix="Give one row of scores for each id.",
        )
    if symbols.dtype.kind not in "iu" or table.dtype.kind != "f":
        raise DataError(
            "scores must be floats and ids whole numbers",
            got=f"{table.dtype} and {symbols.dtype}",
            fix="Convert them.",
            code="dtype",
        )
    bad = np.flatnonzero((symbols < 0) | (symbols >= table.shape[1]))
    if bad.size:
        raise DataError(
            f"ids must lie in 0 … {table.shape[1] - 1}",
            got=str(symbols[bad[0]]),
            fix="Encode the text with the vocabulary of the model.",
            where=[f"position {i}" for i in bad[:5]],
            count=int(bad.size),
            code="id",
        )
    nats = np.empty(len(table))
    rows = max(_ROWS // max(table.shape[1], 1), 1)
    for start in range(0, len(table), rows):
        part = table[start : start + rows].astype(np.float64)
        top = part.max(axis=1, keepdims=True)
        if not np.isfinite(top).all():
            row = start + int(np.flatnonzero(~np.isfinite(top[:, 0]))[0])
            raise DataError(
                "every row of scores must have a finite largest value",
                got=str(top[row - start, 0]),
                fix="Look for NaN in the model's output.",
                where=f"row {row}",
                code="nonfinite",
            )
        total = np.log(np.exp(part - top).sum(axis=1)) + top[:, 0]
        nats[start : start + rows] = total - part[np.arange(len(part)), symbols[start : start + rows]]
    return np.maximum(nats, 0.0)


def perplexity(nats: ArrayLike) -> float:
    """`exp` of the mean surprise: as unsure as between so many equally likely symbols; infinite from 710 nats on.

    It depends on what a symbol is, so it compares models of one vocabulary only.

    Args:
        nats: Surprise of each symbol, any shape.

    >>> perplexity([math.log(4.0)] * 3)
    4.0
    """
    mean = float(_checked(nats).mean())
    return math.exp(mean) if mean < 709.0 else math.inf


def bits_per_token(nats: ArrayLike) -> float:
    """Mean surprise in bits.

    Args:
        nats: Surprise of each symbol, any shape.
    """
    return float(_checked(nats).mean()) / math.log(2.0)


def bits_per_character(nats: ArrayLike, characters: int) -> float:
    """All surprise in bits, over the characters of the text: comparable between any vocabularies.

    Args:
        nats: Surprise of each symbol, any shape.
        characters: How many characters (code points) the text has that these symbols stand for.

    >>> bits_per_character([math.log(8.0), math.log(2.0)], 4)
    1.0
    """
    return _per(nats, "characters", characters)


def bits_per_byte(nats: ArrayLike, size: int) -> float:
    """All surprise in bits, over the bytes of the text in UTF-8: comparable with compressors.

    Args:
        nats: Surprise of each symbol, any shape.
        size: How many bytes the text has.
    """
    return _per(nats, "size", size)


def _per(nats: ArrayLike, name: str, count: int) -> float:
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
        raise ArgumentError(
            f"{name} must be a whole number of at least 1", got=repr(count), fix="Pass the length of the text."
        )
    return float(_checked(nats).sum()) / math.log(2.0) / int(count)


def _checked(nats: ArrayLike) -> Floats:
    values = numbers("nats", nats)
    if values.size == 0:
        raise DataError("there must be symbols to measure", got="none", fix="Give a longer text.", code="empty")
    if np.isnan(values).any() or values.min() < 0.0:
        raise DataError(
            "surprise must be at least 0",
            got="NaN" if np.isnan(values).any() else f"{values.min():g}",
            fix="Pass -ln p of each symbol; probabilities of classes cannot exceed 1.",
            code="negative",
        )
    return values
