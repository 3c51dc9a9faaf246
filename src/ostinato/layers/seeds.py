"""Where a model's seed comes from when none is given."""

from __future__ import annotations

import secrets
import threading

import numpy as np

from ostinato.errors import ArgumentError

_LOCK = threading.Lock()


class _Source:
    """The stream of seeds that `set_random_seed` starts; fresh entropy before that."""

    def __init__(self) -> None:
        self.root: int | None = None
        self.drawn = 0


_SOURCE = _Source()


def set_random_seed(seed: int) -> None:
    """From now on, models and layers made without a seed get seeds that follow from `seed`, in the order they are made.

    Args:
        seed: A whole number from 0 to 2**32 - 1.
    """
    check_seed(seed)
    with _LOCK:
        _SOURCE.root, _SOURCE.drawn = int(seed), 0


def next_seed() -> int:
    """The next seed: fresh, or the next of the stream that `set_random_seed` began."""
    with _LOCK:
        if _SOURCE.root is None:
            return secrets.randbits(31)
        _SOURCE.drawn += 1
        return int(np.random.default_rng([_SOURCE.root, _SOURCE.drawn]).integers(2**31))


def check_seed(seed: object) -> None:
    """Raise `ArgumentError` unless `seed` is a whole number from 0 to 2**32 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ArgumentError("seed must be a whole number from 0 to 4294967295", got=repr(seed), fix="Pass, say, 0.")
