"""The mean of a sequence over its real steps."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.maps._check import sequence
from ostinato.maps.base import Array, Map, Shape, Weights


@lean_dataclass(frozen=True)
class GlobalAveragePooling1D(Map):
    """y = mean of x over time; masked steps do not count, a sequence without real steps gives zeros."""

    def out_shape(self, shape: Shape) -> Shape:
        return (sequence("global_average_pooling1d", shape)[1],)

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        if mask is None:
            return xp.mean(x, axis=1)
        real = xp.astype(mask, x.dtype)[:, :, None]
        count = xp.sum(real, axis=1)
        return xp.sum(x * real, axis=1) / xp.where(count > 0, count, xp.ones_like(count))

    def out_mask(self, xp: Any, x: Array, mask: Array | None) -> Array | None:
        return None
