"""The LSTM with layer normalisation (Ba et al. 2016)."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.cells._normalise import normalised
from ostinato.cells.base import Cell
from ostinato.maps._check import check_flag, check_positive
from ostinato.maps.base import Array, State, Weight


@lean_dataclass(frozen=True)
class LayerNormLSTM(Cell):
    """c_t = f c_{t-1} + i c~, h_t = o tanh(gain_c N(c_t) + shift_c).

    i, f, o = sigmoid(…) and c~ = tanh(…), each of gain_x N(x_t W) + gain_h N(h_{t-1} U) + b. N is the layer
    normalisation over all four gates together (Ba et al. 2016, equations 20 to 22; of their three shifts before the
    gates only the sum matters, which is b). Training gets less sensitive to the learning rate; no fast kernel trains
    it: it runs step by step; in use it has compiled steps.

    Args:
        units: Size of h and of c.
        epsilon: Added to the variances.
        unit_forget_bias: Start the forget gate's bias at 1, so that memory lasts at first (Jozefowicz et al. 2015).
    """

    epsilon: float = 1e-5
    unit_forget_bias: bool = True

    gates = ("i", "f", "c", "o")
    states = ("h", "c")

    def check(self) -> None:
        check_positive("epsilon", self.epsilon)
        check_flag("unit_forget_bias", self.unit_forget_bias)

    def extra(self) -> dict[str, Weight]:
        n = self.units
        return {
            "b": Weight((4 * n,), "forget_one" if self.unit_forget_bias else "zeros"),
            "gain_x": Weight((4 * n,), "ones"),
            "gain_h": Weight((4 * n,), "ones"),
            "gain_c": Weight((n,), "ones"),
            "shift_c": Weight((n,), "zeros"),
        }

    def project(self, x: Array, W: Array, b: Array) -> Array:
        return x @ W

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        h, c = state
        n, e = self.units, self.epsilon
        sums = normalised(xp, a, e) * extra["gain_x"] + normalised(xp, h @ U, e) * extra["gain_h"] + extra["b"]
        i, f, o = (xp.sigmoid(sums[:, k * n : (k + 1) * n]) for k in (0, 1, 3))
        c = f * c + i * xp.tanh(sums[:, 2 * n : 3 * n])
        return o * xp.tanh(normalised(xp, c, e) * extra["gain_c"] + extra["shift_c"]), c
