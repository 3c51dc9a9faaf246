"""Losses for classes: each gives one value per sample and step. Probabilities in, clipped to [1e-7, 1 - 1e-7]."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from torch import Tensor

_TINY = 1e-7


def binary_crossentropy(y: Tensor, target: Tensor) -> Tensor:
    """-mean (t log p + (1 - t) log(1 - p))."""
    p = y.clamp(_TINY, 1.0 - _TINY)
    return -(target * p.log() + (1.0 - target) * (1.0 - p).log()).mean(-1)


def categorical_crossentropy(y: Tensor, target: Tensor) -> Tensor:
    """-sum t log p over one-hot classes; p is normalised to sum 1."""
    p = (y / y.sum(-1, keepdim=True)).clamp(_TINY, 1.0 - _TINY)
    return -(target * p.log()).sum(-1)


def sparse_categorical_crossentropy(y: Tensor, target: Tensor) -> Tensor:
    """-log p of the class whose number the target is; `target` has one axis less than `y`."""
    p = (y / y.sum(-1, keepdim=True)).clamp(_TINY, 1.0 - _TINY)
    return -p.log().gather(-1, target.long()[..., None])[..., 0]


def kl_divergence(y: Tensor, target: Tensor) -> Tensor:
    """sum t log(t / p) (Kullback & Leibler 1951)."""
    t, p = target.clamp(_TINY, 1.0), y.clamp(_TINY, 1.0)
    return (t * (t / p).log()).sum(-1)


def hinge(y: Tensor, target: Tensor) -> Tensor:
    """mean max(1 - t y, 0) for targets -1 and 1; targets 0 and 1 count as -1 and 1."""
    sign = 2.0 * (target > 0).to(y) - 1.0
    return (1.0 - sign * y).clamp(min=0.0).mean(-1)


FUNCTIONS: MappingProxyType[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {
        f.__name__: f
        for f in (
            binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy, kl_divergence, hinge,
        )
    }
)  # fmt: skip
