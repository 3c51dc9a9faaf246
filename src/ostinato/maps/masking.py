"""Steps that hold only a padding value are marked as not real."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.maps._check import check_number, sequence
from ostinato.maps.base import Array, Map, Shape, Weights


@lean_dataclass(frozen=True)
class Masking(Map):
    """Marks the steps whose features all equal `mask_value`; the layers behind skip them.

    Args:
        mask_value: The padding value.
    """

    mask_value: float = 0.0

    def __post_init__(self) -> None:
        check_number("mask_value", self.mask_value)

    def stepwise(self) -> bool:
        return True

    def out_shape(self, shape: Shape) -> Shape:
        sequence("masking", shape)
        return shape

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        return xp.where(self._real(xp, x)[:, :, None], x, xp.zeros_like(x))

    def out_mask(self, xp: Any, x: Array, mask: Array | None) -> Array | None:
        real = self._real(xp, x)
        return real if mask is None else real & mask

    def _real(self, xp: Any, x: Array) -> Array:
        return xp.any(x != self.mask_value, axis=-1)
