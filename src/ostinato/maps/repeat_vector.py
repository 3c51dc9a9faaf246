"""One vector, once per step."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.errors import ShapeError
from ostinato.maps._check import check_count, features, show
from ostinato.maps.base import Array, Map, Shape, Weights


@lean_dataclass(frozen=True)
class RepeatVector(Map):
    """y_t = x for t = 1 … n: what hands an encoder's last state to a decoder at every step.

    Args:
        n: Number of steps.
    """

    n: int

    def __post_init__(self) -> None:
        check_count("n", self.n)

    def out_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise ShapeError(
                "repeat_vector must get vectors of shape (batch, features)",
                got=f"shape {show(shape)}",
                fix="Set return_sequences=False in the layer before it.",
            )
        return (self.n, features("repeat_vector", shape))

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        return xp.stack([x] * self.n, axis=1)

    def out_mask(self, xp: Any, x: Array, mask: Array | None) -> Array | None:
        return None
