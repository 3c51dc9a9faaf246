"""What a recurrence is: one step, as a formula on an array namespace."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from ostinato._lean_dataclass import lean_dataclass
from ostinato.maps._check import check_count
from ostinato.maps.base import Array, State, Weight


@lean_dataclass(frozen=True)
class Cell(ABC):
    """s_t = f(s_{t-1}, x_t): subclasses write `gates`, `states` and `step`, and get everything else.

    The input part a_t = x_t W + b does not depend on the state, so it is computed for all steps at once outside. `step`
    adds the recurrent part. Weights are `W [features, gates · units]`, `U [units, gates · units]` and one bias a gate,
    `b [gates · units]`; a formula that needs more names them in `extra`.

    Args:
        units: Size of the state h, which is also the output.
    """

    units: int

    gates: ClassVar[tuple[str, ...]]
    """Names of the blocks of W, U and b, in their order."""

    states: ClassVar[tuple[str, ...]] = ("h",)
    """Names of the states; the first one is the output. Each is `[batch, units]`."""

    def __post_init__(self) -> None:
        check_count("units", self.units)
        self.check()

    def check(self) -> None:
        """Check the cell's own options; called once, when the cell is made."""
        return

    def project(self, x: Array, W: Array, b: Array) -> Array:
        """The input part a, for all steps at once: `x [batch, time, features]` to `[batch, time, gates · units]`."""
        return x @ W + b

    @abstractmethod
    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        """One step: `a [batch, gates · units]`, `U [units, gates · units]`, states `[batch, units]`; new states."""

    def extra(self) -> dict[str, Weight]:
        """Further recurrent weights by name, which `step` gets as keywords."""
        return {}

    def weights(self, features: int) -> dict[str, Weight]:
        """All weights for inputs of `features` numbers a step."""
        width = len(self.gates) * self.units
        return {
            "W": Weight((features, width), "glorot_uniform"),
            "U": Weight((self.units, width), "orthogonal"),
            "b": Weight((width,), "zeros"),
            **self.extra(),
        }
