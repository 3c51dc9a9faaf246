"""Whole numbers to vectors."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.maps._check import check_count, check_flag
from ostinato.maps.base import Array, Map, Shape, Weight, Weights


@lean_dataclass(frozen=True)
class Embedding(Map):
    """y = table[x]: each whole number in [0, input_dim) becomes a learned vector.

    Args:
        input_dim: Number of different symbols.
        output_dim: Length of the vectors.
        mask_zero: If True, symbol 0 is padding: the layers behind skip those steps.
    """

    input_dim: int
    output_dim: int
    mask_zero: bool = False

    def __post_init__(self) -> None:
        check_count("input_dim", self.input_dim)
        check_count("output_dim", self.output_dim)
        check_flag("mask_zero", self.mask_zero)

    def stepwise(self) -> bool:
        return True

    def weights(self, shape: Shape) -> dict[str, Weight]:
        return {"table": Weight((self.input_dim, self.output_dim), "uniform")}

    def out_shape(self, shape: Shape) -> Shape:
        return (*shape, self.output_dim)

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        ids = xp.reshape(xp.astype(x, xp.int64), (-1,))
        return xp.reshape(xp.take(w["table"], ids, axis=0), (*x.shape, self.output_dim))

    def out_mask(self, xp: Any, x: Array, mask: Array | None) -> Array | None:
        if not self.mask_zero:
            return mask
        real = x != 0
        return real if mask is None else real & mask
