"""The largest value in each window of time."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.maps._check import check_count, sequence
from ostinato.maps.base import Array, Map, Shape, Weights


@lean_dataclass(frozen=True)
class MaxPooling1D(Map):
    """y_t = max of `pool_size` steps; windows do not overlap, an incomplete last one is dropped.

    For the same reason a window that holds masked steps is masked.

    Args:
        pool_size: Steps per window.
    """

    pool_size: int = 2

    def __post_init__(self) -> None:
        check_count("pool_size", self.pool_size)

    def out_shape(self, shape: Shape) -> Shape:
        time, n = sequence("max_pooling1d", shape)
        return (None if time is None else time // self.pool_size, n)

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        steps = x.shape[1] // self.pool_size
        cut = x[:, : steps * self.pool_size]
        return xp.max(xp.reshape(cut, (x.shape[0], steps, self.pool_size, x.shape[2])), axis=2)

    def out_mask(self, xp: Any, x: Array, mask: Array | None) -> Array | None:
        if mask is None:
            return None
        steps = x.shape[1] // self.pool_size
        return xp.all(xp.reshape(mask[:, : steps * self.pool_size], (x.shape[0], steps, self.pool_size)), axis=2)
