"""The gated recurrent unit as published (Cho et al. 2014)."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.cells.base import Cell
from ostinato.maps.activation import FUNCTIONS, check_activation
from ostinato.maps.base import Array, State


@lean_dataclass(frozen=True)
class GRU(Cell):
    """h_t = (1 - z) h_{t-1} + z h~ with h~ = tanh(x_t W_n + b_n + (r h_{t-1}) U_n) and r, z = sigmoid(…).

    The reset gate acts before the recurrent product, and z weighs the new state. Keras' `GRU(reset_after=False)` is the
    same function with the weights and bias of z negated, since sigmoid(-a) = 1 - sigmoid(a).

    Args:
        units: Size of h.
        activation: The nonlinearity of h~.
        recurrent_activation: The nonlinearity of the gates.
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"

    gates = ("r", "z", "n")

    def check(self) -> None:
        check_activation(self.activation)
        check_activation(self.recurrent_activation, argument="recurrent_activation")

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        (h,) = state
        n = self.units
        gates = FUNCTIONS[self.recurrent_activation](xp, a[:, : 2 * n] + h @ U[:, : 2 * n])
        r, z = gates[:, :n], gates[:, n:]
        new = FUNCTIONS[self.activation](xp, a[:, 2 * n :] + (r * h) @ U[:, 2 * n :])
        return (h + z * (new - h),)
