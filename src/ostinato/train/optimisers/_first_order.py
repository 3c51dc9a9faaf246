"""Optimisers that need one gradient a step, and what all of them can do to it before."""

from __future__ import annotations

from abc import abstractmethod
from typing import Unpack

import torch
from torch import Tensor

from ostinato.errors import ArgumentError
from ostinato.train.flat import Flat
from ostinato.train.optimisers.base import Averages, Evaluations, Optimizer, check_size, check_whole
from ostinato.train.schedules.base import Schedule


class Clips(Averages, total=False):
    """What can be done to gradients before a step; None, the default, is nothing. See also `Averages`.

    Args:
        clipnorm: The gradient of each weight array is shortened to this norm.
        global_clipnorm: All gradients together are shortened to this norm (Pascanu et al. 2013).
        clipvalue: Gradients are limited to ± this, number by number.
        gradient_accumulation_steps: One update for every so many batches (at least 2), by the mean of their gradients.
            Batches that are left at the end of an epoch count for the next one.
    """

    clipnorm: float | None
    global_clipnorm: float | None
    clipvalue: float | None
    gradient_accumulation_steps: int | None


class Limits(Clips, total=False):
    """What can be done to gradients and weights before a step; see also `Clips`.

    Args:
        weight_decay: Share of each weight that a step takes away, times the learning rate (decoupled); 0 by default.
    """

    weight_decay: float


class FirstOrder(Optimizer):
    """Moves the weights by a rule of their gradient.

    Args:
        learning_rate: Step size, or a schedule of it; a number may be assigned between steps.
        limits: See `Limits`.
    """

    def __init__(self, learning_rate: float | Schedule, **limits: Unpack[Limits]) -> None:
        self.weight_decay = limits.pop("weight_decay", 0.0)
        self.clipnorm = limits.pop("clipnorm", None)
        self.global_clipnorm = limits.pop("global_clipnorm", None)
        self.clipvalue = limits.pop("clipvalue", None)
        self.gradient_accumulation_steps = limits.pop("gradient_accumulation_steps", None)
        super().__init__(learning_rate, **limits)  # type: ignore[misc]  # what is left are `Averages`
        check_size("weight_decay", self.weight_decay)
        for name in ("clipnorm", "global_clipnorm", "clipvalue"):
            limit = getattr(self, name)
            if limit is not None and not (isinstance(limit, (int, float)) and limit > 0.0):
                raise ArgumentError(f"{name} must be positive or None", got=repr(limit), fix="Pass, say, 1.0.")
        if self.gradient_accumulation_steps is not None:
            check_whole("gradient_accumulation_steps", self.gradient_accumulation_steps, least=2)
            self.accumulate = self.gradient_accumulation_steps

    @property
    @abstractmethod
    def n_slots(self) -> int:
        """How many numbers the optimiser remembers per weight."""

    @abstractmethod
    def update(self, p: Tensor, g: Tensor, t: int) -> None:
        """Change the flat weights `p` by the flat gradients `g`; t = 1, 2, … counts the updates."""

    def fresh(self, flat: Flat) -> tuple[Tensor, ...]:
        return tuple(torch.zeros_like(flat.data) for _ in range(self.n_slots))

    def move(self, flat: Flat, closure: Evaluations | None) -> None:
        p, g = flat.data, flat.grad
        if self.clipvalue is not None:
            g.clamp_(-self.clipvalue, self.clipvalue)
        if self.clipnorm is not None:
            for weight in flat.parameters:
                _shorten(weight.grad, self.clipnorm)
        if self.global_clipnorm is not None:
            _shorten(g, self.global_clipnorm)
        if self.weight_decay:
            p.mul_(1.0 - self.learning_rate * self.weight_decay)
        self.update(p, g, self.iterations + 1)


def _shorten(g: Tensor | None, limit: float) -> None:
    if g is not None:
        g.mul_((limit / (g.norm() + 1e-6)).clamp_(max=1.0))
