"""A price on large and on fast-changing activity (Merity et al. 2017)."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.maps._check import check_size, sequence
from ostinato.maps.base import Array, Context, Map, Out, Shape, State, Weights, silence


@lean_dataclass(frozen=True)
class ActivityPenalty(Map):
    """The identity, which in training adds alpha · mean(x²) + beta · mean((x_t - x_{t-1})²) to the loss.

    Behind a recurrent layer of any cell it keeps h small and slow ("AR" and "TAR"). Means run over all real numbers of
    `(batch, time, features)`; a pair of steps counts if both are real.

    Args:
        alpha: Price of size; 2 in the paper.
        beta: Price of change; 1 in the paper.
    """

    alpha: float = 0.0
    beta: float = 0.0

    def __post_init__(self) -> None:
        check_size("alpha", self.alpha)
        check_size("beta", self.beta)

    def stepwise(self) -> bool:
        return True

    def out_shape(self, shape: Shape) -> Shape:
        sequence("activity_penalty", shape)
        return shape

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        return x

    def apply(self, ctx: Context, w: Weights, x: Array, *, mask: Array | None = None, state: State = ()) -> Out:
        if mask is not None:
            x = silence(ctx.xp, x, mask)
        if ctx.charge is not None:
            ctx.charge(self._price(ctx.xp, x, mask))
        return Out(x, mask, ())

    def _price(self, xp: Any, x: Array, mask: Array | None) -> Array:
        steps = x[:, 1:] - x[:, :-1]
        if mask is None:
            change = xp.mean(steps * steps) if steps.shape[1] else 0.0
            return self.alpha * xp.mean(x * x) + self.beta * change
        pairs = xp.astype(mask[:, 1:] & mask[:, :-1], x.dtype)
        change = xp.sum(xp.sum(steps * steps, axis=-1) * pairs) / _count(xp, pairs, x)
        return self.alpha * xp.sum(x * x) / _count(xp, xp.astype(mask, x.dtype), x) + self.beta * change


def _count(xp: Any, real: Array, x: Array) -> Array:
    return xp.clip(xp.sum(real), 1.0, None) * x.shape[2]
