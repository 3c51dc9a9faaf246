"""Notes the steps of training whose gradient is much longer than usual."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ostinato.errors import ArgumentError
from ostinato.train.callbacks import Callback, Logs

_LEAST = 20
_MOST = 1000


class Explosion(NamedTuple):
    """A step with a long gradient.

    Args:
        step: Its number since training began, from 0.
        norm: Length of the whole gradient, before clipping.
        times: How many times the median of the steps before it.
    """

    step: int
    norm: float
    times: float


class ExplodingSteps(Callback):
    """Counts steps whose gradient, before clipping, is more than `times` the median of the last steps.

    Costs one norm of the flat gradient and one insertion into a short sorted list a step. The first 20 steps are not
    judged. Training is not changed; `clip_norm` or `global_clipnorm` shortens such steps.

    Args:
        times: How much longer than the median is too long.
        window: Number of steps that the median is taken of.

    Attributes:
        count: Number of such steps.
        steps: The first 1000 of them.
        largest: The one that is the most times its median, or None.
        seen: Number of steps in all.
    """

    def __init__(self, times: float = 30.0, window: int = 101) -> None:
        super().__init__()
        for name, value, least in (("times", times, 1.0), ("window", window, _LEAST)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < math.inf:
                raise ArgumentError(
                    f"{name} must be a number of at least {least:g}", got=repr(value), fix="Leave it out, or pass one."
                )
        self.times, self.window = float(times), int(window)
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.count, self.seen = 0, 0
        self.steps: list[Explosion] = []
        self.largest: Explosion | None = None
        self._last: deque[float] = deque()
        self._sorted: list[float] = []

    def state(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "seen": self.seen,
            "steps": [list(one) for one in self.steps],
            "largest": None if self.largest is None else list(self.largest),
            "last": list(self._last),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.count, self.seen = state["count"], state["seen"]
        self.steps = [Explosion(*one) for one in state["steps"]]
        self.largest = None if state["largest"] is None else Explosion(*state["largest"])
        self._last = deque(state["last"])
        self._sorted = sorted(self._last)

    def on_gradient(self, batch: int, gradient: Tensor) -> None:
        self.add(float(torch.linalg.vector_norm(gradient)))

    def add(self, norm: float) -> None:
        """Count one step by the length of its gradient."""
        norm = math.inf if math.isnan(norm) else norm
        n = len(self._sorted)
        if n >= _LEAST:
            median = self._sorted[n // 2]
            if norm > self.times * median:
                self._note(Explosion(self.seen, norm, norm / median if median else math.inf))
            if n >= self.window:
                del self._sorted[bisect_left(self._sorted, self._last.popleft())]
        self._last.append(norm)
        insort(self._sorted, norm)
        self.seen += 1

    def _note(self, one: Explosion) -> None:
        self.count += 1
        if len(self.steps) < _MOST:
            self.steps.append(one)
        if self.largest is None or one.times > self.largest.times:
            self.largest = one
