"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000)."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.cells.base import Cell
from ostinato.maps._check import check_flag
from ostinato.maps.activation import FUNCTIONS, check_activation
from ostinato.maps.base import Array, State, Weight


@lean_dataclass(frozen=True)
class LSTM(Cell):
    """c_t = f c_{t-1} + i c~, h_t = o tanh(c_t) with i, f, o = sigmoid(…), c~ = tanh(…), each of x_t W + b + h_{t-1} U.

    Args:
        units: Size of h and of c.
        activation: The nonlinearity of c~ and of c_t; another than tanh leaves the fast kernels.
        recurrent_activation: The nonlinearity of the gates; likewise.
        unit_forget_bias: Start the forget gate's bias at 1, so that memory lasts at first (Jozefowicz et al. 2015).
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    unit_forget_bias: bool = True

    gates = ("i", "f", "c", "o")
    states = ("h", "c")

    def check(self) -> None:
        check_activation(self.activation)
        check_activation(self.recurrent_activation, argument="recurrent_activation")
        check_flag("unit_forget_bias", self.unit_forget_bias)

    def weights(self, features: int) -> dict[str, Weight]:
        w = super().weights(features)
        return {**w, "b": Weight(w["b"].shape, "forget_one")} if self.unit_forget_bias else w

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        h, c = state
        f, g, n = FUNCTIONS[self.activation], FUNCTIONS[self.recurrent_activation], self.units
        a = a + h @ U
        c = g(xp, a[:, n : 2 * n]) * c + g(xp, a[:, :n]) * f(xp, a[:, 2 * n : 3 * n])
        return g(xp, a[:, 3 * n :]) * f(xp, c), c
