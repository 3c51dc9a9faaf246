"""Losses for numbers: each gives one value per sample and step, averaged over the last axis."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import torch
from torch import Tensor


def mean_squared_error(y: Tensor, target: Tensor) -> Tensor:
    """mean (y - target)²."""
    d = y - target
    return (d * d).mean(-1)


def mean_absolute_error(y: Tensor, target: Tensor) -> Tensor:
    """mean |y - target|."""
    return (y - target).abs().mean(-1)


def mean_absolute_percentage_error(y: Tensor, target: Tensor) -> Tensor:
    """mean 100 |y - target| / |target|, with 1e-7 as the least denominator."""
    return 100.0 * ((y - target).abs() / target.abs().clamp(min=1e-7)).mean(-1)


def mean_squared_logarithmic_error(y: Tensor, target: Tensor) -> Tensor:
    """mean (log(1 + y) - log(1 + target))², negative numbers counting as 0."""
    d = y.clamp(min=1e-7).log1p() - target.clamp(min=1e-7).log1p()
    return (d * d).mean(-1)


def huber(y: Tensor, target: Tensor) -> Tensor:
    """d²/2 for |d| <= 1, else |d| - 1/2 (Huber 1964), d = y - target."""
    return torch.nn.functional.huber_loss(y, target, reduction="none").mean(-1)


def log_cosh(y: Tensor, target: Tensor) -> Tensor:
    """mean log cosh(y - target), without overflow."""
    d = (y - target).abs()
    return (d + torch.nn.functional.softplus(-2.0 * d) - 0.6931471805599453).mean(-1)


def poisson(y: Tensor, target: Tensor) -> Tensor:
    """mean y - target log y."""
    return (y - target * (y + 1e-7).log()).mean(-1)


FUNCTIONS: MappingProxyType[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {
        f.__name__: f
        for f in (
            mean_squared_error, mean_absolute_error, mean_absolute_percentage_error, mean_squared_logarithmic_error,
            huber, log_cosh, poisson,
        )
    }
)  # fmt: skip
