"""Runs a saved stack of layers on NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.maps.base import Array, Part, Shape, State, Weight, Weights
from ostinato.runtime.arrays import CONTEXT


def expected(parts: Sequence[Part], shape: Shape) -> list[dict[str, Weight]]:
    """The weights that each part needs for inputs of `shape` (no batch axis)."""
    needed = []
    for part in parts:
        needed.append(part.weights(shape))
        shape = part.out_shape(shape)
    return needed


class Machine:
    """A stack of parts with their weights.

    Args:
        parts: The layers, first one first.
        weights: One mapping a layer.
    """

    def __init__(self, parts: Sequence[Part], weights: Sequence[Weights]) -> None:
        self.parts, self.weights = tuple(parts), tuple(weights)

    def run(
        self, x: Array, *, mask: Array | None = None, states: Sequence[State] = ()
    ) -> tuple[Array, tuple[State, ...]]:
        """Compute the whole stack on `x [batch, *input_shape]`; returns the output and each layer's final states."""
        states = states or ((),) * len(self.parts)
        final = []
        for part, w, state in zip(self.parts, self.weights, states, strict=True):
            x, mask, state = part.apply(CONTEXT, w, x, mask=mask, state=state)
            final.append(state)
        return x, tuple(final)


def stacked(members: Sequence[Sequence[Weights]]) -> list[dict[str, Array]]:
    """The weights of networks of one shape as one list: with a first axis for the networks if there are several."""
    if len(members) == 1:
        return [dict(w) for w in members[0]]
    return [{name: np.stack([m[i][name] for m in members]) for name in w} for i, w in enumerate(members[0])]


def unstacked(weights: Sequence[Weights], members: int) -> tuple[list[dict[str, Array]], ...]:
    """The inverse of `stacked`."""
    if members == 1:
        return ([dict(w) for w in weights],)
    return tuple([{name: value[k] for name, value in w.items()} for w in weights] for k in range(members))
