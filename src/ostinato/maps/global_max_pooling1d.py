"""The largest value of each feature over a sequence."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.maps._check import sequence
from ostinato.maps.base import Array, Map, Shape, Weights


@lean_dataclass(frozen=True)
class GlobalMaxPooling1D(Map):
    """y = max of x over time; masked steps do not count, a sequence without real steps gives zeros."""

    def out_shape(self, shape: Shape) -> Shape:
        return (sequence("global_max_pooling1d", shape)[1],)

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        if mask is None:
            return xp.max(x, axis=1)
        real = mask[:, :, None]
        lowest = xp.min(x, axis=1, keepdims=True)
        some = xp.any(real, axis=1)
        y = xp.max(xp.where(real, x, lowest), axis=1)
        return xp.where(some, y, xp.zeros_like(y))

    def out_mask(self, xp: Any, x: Array, mask: Array | None) -> Array | None:
        return None
