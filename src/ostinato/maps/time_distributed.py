"""A map applied to every step."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.errors import ArgumentError, ShapeError
from ostinato.maps._check import show
from ostinato.maps.base import Array, Context, Map, Out, Shape, State, Weight, Weights, silence


@lean_dataclass(frozen=True)
class TimeDistributed(Map):
    """Applies one map, with the same weights, to each step of (batch, time, …): steps become rows of a larger batch.

    Args:
        inner: The map.
    """

    inner: Map

    def __post_init__(self) -> None:
        if not isinstance(self.inner, Map):
            raise ArgumentError(
                "time_distributed must hold a layer without state", got=repr(self.inner), fix="Pass, say, Dense(3)."
            )

    def stepwise(self) -> bool:
        return True

    def weights(self, shape: Shape) -> dict[str, Weight]:
        return self.inner.weights(self._step(shape))

    def out_shape(self, shape: Shape) -> Shape:
        return (shape[0], *self.inner.out_shape(self._step(shape)))

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        return self._merge(xp, x, self.inner.formula(xp, w, self._rows(xp, x), None))

    def apply(self, ctx: Context, w: Weights, x: Array, *, mask: Array | None = None, state: State = ()) -> Out:
        if mask is not None:
            x = silence(ctx.xp, x, mask)
        y = self.inner.apply(ctx, w, self._rows(ctx.xp, x)).y
        return Out(self._merge(ctx.xp, x, y), mask, ())

    @staticmethod
    def _rows(xp: Any, x: Array) -> Array:
        return xp.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))

    @staticmethod
    def _merge(xp: Any, x: Array, y: Array) -> Array:
        return xp.reshape(y, (x.shape[0], x.shape[1], *y.shape[1:]))

    @staticmethod
    def _step(shape: Shape) -> Shape:
        if len(shape) < 2:
            raise ShapeError(
                "time_distributed must get sequences of shape (batch, time, …)",
                got=f"shape {show(shape)}",
                fix="Set return_sequences=True in the layer before it.",
            )
        return shape[1:]
