"""Attention over the states of a sequence."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.maps._check import check_choice, check_flag, sequence
from ostinato.maps.activation import softmax
from ostinato.maps.base import Array, Map, Shape, Weight, Weights


def attend(xp: Any, query: Array, key: Array, value: Array, *, scale: Array | float, mask: Array | None) -> Array:
    """softmax(scale query keyᵀ) value, where masked keys get no weight (Luong et al. 2015, "dot").

    Args:
        query: `[batch, n_queries, features]`.
        key: `[batch, time, features]`.
        value: `[batch, time, any]`.
        scale: Factor of the scores.
        mask: `[batch, time]`, True for real keys; a row without any gets zeros.
    """
    scores = (query @ xp.permute_dims(key, (0, 2, 1))) * scale
    if mask is None:
        return softmax(xp, scores) @ value
    keys = mask[:, None, :]
    weights = softmax(xp, xp.where(keys, scores, xp.zeros_like(scores) - 1e9))
    return xp.where(keys, weights, xp.zeros_like(weights)) @ value


@lean_dataclass(frozen=True)
class Attention(Map):
    """Attention of a sequence over itself: each step's query is compared with all steps, or one learned query with all.

    Args:
        query: "self" gives a sequence of the same length (Keras' `Attention()([x, x])`); "learned" gives a vector, the
            average of the states weighted by a learned query, which is what a classifier over states wants.
        use_scale: Whether the scores are multiplied by a learned number (starts at 1).
    """

    query: str = "self"
    use_scale: bool = False

    def __post_init__(self) -> None:
        check_choice("query", self.query, ("self", "learned"))
        check_flag("use_scale", self.use_scale)

    def weights(self, shape: Shape) -> dict[str, Weight]:
        _, n = sequence("attention", shape)
        w = {"scale": Weight((1,), "ones")} if self.use_scale else {}
        return w | ({"query": Weight((1, n), "glorot_uniform")} if self.query == "learned" else {})

    def out_shape(self, shape: Shape) -> Shape:
        time, n = sequence("attention", shape)
        return (n,) if self.query == "learned" else (time, n)

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        scale = w["scale"] if self.use_scale else 1.0
        if self.query == "self":
            return attend(xp, x, x, x, scale=scale, mask=mask)
        query = xp.broadcast_to(w["query"][None], (x.shape[0], *w["query"].shape))
        return attend(xp, query, x, x, scale=scale, mask=mask)[:, 0]

    def out_mask(self, xp: Any, x: Array, mask: Array | None) -> Array | None:
        return mask if self.query == "self" else None
