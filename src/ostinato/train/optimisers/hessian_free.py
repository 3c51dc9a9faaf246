"""Hessian-free optimisation: Newton steps whose curvature is never written down."""

from __future__ import annotations

import math
from typing import Unpack

import torch
from torch import Tensor

from ostinato.errors import ArgumentError
from ostinato.train.closure import Closure
from ostinato.train.flat import Flat
from ostinato.train.optimisers._conjugate_gradients import conjugate_gradients
from ostinato.train.optimisers.base import (
    Averages,
    Evaluations,
    Optimizer,
    check_shares,
    check_size,
    check_whole,
)
from ostinato.train.schedules.base import Schedule

_WORSE, _BETTER = 1.5, 1.0 / 1.5
_SHORTER, _ENOUGH, _TRIES = 0.8, 1e-2, 60
_POWER = 0.75


class HessianFree(Optimizer):
    """Minimises the quadratic model g·d + dᵀ(G + λ (I + μ S)) d / 2 of each batch by conjugate gradients.

    G is the Gauss–Newton matrix, λ the Tikhonov damping, and μ the structural damping, by which directions that change
    the course of the recurrent states cost more (Martens 2010; Martens & Sutskever 2011). λ follows the
    Levenberg–Marquardt rule: it grows by half if the loss falls by less than a quarter of what the model promised, and
    shrinks by a third if it falls by more than three quarters. Conjugate gradients begin at a share of the last step;
    of their iterates the one is taken with the lowest loss, looking from the end, and then shortened until the loss
    falls enough. A step that finds no lower loss changes nothing but λ.

    One step costs some 10 to 100 times a step of Adam, most of it forward-mode derivatives through the plain formula.
    It wants large batches (hundreds of sequences, or `batch_size="full"`), and a loss that is convex in the outputs:
    squared errors, Huber, log-cosh, and all cross-entropies are.

    Args:
        learning_rate: Share of the step that is taken; 1 is the Newton step.
        damping: First λ. The loss is a mean, so a value between 0.01 and 1 suits most; it finds its own course soon.
        structural: μ; 0 for none. Only recurrent layers have states.
        cg_iterations: At most so many iterations a step; each costs one product with G.
        cg_momentum: Share of the last step at which conjugate gradients begin.
        curvature_share: Share of the batch's rows from which G is computed; the rows take turns. The gradient always
            takes all rows.
        preconditioner: Draws for the diagonal preconditioner (Martens 2010, section 4.7); 0 for none.
        averages: See `Averages`.
    """

    closures = True

    def __init__(
        self,
        learning_rate: float | Schedule = 1.0,
        damping: float = 0.1,
        structural: float = 0.3,
        *,
        cg_iterations: int = 30,
        cg_momentum: float = 0.95,
        curvature_share: float = 1.0,
        preconditioner: int = 4,
        **averages: Unpack[Averages],
    ) -> None:
        super().__init__(learning_rate, **averages)
        check_size("damping", damping)
        check_size("structural", structural)
        check_whole("cg_iterations", cg_iterations, least=1)
        check_whole("preconditioner", preconditioner, least=0)
        check_shares(cg_momentum=cg_momentum)
        if not (isinstance(curvature_share, (int, float)) and 0.0 < curvature_share <= 1.0):
            raise ArgumentError(
                "curvature_share must be above 0 and at most 1", got=repr(curvature_share), fix="Pass, say, 0.25."
            )
        self.damping, self.structural = damping, structural
        self.cg_iterations, self.cg_momentum = cg_iterations, cg_momentum
        self.curvature_share, self.preconditioner = curvature_share, preconditioner

    @property
    def current_damping(self) -> float:
        """λ, as the rule has left it."""
        return float(self.own[1]) if self.slots else self.damping

    def fresh(self, flat: Flat) -> tuple[Tensor, ...]:
        return torch.zeros_like(flat.data), torch.tensor(self.damping, dtype=torch.float64)

    def move(self, flat: Flat, closure: Evaluations | None) -> None:
        if not isinstance(closure, Closure):
            raise ArgumentError("Hessian-free must get the data of its step", got="none", fix="Train with fit().")
        last, damping = self.own
        lam = float(damping)
        here, g = flat.copy(), flat.grad.clone()
        before = closure.loss()
        curvature = closure.curvature(self._rows(len(closure.batch.x)))
        diagonal = None
        if self.preconditioner:
            draw = torch.Generator().manual_seed(self.iterations)
            diagonal = (curvature.squares(self.preconditioner, draw) + lam).clamp_(min=1e-12).pow_(_POWER)
        course = conjugate_gradients(
            lambda v: curvature.product(v, structural=lam * self.structural).add_(v, alpha=lam),
            -g,
            last * self.cg_momentum,
            diagonal=diagonal,
            most=self.cg_iterations,
        )

        def there(d: Tensor, share: float = 1.0) -> float:
            flat.data.copy_(here).add_(d, alpha=share)
            value = closure.loss()
            return value if math.isfinite(value) else math.inf

        d, after = course.points[-1], there(course.points[-1])
        for point in reversed(course.points[:-1]):
            value = there(point)
            if value > after or not value < math.inf:
                if after < math.inf:
                    break
                continue
            d, after = point, value
        slope = float(g @ d)
        promised = slope + 0.5 * float(d @ curvature.product(d))
        damping.fill_(lam * _next(after - before, promised))
        share = 1.0
        for _ in range(_TRIES):
            if after <= before + _ENOUGH * share * min(slope, 0.0) and after < math.inf:
                break
            share *= _SHORTER
            after = there(d, share)
        else:
            share = 0.0
        last.copy_(d if share else torch.zeros_like(d))
        flat.data.copy_(here).add_(d, alpha=share * self.learning_rate)

    def _rows(self, n: int) -> Tensor | None:
        """The rows for the curvature of this step: they take turns."""
        count = max(1, math.ceil(self.curvature_share * n))
        if count == n:
            return None
        return (torch.arange(count) + self.iterations * count) % n


def _next(fell: float, promised: float) -> float:
    """The factor of λ: how well the loss kept what the model promised (both below 0 if all is well)."""
    kept = fell / promised if promised < 0.0 else -math.inf
    if kept > 0.75:
        return _BETTER
    return _WORSE if not kept >= 0.25 else 1.0
