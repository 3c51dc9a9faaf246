"""One rate after the other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from ostinato.errors import ArgumentError
from ostinato.train.schedules.base import Schedule, check_rates, check_steps


@dataclass(frozen=True)
class PiecewiseConstantDecay(Schedule):
    """values[i] up to and including step boundaries[i], then the next one.

    Args:
        boundaries: Last steps of all rates but the last, growing.
        values: The rates, one more than there are boundaries.
    """

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        for name in ("boundaries", "values"):
            if not isinstance(getattr(self, name), Sequence):
                raise ArgumentError(f"{name} must be a list of numbers", got=repr(getattr(self, name)), fix="Pass one.")
        object.__setattr__(self, "boundaries", tuple(self.boundaries))
        object.__setattr__(self, "values", tuple(self.values))
        for number in self.boundaries:
            check_steps(0, boundaries=number)
        for value in self.values:
            check_rates(values=value)
        if list(self.boundaries) != sorted(set(self.boundaries)) or len(self.values) != len(self.boundaries) + 1:
            raise ArgumentError(
                "boundaries must grow, and values must be one more than they are",
                got=f"{len(self.boundaries)} boundaries and {len(self.values)} values",
                fix="Pass, say, boundaries=[100, 200] and values=[0.01, 0.001, 0.0001].",
            )

    def __call__(self, step: int) -> float:
        return self.values[bisect_left(self.boundaries, step)]
