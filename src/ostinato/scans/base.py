"""Layers that carry a state along time."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from ostinato.maps.base import Part


@dataclass(frozen=True)
class Scan(Part):
    """A layer that runs one or two cells along time."""

    @property
    @abstractmethod
    def state_sizes(self) -> tuple[int, ...]:
        """Width of each state that the layer carries, in order."""
