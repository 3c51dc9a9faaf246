"""A cell that a user could write: two states, a weight of its own, no file in the package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ostinato.cells import Cell
from ostinato.maps import Weight
from ostinato.maps.base import Array, State


@dataclass(frozen=True)
class Leaky(Cell):
    """v' = d v + (1 - d) tanh(a + h U), h' = v' sigmoid(v' · scale), d = sigmoid(leak)."""

    gates = ("v",)
    states = ("h", "v")

    def extra(self) -> dict[str, Weight]:
        return {"leak": Weight((self.units,), "zeros"), "scale": Weight((self.units,), "ones")}

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        h, v = state
        d = xp.sigmoid(extra["leak"])
        v = d * v + (1.0 - d) * xp.tanh(a + h @ U)
        return v * xp.sigmoid(v * extra["scale"]), v
