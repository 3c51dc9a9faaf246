"""Layer normalisation (Ba, Kiros & Hinton 2016)."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.maps._check import check_positive, features
from ostinato.maps.base import Array, Map, Shape, Weight, Weights


@lean_dataclass(frozen=True)
class LayerNorm(Map):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and variance along the last axis.

    Args:
        epsilon: Added to the variance; 1e-3 is Keras' value, torch uses 1e-5.
    """

    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        check_positive("epsilon", self.epsilon)

    def stepwise(self) -> bool:
        return True

    def weights(self, shape: Shape) -> dict[str, Weight]:
        n = features("layer_norm", shape)
        return {"gamma": Weight((n,), "ones"), "beta": Weight((n,), "zeros")}

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        centred = x - xp.mean(x, axis=-1, keepdims=True)
        variance = xp.mean(centred * centred, axis=-1, keepdims=True)
        return centred / xp.sqrt(variance + self.epsilon) * w["gamma"] + w["beta"]
