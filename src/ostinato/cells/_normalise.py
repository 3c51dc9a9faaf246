"""Layer normalisation of what a cell sums."""

from __future__ import annotations

from typing import Any

from ostinato.maps.base import Array


def normalised(xp: Any, v: Array, epsilon: float) -> Array:
    """(v - mean) / sqrt(variance + epsilon), mean and variance along the last axis (Ba et al. 2016, equation 3)."""
    centred = v - xp.mean(v, axis=-1, keepdims=True)
    return centred / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + epsilon)
