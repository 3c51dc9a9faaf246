"""Vectors back to scores of symbols."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.maps._check import check_count, features
from ostinato.maps.base import Array, Map, Shape, Weight, Weights


@lean_dataclass(frozen=True)
class Unembedding(Map):
    """y = x tableᵀ + b on the last axis: the score of each symbol is how well its vector fits x.

    `table` has the shape of an embedding's, so that the two may be one weight (tied: Press & Wolf 2017, Inan et al.
    2017): see `Layer(tied=…)`. x must then be as wide as the embedding.

    Args:
        units: Number of symbols.
    """

    units: int

    def __post_init__(self) -> None:
        check_count("units", self.units)

    def weights(self, shape: Shape) -> dict[str, Weight]:
        return {
            "table": Weight((self.units, features("unembedding", shape)), "uniform"),
            "b": Weight((self.units,), "zeros"),
        }

    def stepwise(self) -> bool:
        return True

    def out_shape(self, shape: Shape) -> Shape:
        features("unembedding", shape)
        return (*shape[:-1], self.units)

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        return x @ xp.matrix_transpose(w["table"]) + w["b"]
