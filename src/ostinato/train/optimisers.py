"""Optimisers on flat weights, with Keras' argument names; the tests hold them to torch.optim."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor

from ostinato.errors import ArgumentError
from ostinato.train.flat import Flat


class Clips(TypedDict, total=False):
    """What every optimiser can do to gradients before its own step; None, the default, is no limit.

    Args:
        clipnorm: The gradient of each weight array is shortened to this norm.
        global_clipnorm: All gradients together are shortened to this norm (Pascanu et al. 2013).
        clipvalue: Gradients are limited to ± this, number by number.
    """

    clipnorm: float | None
    global_clipnorm: float | None
    clipvalue: float | None


class Limits(Clips, total=False):
    """What every optimiser can do to gradients and weights before its own step; see also `Clips`.

    Args:
        weight_decay: Share of each weight that a step takes away, times the learning rate (decoupled); 0 by default.
    """

    weight_decay: float


class Optimizer(ABC):
    """Changes weights by their gradients.

    Args:
        learning_rate: Step size; may be assigned between steps.
        limits: See `Limits`.

    `closures` says whether `step` needs a second argument: a function that computes loss and gradient of the step's
    data again, with the weights as they are then.
    """

    closures = False

    def __init__(self, learning_rate: float, **limits: Unpack[Limits]) -> None:
        self.learning_rate = learning_rate
        self.weight_decay = limits.pop("weight_decay", 0.0)
        self.clipnorm = limits.pop("clipnorm", None)
        self.global_clipnorm = limits.pop("global_clipnorm", None)
        self.clipvalue = limits.pop("clipvalue", None)
        self.iterations = 0
        self.slots: tuple[Tensor, ...] = ()
        self._of: tuple[Tensor, ...] = ()
        if limits:
            raise ArgumentError(
                f"{type(self).__name__} must get its own arguments or {', '.join(Limits.__annotations__)}",
                got=", ".join(map(repr, limits)),
                fix="Remove or rename it.",
            )
        for name in ("learning_rate", "weight_decay"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < math.inf:
                raise ArgumentError(f"{name} must be a number of at least 0", got=repr(value), fix="Pass one.")
        for name in ("clipnorm", "global_clipnorm", "clipvalue"):
            limit = getattr(self, name)
            if limit is not None and not (isinstance(limit, (int, float)) and limit > 0.0):
                raise ArgumentError(f"{name} must be positive or None", got=repr(limit), fix="Pass, say, 1.0.")

    @property
    def lr(self) -> float:
        """Keras' older name of `learning_rate`; may be assigned, too."""
        return self.learning_rate

    @lr.setter
    def lr(self, value: float) -> None:
        self.learning_rate = value

    @property
    @abstractmethod
    def n_slots(self) -> int:
        """How many numbers the optimiser remembers per weight."""

    @abstractmethod
    def update(self, p: Tensor, g: Tensor, t: int) -> None:
        """Change the flat weights `p` by the flat gradients `g`; t = 1, 2, … counts the steps."""

    def bind(self, flat: Flat) -> None:
        """Start to work on `flat`; what was remembered of the same weights stays, of a changed choice of them nothing.

        Raises:
            ArgumentError: What is remembered belongs to another model.
        """
        old, new = {id(p) for p in self._of}, tuple(flat.parameters)
        if self.slots and old.isdisjoint(map(id, new)):
            raise ArgumentError(
                "an optimiser must train one model, since it remembers the course of each weight",
                got="an optimiser that trained another model",
                fix="Make a new one for each model.",
            )
        if len(self.slots) != self.n_slots or tuple(map(id, self._of)) != tuple(map(id, new)):
            self.slots = tuple(torch.zeros_like(flat.data) for _ in range(self.n_slots))
            self.iterations = 0
        self._of = new

    def forget(self) -> None:
        """Forget all running means and the number of steps; `bind` starts anew."""
        self.slots, self.iterations = (), 0

    def state(self) -> dict[str, Any]:
        """Everything that later steps depend on, as plain values and tensors (see `ostinato.train.packing`)."""
        return {"iterations": self.iterations, "learning_rate": self.learning_rate, "slots": list(self.slots)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave; to be called after `bind`."""
        self.iterations, self.learning_rate = state["iterations"], state["learning_rate"]
        for slot, saved in zip(self.slots, state["slots"], strict=True):
            slot.copy_(saved)

    @torch.no_grad()
    def step(self, flat: Flat, closure: Callable[[], float] | None = None) -> None:
        """One step on the gradients in `flat`, which are zero afterwards; `closure` is given if `closures` is True."""
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
        self.iterations += 1
        self.update(p, g, self.iterations)
        g.zero_()


def _check_settings(**settings: float) -> None:
    """Raise `ArgumentError` unless epsilon is at least 0, and every share at least 0 and below 1."""
    for name, value in settings.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name == "epsilon" and not (number and 0.0 <= value < math.inf):
            raise ArgumentError("epsilon must be a number of at least 0", got=repr(value), fix="Pass, say, 1e-7.")
        if name != "epsilon" and not (number and 0.0 <= value < 1.0):
            raise ArgumentError(f"{name} must be at least 0 and below 1", got=repr(value), fix="Pass, say, 0.9.")


def _shorten(g: Tensor | None, limit: float) -> None:
    if g is not None:
        g.mul_((limit / (g.norm() + 1e-6)).clamp_(max=1.0))


class SGD(Optimizer):
    """p -= lr g, with momentum m = μ m + g (Polyak 1964; `nesterov` as in Sutskever et al. 2013).

    Args:
        learning_rate: Step size.
        momentum: μ; 0 for plain gradient descent.
        nesterov: Look ahead along the momentum.
        limits: See `Limits`.
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        *,
        nesterov: bool = False,
        **limits: Unpack[Limits],
    ) -> None:
        super().__init__(learning_rate, **limits)
        _check_settings(momentum=momentum)
        self.momentum, self.nesterov = momentum, nesterov

    @property
    def n_slots(self) -> int:
        return 1 if self.momentum else 0

    def update(self, p: Tensor, g: Tensor, t: int) -> None:
        if self.momentum:
            (m,) = self.slots
            m.mul_(self.momentum).add_(g)
            g = g.add(m, alpha=self.momentum) if self.nesterov else m
        p.add_(g, alpha=-self.learning_rate)


