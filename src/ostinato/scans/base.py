"""Layers that carry a state along time."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.maps.base import Part, State, Weights


@lean_dataclass(frozen=True)
class Scan(Part):
    """A layer that runs one or two cells along time."""

    @property
    @abstractmethod
    def state_sizes(self) -> tuple[int, ...]:
        """Width of each state that the layer carries, in order."""

    def begin(self, xp: Any, w: Weights, like: State) -> State:
        """The states that a sequence starts from, in the shapes of `like`: zeros."""
        return tuple(xp.zeros_like(s) for s in like)
