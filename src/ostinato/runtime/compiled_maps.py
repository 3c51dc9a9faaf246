"""Layers without state on NumPy arrays by compiled code: a row has the same bits in any batch, and in a stream."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from ostinato.errors import ShapeError
from ostinato.maps.activation import Activation
from ostinato.maps.base import Array, Part, Weights
from ostinato.maps.dense import Dense
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.maps.unembedding import Unembedding
from ostinato.runtime import native

_LARGE = 1_000_000
"""Multiplications from which on several threads are of use."""

RowMap = Callable[[Array], Array]
"""From float32 `[..., features]` to a new array `[..., units]`."""


class Affine:
    """f(x W + b), the weights packed once. The compiled kernels must be there.

    Args:
        part: A layer for which `why_not` gives None.
        w: Its weights; later changes have no effect.

    Raises:
        ShapeError: The bias does not fit the matrix.
    """

    def __init__(self, part: Dense | Unembedding, w: Weights) -> None:
        main = np.ascontiguousarray(w["W"] if isinstance(part, Dense) else w["table"].T, np.float32)
        bias = np.ascontiguousarray(w["b"], np.float32) if "b" in w else None
        self.features, self.units = main.shape
        if bias is not None and bias.shape != (self.units,):
            raise ShapeError(
                f"the weight b of {type(part).__name__} must be ({self.units},)",
                got=str(bias.shape),
                fix="Pass the weights of this layer.",
            )
        at = (native.address(main), native.address(bias))
        self.packed = native.module().Affine(native.engine(), self.features, self.units, *at)
        self._function = native.FUNCTIONS.index(part.activation if isinstance(part, Dense) else "linear")

    def __call__(self, x: Array) -> Array:
        """`[..., units]` for `x [..., features]`."""
        rows = np.ascontiguousarray(x).reshape(-1, self.features)
        y = np.empty((*x.shape[:-1], self.units), np.float32)
        large = len(rows) * self.features * self.units > _LARGE
        self.packed.apply(rows, y, len(rows), self._function, native.threads(os.cpu_count() or 1) if large else 1)
        return y


def why_not(part: Part) -> str | None:
    """None if there is compiled code for this layer, else the reason, beginning with a lower-case letter."""
    if isinstance(part, TimeDistributed):
        return why_not(part.inner)
    if isinstance(part, (Dense, Activation)):
        known = part.activation in native.FUNCTIONS
        return None if known else f"no native code for the activation {part.activation!r}"
    return None if isinstance(part, (LayerNorm, Unembedding)) else "no native code"


def row_map(part: Part, w: Weights) -> RowMap:
    """What computes a layer for which `why_not` gives None."""
    if isinstance(part, TimeDistributed):
        return row_map(part.inner, w)
    if isinstance(part, (Dense, Unembedding)):
        return Affine(part, w)
    if isinstance(part, LayerNorm):
        return _normaliser(part, w)
    assert isinstance(part, Activation)
    return _activator(part)


def _activator(part: Activation) -> RowMap:
    function = native.FUNCTIONS.index(part.activation)

    def activate(x: Array) -> Array:
        y = np.array(x, np.float32, order="C")
        native.module().activate(native.engine(), function, y, y.size // y.shape[-1], y.shape[-1])
        return y

    return activate


def _normaliser(part: LayerNorm, w: Weights) -> RowMap:
    gamma, beta = (np.ascontiguousarray(w[name], np.float32) for name in ("gamma", "beta"))

    def normalise(x: Array) -> Array:
        y = np.array(x, np.float32, order="C")
        size = (y.size // y.shape[-1], y.shape[-1])
        native.module().normalise(native.engine(), gamma, beta, part.epsilon, y, *size)
        return y

    return normalise