class Adam(Optimizer):
    """p -= lr m^ / (sqrt(v^) + epsilon) with running means m of g and v of g² (Kingma & Ba 2015).

    Args:
        learning_rate: Step size.
        beta_1: Share of the old m.
        beta_2: Share of the old v.
        epsilon: Keeps the quotient finite; 1e-7 is Keras' value, torch uses 1e-8.
        limits: See `Limits`; with weight_decay above 0 this is AdamW.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        *,
        epsilon: float = 1e-7,
        **limits: Unpack[Limits],
    ) -> None:
        super().__init__(learning_rate, **limits)
        _check_settings(beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    @property
    def n_slots(self) -> int:
        return 2

    def update(self, p: Tensor, g: Tensor, t: int) -> None:
        m, v = self.slots
        m.lerp_(g, 1.0 - self.beta_1)
        v.mul_(self.beta_2).addcmul_(g, g, value=1.0 - self.beta_2)
        scale = math.sqrt(1.0 - self.beta_2**t)
        p.addcdiv_(m, v.sqrt().add_(self.epsilon * scale), value=-self.learning_rate * scale / (1.0 - self.beta_1**t))


class AdamW(Adam):
    """Adam with decoupled weight decay, 0.004 by default (Loshchilov & Hutter 2019); arguments as for `Adam`."""

    def __init__(
        self,
        learning_rate: float = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        *,
        epsilon: float = 1e-7,
        **limits: Unpack[Clips],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon=epsilon, weight_decay=weight_decay, **limits)


class RMSprop(Optimizer):
    """p -= lr g / sqrt(v + epsilon) with a running mean v of g² (Tieleman & Hinton 2012).

    Args:
        learning_rate: Step size.
        rho: Share of the old v.
        momentum: Share of the last step that is taken again.
        epsilon: Keeps the quotient finite.
        limits: See `Limits`.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        *,
        epsilon: float = 1e-7,
        **limits: Unpack[Limits],
    ) -> None:
        super().__init__(learning_rate, **limits)
        _check_settings(rho=rho, momentum=momentum, epsilon=epsilon)
        self.rho, self.momentum, self.epsilon = rho, momentum, epsilon

    @property
    def n_slots(self) -> int:
        return 2 if self.momentum else 1

    def update(self, p: Tensor, g: Tensor, t: int) -> None:
        v = self.slots[0]
        v.mul_(self.rho).addcmul_(g, g, value=1.0 - self.rho)
        move = g / (v + self.epsilon).sqrt_()
        if self.momentum:
            move = self.slots[1].mul_(self.momentum).add_(move)
        p.add_(move, alpha=-self.learning_rate)


OPTIMIZERS = MappingProxyType({cls.__name__.lower(): cls for cls in (SGD, Adam, AdamW, RMSprop)})
"""Optimisers by name, as `compile(optimizer="adam")` and the command line take them."""


def optimizer(choice: str | Optimizer) -> Optimizer:
    """An optimiser from its name (with default settings) or as it is.

    Raises:
        ArgumentError: There is no optimiser of that name.
    """
    if isinstance(choice, Optimizer):
        return choice
    if not isinstance(choice, str) or choice.lower() not in OPTIMIZERS:
        raise ArgumentError(
            f"optimizer must be one of {', '.join(OPTIMIZERS)}, or an object of these classes",
            got=repr(choice),
            fix="Choose a name from the list.",
        )
    return OPTIMIZERS[choice.lower()]()
