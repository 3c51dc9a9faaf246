"""Pointwise nonlinearities by the names that Keras users know, and the layer that applies one."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.errors import ArgumentError
from ostinato.maps.base import Array, Map, Weights


def linear(xp: Any, x: Array) -> Array:
    """f(x) = x."""
    return x


def relu(xp: Any, x: Array) -> Array:
    """f(x) = max(x, 0)."""
    return xp.where(x > 0, x, xp.zeros_like(x))


def relu6(xp: Any, x: Array) -> Array:
    """f(x) = min(max(x, 0), 6)."""
    return xp.clip(x, 0.0, 6.0)


def leaky_relu(xp: Any, x: Array) -> Array:
    """f(x) = x for x > 0, else 0.2 x (Keras' slope)."""
    return xp.where(x > 0, x, 0.2 * x)


def tanh(xp: Any, x: Array) -> Array:
    """f(x) = tanh(x)."""
    return xp.tanh(x)


def sigmoid(xp: Any, x: Array) -> Array:
    """f(x) = 1 / (1 + exp(-x))."""
    return xp.sigmoid(x)


def hard_sigmoid(xp: Any, x: Array) -> Array:
    """f(x) = min(max(x / 6 + 1/2, 0), 1)."""
    return xp.clip(x / 6.0 + 0.5, 0.0, 1.0)


def softplus(xp: Any, x: Array) -> Array:
    """f(x) = log(1 + exp(x)), computed without overflow."""
    return relu(xp, x) + xp.log1p(xp.exp(-xp.abs(x)))


def softsign(xp: Any, x: Array) -> Array:
    """f(x) = x / (1 + |x|)."""
    return x / (1.0 + xp.abs(x))


def elu(xp: Any, x: Array) -> Array:
    """f(x) = x for x > 0, else exp(x) - 1."""
    return xp.where(x > 0, x, xp.expm1(-relu(xp, -x)))


def selu(xp: Any, x: Array) -> Array:
    """f(x) = 1.0507 elu(x) with slope 1.6733 below zero (Klambauer et al. 2017)."""
    return 1.0507009873554805 * xp.where(x > 0, x, 1.6732632423543772 * xp.expm1(-relu(xp, -x)))


def silu(xp: Any, x: Array) -> Array:
    """f(x) = x sigmoid(x), also called swish."""
    return x * xp.sigmoid(x)


def exponential(xp: Any, x: Array) -> Array:
    """f(x) = exp(x)."""
    return xp.exp(x)


def softmax(xp: Any, x: Array) -> Array:
    """exp(x) / sum exp(x) along the last axis, shifted by the maximum."""
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


Function = Callable[[Any, Array], Array]

FUNCTIONS: MappingProxyType[str, Function] = MappingProxyType(
    {
        f.__name__: f
        for f in (
            linear, relu, relu6, leaky_relu, tanh, sigmoid, hard_sigmoid, softplus, softsign, elu, selu, silu,
            exponential, softmax,
        )
    }
)  # fmt: skip


def check_activation(name: object, *, argument: str = "activation") -> None:
    """Raise `ArgumentError` unless `name` is a known nonlinearity."""
    if not isinstance(name, str) or name not in FUNCTIONS:
        raise ArgumentError(
            f"{argument} must be one of {', '.join(FUNCTIONS)}", got=repr(name), fix="Choose a name from the list."
        )


@lean_dataclass(frozen=True)
class Activation(Map):
    """Applies one nonlinearity to every number (softmax: along the last axis).

    Args:
        activation: Its name.
    """

    activation: str = "linear"

    def __post_init__(self) -> None:
        check_activation(self.activation)

    def stepwise(self) -> bool:
        return True

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        return FUNCTIONS[self.activation](xp, x)
