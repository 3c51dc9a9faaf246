"""Layer normalisation of what a cell sums."""

from __future__ import annotations

import math
from typing import Any

from ostinato.errors import ArgumentError
from ostinato.maps.base import Array


def normalised(xp: Any, v: Array, epsilon: float) -> Array:
    """(v - mean) / sqrt(variance + epsilon), mean and variance along the last axis (Ba et al. 2016, equation 3)."""
    centred = v - xp.mean(v, axis=-1, keepdims=True)
    return centred / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + epsilon)


def check_epsilon(epsilon: float) -> None:
    """Raise `ArgumentError` unless `epsilon` is a positive number."""
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float)) or not 0.0 < epsilon < math.inf:
        raise ArgumentError("epsilon must be a positive number", got=repr(epsilon), fix="Pass, say, 1e-5.")
