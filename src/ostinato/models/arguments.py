"""Arguments of `fit`, `evaluate` and `predict`, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ostinato import train
from ostinato.errors import ArgumentError, DataError


def refuse_unknown(method: str, unknown: Mapping[str, object]) -> None:
    """Raise `ArgumentError` if a method got keywords that it does not have."""
    if unknown:
        raise ArgumentError(
            f"{method} must get arguments that it has",
            got=", ".join(f"{k}={v!r}" for k, v in unknown.items()),
            fix="Remove or rename it; it is never ignored.",
            code="unknown_argument",
        )


def need_targets(method: str, x: object, y: object) -> None:
    """Raise `ArgumentError` without targets: for data sets, loaders and generators, which hold them, too."""
    if y is None:
        raise ArgumentError(
            f"{method} must get x and y, as arrays, tensors, data frames or lists",
            got=f"{type(x).__name__} and no y",
            fix="Pass both: of a loader, x, y = map(torch.cat, zip(*loader)). What is to be read while a model trains "
            "is for a Feed and ostinato.train.train.",
        )


def verbosity(verbose: object) -> int:
    """0, 1 or 2 for what Keras users pass as `verbose`."""
    if verbose == "auto":
        return 1
    if isinstance(verbose, int) and verbose in (0, 1, 2):
        return int(verbose)
    raise ArgumentError("verbose must be 0, 1, 2 or 'auto'", got=repr(verbose), fix="Choose one of them.")


def pair(data: Sequence[Any]) -> Sequence[Any]:
    """(x, y) or (x, y, sample_weight), checked."""
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise ArgumentError(
            "validation_data must be (x, y) or (x, y, sample_weight)",
            got=f"{type(data).__name__} of {len(data)}" if isinstance(data, (tuple, list)) else type(data).__name__,
            fix="Pass a tuple.",
        )
    return data


def split(samples: train.Arrays, share: float) -> tuple[train.Arrays, train.Arrays]:
    """Cut off the last rows, as Keras does, before anything is shuffled."""
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0.0 < share < 1.0:
        raise ArgumentError("validation_split must be above 0 and below 1", got=repr(share), fix="Pass, say, 0.2.")
    cut = int(len(samples) * (1.0 - share))
    if cut in (0, len(samples)):
        raise DataError(
            "validation_split must leave rows on both sides",
            got=f"{cut} of {len(samples)} rows for training",
            fix="Pass more data or another share.",
            code="short",
        )
    first, last = torch.arange(cut), torch.arange(cut, len(samples))
    return train.Arrays(*samples.batch(first)), train.Arrays(*samples.batch(last))
