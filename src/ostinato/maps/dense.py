"""The affine map of the last axis."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.maps._check import check_count, check_flag, features
from ostinato.maps.activation import FUNCTIONS, check_activation
from ostinato.maps.base import Array, Map, Shape, Weight, Weights


@lean_dataclass(frozen=True)
class Dense(Map):
    """y = f(x W + b) on the last axis; every step of a sequence gets the same weights.

    Args:
        units: Size of the output's last axis.
        activation: Name of f; linear by default, so the output is unbounded.
        use_bias: Whether b exists.
    """

    units: int
    activation: str = "linear"
    use_bias: bool = True

    def __post_init__(self) -> None:
        check_count("units", self.units)
        check_activation(self.activation)
        check_flag("use_bias", self.use_bias)

    def stepwise(self) -> bool:
        return True

    def weights(self, shape: Shape) -> dict[str, Weight]:
        w = {"W": Weight((features("dense", shape), self.units), "glorot_uniform")}
        return w | ({"b": Weight((self.units,), "zeros")} if self.use_bias else {})

    def out_shape(self, shape: Shape) -> Shape:
        features("dense", shape)
        return (*shape[:-1], self.units)

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        y = x @ w["W"]
        return FUNCTIONS[self.activation](xp, y + w["b"] if self.use_bias else y)
