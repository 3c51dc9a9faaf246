"""Training and validation parts of texts and of anything else that has an order or comes in items."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato.data.inputs.text import Texts
from ostinato.errors import ArgumentError, DataError


class SplitTexts(NamedTuple):
    """Two parts of one `Texts`; nothing of one is in the other."""

    train: Texts
    valid: Texts


class SplitItems(NamedTuple):
    """Positions of the items of each part, in rising order."""

    train: NDArray[np.int64]
    valid: NDArray[np.int64]


def split_texts(texts: Texts, *, share: float = 0.1, seed: int = 0) -> SplitTexts:
    """Keep a part for validation: the end of a continuous text, or a seeded draw of items.

    A continuous text is cut at character `floor(n (1 - share))`. Fit vocabularies on the training part only.

    Args:
        texts: What to split.
        share: Part of the characters (continuous text) or of the items that becomes validation.
        seed: Decides which items are drawn; a continuous text needs none.

    Raises:
        ArgumentError: `share` is not above 0 and below 1.
        DataError: `short`, too little text or too few different items for two parts.
    """
    if not texts.stream:
        parts = split_items(texts.items, share=share, seed=seed)
        chosen = [tuple(texts.items[i] for i in part) for part in parts]
        return SplitTexts(*(replace(texts, items=items) for items in chosen))
    text = texts.items[0]
    cut = split_stream(len(text), share=share)
    return SplitTexts(replace(texts, items=(text[:cut],)), replace(texts, items=(text[cut:],)))


def split_stream(length: int, *, share: float = 0.1) -> int:
    """Where the last part begins: positions before it are for training, the rest for validation.

    Args:
        length: Number of positions, at least 2.
        share: Part of them that becomes validation; at least one position.

    >>> split_stream(100)
    90
    """
    _check(share)
    if length < 2:
        raise DataError(
            "a text must have at least 2 characters to be split", got=str(length), fix="Give more text.", code="short"
        )
    return min(max(math.floor(length * (1 - share)), 1), length - 1)


def split_items(items: Sequence[Hashable], *, share: float = 0.1, seed: int = 0) -> SplitItems:
    """Draw items for validation; equal items always stay on one side, so no item that was trained on is tested on.

    Different items are drawn in random order as long as they fit into `share` of all items, their copies counted.

    Args:
        items: What to split, at least two different ones; compared by `==`.
        share: Part of the items that becomes validation; at least one item.
        seed: Decides which; the same seed and items give the same parts.
    """
    _check(share)
    groups: dict[Hashable, list[int]] = {}
    for position, item in enumerate(items):
        groups.setdefault(item, []).append(position)
    if len(groups) < 2:
        raise DataError(
            "there must be at least 2 different items to split", got=str(len(groups)), fix="Give more.", code="short"
        )
    members = list(groups.values())
    order = np.random.default_rng(seed).permutation(len(members)).tolist()
    room = min(max(round(len(items) * share), 1), len(items) - 1)
    drawn = np.zeros(len(items), dtype=bool)
    for group in order:
        if len(members[group]) <= room:
            drawn[members[group]] = True
            room -= len(members[group])
    if not drawn.any():
        drawn[min(members, key=len)] = True
    return SplitItems(np.flatnonzero(~drawn), np.flatnonzero(drawn))


def _check(share: float) -> None:
    if not 0.0 < share < 1.0:
        raise ArgumentError("share must be above 0 and below 1", got=repr(share), fix="Pass for example 0.1.")
