"""All axes of a sample in one."""

from __future__ import annotations

import math
from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.errors import ShapeError
from ostinato.maps._check import show
from ostinato.maps.base import Array, Map, Shape, Weights


@lean_dataclass(frozen=True)
class Flatten(Map):
    """(batch, time, features) becomes (batch, time · features); the length must be fixed."""

    def out_shape(self, shape: Shape) -> Shape:
        if None in shape:
            raise ShapeError(
                "flatten must know every size of its input",
                got=f"shape {show(shape)}",
                fix="Give the first layer an input_shape without None, or pool over time instead.",
            )
        return (math.prod(n for n in shape if n is not None),)

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        return xp.reshape(x, (x.shape[0], -1))

    def out_mask(self, xp: Any, x: Array, mask: Array | None) -> Array | None:
        return None
