"""What an optimiser is: it changes flat weights, counts its steps, and may keep their running average."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self, TypedDict, Unpack

import torch
from torch import Tensor

from ostinato.errors import ArgumentError
from ostinato.train.flat import Flat
from ostinato.train.schedules.base import Schedule

_REMEMBERED = {"accumulate", "iterations", "pending", "schedule", "shown", "slots"}
"""Attributes that are no arguments."""


class Averages(TypedDict, total=False):
    """Running averages of the weights, under Keras' names; every optimiser can keep them.

    From the end of each epoch until the next one begins, and after training, the model holds the averages: they are
    what is validated, watched by callbacks, saved and used to predict. Training itself goes on from the plain weights,
    so that two calls of `fit` give what one gives. Weights that somebody else sets in between are kept, and the average
    begins again from them.

    Args:
        use_ema: Whether to keep them; False by default.
        ema_momentum: Share of the old average at each update; 0.99 by default.
    """

    use_ema: bool
    ema_momentum: float


class Evaluations(Protocol):
    """A step's data as functions of the weights, for optimisers with `closures`; see `ostinato.train.closure`."""

    def gradient(self) -> float:
        """Put the gradient at the present weights into the flat gradient; returns the loss."""


class Optimizer(ABC):
    """Changes weights by their gradients.

    Args:
        learning_rate: Step size, or a schedule of it; a number may be assigned between steps.
        averages: See `Averages`.
    """

    closures: ClassVar[bool] = False
    """Whether `step` needs a second argument with which it computes loss and gradient again, at other weights."""

    accumulate: int = 1
    """Batches whose gradients are averaged for one update."""

    def __init__(self, learning_rate: float | Schedule, **averages: Unpack[Averages]) -> None:
        self.schedule: Schedule | None = None
        self.learning_rate = learning_rate
        self.use_ema = averages.pop("use_ema", False)
        self.ema_momentum = averages.pop("ema_momentum", 0.99)
        if averages:
            raise ArgumentError(
                f"{type(self).__name__} must get its own arguments, or those of all optimisers of its kind",
                got=", ".join(map(repr, averages)),
                fix="Remove or rename it.",
            )
        if not isinstance(self.use_ema, bool):
            raise ArgumentError("use_ema must be True or False", got=repr(self.use_ema), fix="Pass a bool.")
        check_shares(ema_momentum=self.ema_momentum)
        if self.schedule is None:
            check_size("learning_rate", self.learning_rate)
        self.iterations = 0
        self.pending = 0
        self.shown = False
        self.slots: tuple[Tensor, ...] = ()
        self._of: tuple[Tensor, ...] = ()

    @property
    def learning_rate(self) -> float:
        """The step size of the next update. A schedule counts batches, as in Keras."""
        if self.schedule is None:
            return self._rate
        return self.schedule(self.iterations * self.accumulate + self.pending)

    @learning_rate.setter
    def learning_rate(self, value: float | Schedule) -> None:
        if isinstance(value, Schedule):
            self.schedule = value
        elif self.schedule is not None:
            raise ArgumentError(
                "the learning rate of an optimiser with a schedule must be left to the schedule",
                got=repr(value),
                fix="Make the optimiser with a number, or leave out what sets its rate.",
            )
        else:
            self._rate = value

    @property
    def lr(self) -> float:
        """Keras' older name of `learning_rate`; may be assigned, too."""
        return self.learning_rate

    @lr.setter
    def lr(self, value: float) -> None:
        self.learning_rate = value

    def fresh_copy(self) -> Self:
        """An optimiser of the same settings that remembers nothing."""
        made = copy.copy(self)
        made.forget()
        return made

    def __repr__(self) -> str:
        own = {name: value for name, value in vars(self).items() if name[0] != "_" and name not in _REMEMBERED}
        given = {"learning_rate": self.schedule or self.learning_rate, **own}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    @abstractmethod
    def fresh(self, flat: Flat) -> tuple[Tensor, ...]:
        """What the optimiser remembers before its first step."""

    @abstractmethod
    def move(self, flat: Flat, closure: Evaluations | None) -> None:
        """Change `flat.data` by `flat.grad`, which may be overwritten; `iterations` counts the updates before."""

    @property
    def own(self) -> tuple[Tensor, ...]:
        """What `fresh` made, as it is now."""
        more = (self.accumulate > 1) + 2 * self.use_ema
        return self.slots[: len(self.slots) - more]

    def bind(self, flat: Flat) -> None:
        """Start to work on `flat`; what was remembered of the same weights stays, of a changed choice of them nothing.

        Raises:
            ArgumentError: What is remembered belongs to another model.
        """
        old, new = tuple(map(id, self._of)), tuple(map(id, flat.parameters))
        if self.slots and set(old).isdisjoint(new):
            raise ArgumentError(
                "an optimiser must train one model, since it remembers the course of each weight",
                got="an optimiser that trained another model",
                fix="Make a new one for each model.",
            )
        if not old or old != new:
            self.forget()
            more = (self.accumulate > 1) + 2 * self.use_ema
            self.slots = (*self.fresh(flat), *(torch.zeros_like(flat.data) for _ in range(more)))
        self._of = tuple(flat.parameters)

    def forget(self) -> None:
        """Forget everything; `bind` starts anew."""
        self.slots, self._of, self.iterations, self.pending, self.shown = (), (), 0, 0, False

    def state(self) -> dict[str, Any]:
        """A copy of all that is remembered, as plain values and tensors (see `ostinato.train.packing`).

        With the weights, it is enough to go on to the last bit.
        """
        return {
            "iterations": self.iterations,
            "pending": self.pending,
            "shown": self.shown,
            "learning_rate": None if self.schedule is not None else self.learning_rate,
            "slots": [s.clone() for s in self.slots],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave; to be called after `bind`."""
        self.iterations, self.pending, self.shown = state["iterations"], state["pending"], state["shown"]
        if self.schedule is None:
            self.learning_rate = state["learning_rate"]
        for slot, saved in zip(self.slots, state["slots"], strict=True):
            slot.copy_(saved)

    @torch.no_grad()
    def step(self, flat: Flat, closure: Evaluations | None = None) -> None:
        """One step on the gradients in `flat`, which are zero afterwards.

        Args:
            flat: Weights and gradients.
            closure: The step's data, if `closures`.
        """
        g = flat.grad
        if self.accumulate > 1:
            total = self.slots[-3 if self.use_ema else -1]
            total.add_(g)
            self.pending += 1
            if self.pending < self.accumulate:
                g.zero_()
                return
            torch.div(total, self.accumulate, out=g)
            total.zero_()
            self.pending -= 1  # the rate is that of this batch, the last one
        self.move(flat, closure)
        self.iterations, self.pending = self.iterations + 1, 0
        g.zero_()
        if self.use_ema:
            mean = self.slots[-2]
            mean.copy_(flat.data) if self.iterations == 1 else mean.lerp_(flat.data, 1.0 - self.ema_momentum)

    @torch.no_grad()
    def finalize(self, flat: Flat) -> None:
        """Show the averages in the model, if they are kept; the plain weights are remembered."""
        if self.use_ema and self.iterations and not self.shown:
            mean, plain = self.slots[-2:]
            plain.copy_(flat.data)
            flat.data.copy_(mean)
            self.shown = True

    @torch.no_grad()
    def resume(self, flat: Flat) -> None:
        """Bring the plain weights back, to train them further; weights that somebody set meanwhile stay."""
        if self.shown:
            mean, plain = self.slots[-2:]
            if torch.equal(flat.data, mean):
                flat.data.copy_(plain)
            else:
                mean.copy_(flat.data)
            self.shown = False


def check_size(name: str, value: object) -> None:
    """Raise `ArgumentError` unless `value` is a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < math.inf:
        raise ArgumentError(f"{name} must be a number of at least 0", got=repr(value), fix="Pass one.")


def check_shares(**settings: float) -> None:
    """Raise `ArgumentError` unless all are at least 0 and below 1."""
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < 1.0:
            raise ArgumentError(f"{name} must be at least 0 and below 1", got=repr(value), fix="Pass, say, 0.9.")


def check_whole(name: str, value: object, *, least: int) -> None:
    """Raise `ArgumentError` unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(f"{name} must be a whole number of at least {least}", got=repr(value), fix="Pass one.")
