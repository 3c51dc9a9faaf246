"""Dropout (Srivastava et al. 2014)."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.maps._check import check_flag, check_rate
from ostinato.maps.base import Array, Context, Map, Out, State, Weights


@lean_dataclass(frozen=True)
class Dropout(Map):
    """In training, zeroes each number with probability `rate` and divides the others by 1 - rate; else the identity.

    Args:
        rate: Share of zeroed numbers.
        over_time: If True all steps of a sequence share their noise (what Keras calls `SpatialDropout1D`).
    """

    rate: float
    over_time: bool = False

    def __post_init__(self) -> None:
        check_rate("rate", self.rate)
        check_flag("over_time", self.over_time)

    def stepwise(self) -> bool:
        return True

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        return x

    def apply(self, ctx: Context, w: Weights, x: Array, *, mask: Array | None = None, state: State = ()) -> Out:
        if ctx.drop is not None and self.rate > 0.0:
            x = ctx.drop(x, self.rate, (1,) if self.over_time else ())
        return Out(x, mask, ())
