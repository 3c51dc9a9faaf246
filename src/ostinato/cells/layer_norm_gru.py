"""The GRU with layer normalisation (Ba et al. 2016)."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.cells._normalise import normalised
from ostinato.cells.base import Cell
from ostinato.maps._check import check_positive
from ostinato.maps.base import Array, State, Weight


@lean_dataclass(frozen=True)
class LayerNormGRU(Cell):
    """h_t = (1 - z) h_{t-1} + z tanh(X_n + r H_n), with r, z = sigmoid(X + H).

    X = gain_x N(x_t W) + b and H = gain_h N(h_{t-1} U) + b_rec, where N is the layer normalisation, of r and z together
    and of n by itself (Ba et al. 2016, equations 23 to 25: the reset gate acts after the product). No fast kernel
    trains it: it runs step by step; in use it has compiled steps.

    Args:
        units: Size of h.
        epsilon: Added to the variances.
    """

    epsilon: float = 1e-5

    gates = ("r", "z", "n")

    def check(self) -> None:
        check_positive("epsilon", self.epsilon)

    def extra(self) -> dict[str, Weight]:
        width = (3 * self.units,)
        return {
            "b": Weight(width, "zeros"),
            "b_rec": Weight(width, "zeros"),
            "gain_x": Weight(width, "ones"),
            "gain_h": Weight(width, "ones"),
        }

    def project(self, x: Array, W: Array, b: Array) -> Array:
        return x @ W

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        (h,) = state
        x = self._normal(xp, a, extra["gain_x"], extra["b"])
        u = self._normal(xp, h @ U, extra["gain_h"], extra["b_rec"])
        n = self.units
        gates = xp.sigmoid(x[:, : 2 * n] + u[:, : 2 * n])
        r, z = gates[:, :n], gates[:, n:]
        return (h + z * (xp.tanh(x[:, 2 * n :] + r * u[:, 2 * n :]) - h),)

    def _normal(self, xp: Any, v: Array, gain: Array, shift: Array) -> Array:
        n, e = 2 * self.units, self.epsilon
        return xp.concat([normalised(xp, v[:, :n], e), normalised(xp, v[:, n:], e)], axis=-1) * gain + shift
