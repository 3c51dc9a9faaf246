"""The simple recurrent network with layer normalisation (Ba et al. 2016)."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.cells._normalise import normalised
from ostinato.cells.base import Cell
from ostinato.maps._check import check_positive
from ostinato.maps.activation import FUNCTIONS, check_activation
from ostinato.maps.base import Array, State, Weight


@lean_dataclass(frozen=True)
class LayerNormSimpleRNN(Cell):
    """h_t = f(g N(x_t W + h_{t-1} U) + b), N the layer normalisation (Ba et al. 2016, equation 4).

    The size of the sums no longer depends on that of the weights, so activity neither dies nor explodes along time. No
    fast kernel trains it: it runs step by step; in use it has compiled steps.

    Args:
        units: Size of h.
        activation: The nonlinearity f.
        epsilon: Added to the variance.
    """

    activation: str = "tanh"
    epsilon: float = 1e-5

    gates = ("h",)

    def check(self) -> None:
        check_activation(self.activation)
        check_positive("epsilon", self.epsilon)

    def extra(self) -> dict[str, Weight]:
        return {"b": Weight((self.units,), "zeros"), "gain": Weight((self.units,), "ones")}

    def project(self, x: Array, W: Array, b: Array) -> Array:
        return x @ W

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        sums = normalised(xp, a + state[0] @ U, self.epsilon) * extra["gain"] + extra["b"]
        return (FUNCTIONS[self.activation](xp, sums),)
