"""What a rival is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

from rivals.problem import Floats, Problem


class Way(NamedTuple):
    """One way to compute a problem: `run` is timed, `read` makes of its first result what `Problem.truth` gives."""

    run: Callable[[], Any]
    read: Callable[[Any], Floats]


class Rival(ABC):
    """A library. `ways` gives each switch worth a try; the fastest one is the rival's figure.

    Args:
        threads: How many threads it may use.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads

    @property
    @abstractmethod
    def version(self) -> str:
        """Of the library."""

    @abstractmethod
    def ways(self, problem: Problem, kind: str) -> dict[str, Way]:
        """Ways to compute `problem`; none if the library has no such thing."""

    def same(self, problem: Problem) -> bool:
        """Whether it computes the same function."""
        return True
