"""Preconditioned conjugate gradients that stop early, as Hessian-free optimisation needs them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

_PATIENCE, _SHARE, _GROWTH = 10, 0.1, 1.3


class Course(NamedTuple):
    """What was found.

    Args:
        points: Some iterates, ever further apart; the last one is where it ended.
        iterations: How many there were.
    """

    points: list[Tensor]
    iterations: int


def conjugate_gradients(
    product: Callable[[Tensor], Tensor],
    b: Tensor,
    start: Tensor,
    *,
    diagonal: Tensor | None = None,
    most: int,
    tolerance: float = 5e-4,
) -> Course:
    """Minimise xᵀAx / 2 - bᵀx (Hestenes & Stiefel 1952).

    It ends when the last k = max(10, i / 10) of i iterations lowered the value by less than k · tolerance of it
    (Martens 2010, section 4.4), when the residual is nothing beside b, or when A shows no positive curvature.

    Args:
        product: A x.
        b: The right side.
        start: First x.
        diagonal: Preconditioner, positive; None for none.
        most: Largest number of iterations.
        tolerance: See above.
    """
    x = start.clone()
    r = b - product(x) if bool(x.any()) else b.clone()
    z = r if diagonal is None else r / diagonal
    p, rz = z.clone(), float(r @ z)
    nothing = float(b @ b) * torch.finfo(b.dtype).eps ** 2
    values: list[float] = []
    points: list[Tensor] = []
    following, i = 1, 0
    while i < most and float(r @ r) > nothing:
        ap = product(p)
        bend = float(p @ ap)
        if not (bend > 0.0 and math.isfinite(bend)):
            break
        i += 1
        step = rz / bend
        x.add_(p, alpha=step)
        r.sub_(ap, alpha=step)
        z = r if diagonal is None else r / diagonal
        old, rz = rz, float(r @ z)
        p = z + (rz / old) * p
        values.append(-0.5 * float(x @ (r + b)))
        if i >= following:
            points.append(x.clone())
            following = math.ceil(following * _GROWTH) + (following == i)
        k = max(_PATIENCE, int(_SHARE * i))
        if i > k and values[-1] < 0.0 and (values[-1] - values[-1 - k]) / values[-1] < k * tolerance:
            break
    if not points or not torch.equal(points[-1], x):
        points.append(x)
    return Course(points, i)
