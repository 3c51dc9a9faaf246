"""Penalties on weights that are added to the loss, with Keras' names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from ostinato.errors import ArgumentError


@dataclass(frozen=True)
class L1L2:
    """l1 · sum |w| + l2 · sum w².

    Args:
        l1: Factor of the absolute values; drives weights to exactly 0.
        l2: Factor of the squares; shrinks large weights.
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("l1", self.l1), ("l2", self.l2)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < math.inf:
                raise ArgumentError(f"{name} must be a number of at least 0", got=repr(value), fix="Pass, say, 0.01.")

    def __call__(self, w: Tensor) -> Tensor:
        """The penalty of one weight."""
        total = torch.zeros((), dtype=w.dtype, device=w.device)
        if self.l1:
            total = total + self.l1 * w.abs().sum()
        if self.l2:
            total = total + self.l2 * w.square().sum()
        return total


def L1(l1: float = 0.01) -> L1L2:  # noqa: N802
    """l1 · sum |w|."""
    return L1L2(l1=l1)


def L2(l2: float = 0.01) -> L1L2:  # noqa: N802
    """l2 · sum w²."""
    return L1L2(l2=l2)


BY_NAME = MappingProxyType({"l1": L1(), "l2": L2(), "l1_l2": L1L2(0.01, 0.01)})
"""Regularisers by the names that Keras users know, with factor 0.01."""


def regulariser(argument: str, choice: object) -> L1L2 | None:
    """The regulariser that a layer's argument names; None for none.

    Raises:
        ArgumentError: It is neither a known name nor a regulariser.
    """
    if choice is None or isinstance(choice, L1L2):
        return choice
    if isinstance(choice, str) and choice.lower() in BY_NAME:
        return BY_NAME[choice.lower()]
    raise ArgumentError(
        f"{argument} must be None, {', '.join(map(repr, BY_NAME))}, L1, L2 or L1L2",
        got=repr(choice),
        fix="Pass, say, L2(0.01).",
    )
