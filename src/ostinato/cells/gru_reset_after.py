"""The gated recurrent unit as cuDNN, PyTorch and Keras' default compute it."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.cells.base import Cell
from ostinato.maps.activation import FUNCTIONS, check_activation
from ostinato.maps.base import Array, State, Weight


@lean_dataclass(frozen=True)
class GRUResetAfter(Cell):
    """h_t = z h_{t-1} + (1 - z) h~ with h~ = tanh(x_t W_n + b_n + r (h_{t-1} U_n + b_rec_n)) and r, z = sigmoid(…).

    The reset gate acts after the recurrent product, which so needs a bias of its own, and z weighs the old state.

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

    def extra(self) -> dict[str, Weight]:
        return {"b_rec": Weight((3 * self.units,), "zeros")}

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        (h,) = state
        n = self.units
        u = h @ U + extra["b_rec"]
        gates = FUNCTIONS[self.recurrent_activation](xp, a[:, : 2 * n] + u[:, : 2 * n])
        r, z = gates[:, :n], gates[:, n:]
        new = FUNCTIONS[self.activation](xp, a[:, 2 * n :] + r * u[:, 2 * n :])
        return (new + z * (h - new),)
