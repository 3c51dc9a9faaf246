"""Another shape for the same numbers."""

from __future__ import annotations

import math
from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.errors import ArgumentError, ShapeError
from ostinato.maps._check import check_count, show
from ostinato.maps.base import Array, Map, Shape, Weights


@lean_dataclass(frozen=True)
class Reshape(Map):
    """Gives each sample the shape `target_shape`, in the same order of numbers.

    Args:
        target_shape: The new shape without the batch axis.
    """

    target_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.target_shape, tuple):
            raise ArgumentError("target_shape must be a tuple", got=repr(self.target_shape), fix="Pass, say, (4, 2).")
        for n in self.target_shape:
            check_count("target_shape", n)

    def out_shape(self, shape: Shape) -> Shape:
        if None not in shape and math.prod(n for n in shape if n is not None) != math.prod(self.target_shape):
            raise ShapeError(
                f"reshape must get {math.prod(self.target_shape)} numbers a sample",
                got=f"shape {show(shape)}",
                fix="Make the product of target_shape equal the product of the input's sizes.",
            )
        return self.target_shape

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        return xp.reshape(x, (x.shape[0], *self.target_shape))

    def out_mask(self, xp: Any, x: Array, mask: Array | None) -> Array | None:
        return None
