"""The simple recurrent network (Elman 1990)."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.cells.base import Cell
from ostinato.maps.activation import FUNCTIONS, check_activation
from ostinato.maps.base import Array, State


@lean_dataclass(frozen=True)
class SimpleRNN(Cell):
    """h_t = f(x_t W + b + h_{t-1} U).

    Args:
        units: Size of h.
        activation: f; with "tanh" gradients vanish over long spans, with "relu" they can explode.
    """

    activation: str = "tanh"

    gates = ("h",)

    def check(self) -> None:
        check_activation(self.activation)

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        (h,) = state
        return (FUNCTIONS[self.activation](xp, a + h @ U),)
