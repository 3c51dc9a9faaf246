"""Limited-memory BFGS."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from ostinato.errors import ArgumentError
from ostinato.train.flat import Flat
from ostinato.train.optimisers._line_search import Point, strong_wolfe
from ostinato.train.optimisers.base import Averages, Evaluations, Optimizer, check_size, check_whole
from ostinato.train.schedules.base import Schedule


class LBFGS(Optimizer):
    """p += t d along d = -H g, H built from the last changes s of weights and y of gradients (Liu & Nocedal 1989).

    t meets the strong Wolfe conditions. Changes are always measured on one batch, so that batches do not mix, but the
    method is meant for all data at once: `fit(batch_size="full")`, where an epoch is one step of `max_iter` iterations.
    It needs no learning rate, and a loss without dropout noise. An iteration costs one gradient or a few.

    Args:
        learning_rate: The t that is tried first.
        max_iter: Iterations a step.
        history_size: Changes that are remembered; memory is twice as many copies of the weights.
        tolerance_grad: A step ends when no gradient is larger.
        tolerance_change: A step ends when no weight, or the loss, changes by more.
        averages: See `Averages`.
    """

    closures = True

    def __init__(
        self,
        learning_rate: float | Schedule = 1.0,
        max_iter: int = 20,
        history_size: int = 10,
        *,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        **averages: Unpack[Averages],
    ) -> None:
        super().__init__(learning_rate, **averages)
        check_whole("max_iter", max_iter, least=1)
        check_whole("history_size", history_size, least=1)
        check_size("tolerance_grad", tolerance_grad)
        check_size("tolerance_change", tolerance_change)
        self.max_iter, self.history_size = max_iter, history_size
        self.tolerance_grad, self.tolerance_change = tolerance_grad, tolerance_change

    def fresh(self, flat: Flat) -> tuple[Tensor, ...]:
        shape = (self.history_size, flat.data.numel())
        return flat.data.new_zeros(shape), flat.data.new_zeros(shape), torch.zeros((), dtype=torch.int64)

    def move(self, flat: Flat, closure: Evaluations | None) -> None:
        if closure is None:
            raise ArgumentError("L-BFGS must get the data of its step", got="none", fix="Train with fit().")
        steps, changes, count = self.own
        g, value = flat.grad.clone(), closure.gradient()
        for _ in range(self.max_iter):
            if not g.numel() or float(g.abs().max()) <= self.tolerance_grad:
                break
            d = _direction(g, steps, changes, int(count))
            slope = float(g @ d)
            if not slope < 0.0:
                count.zero_()
                d, slope = -g, -float(g @ g)
            here = flat.copy()

            def evaluate(at: float, *, here: Tensor = here, d: Tensor = d) -> Point:
                torch.add(here, d, alpha=at, out=flat.data)
                loss = closure.gradient()
                return Point(at, loss, float(flat.grad @ d), flat.grad.clone())

            first = self.learning_rate if count else self.learning_rate * min(1.0, 1.0 / float(g.abs().sum()))
            found = strong_wolfe(evaluate, Point(0.0, value, slope, g), first)
            torch.add(here, d, alpha=found.at, out=flat.data)
            s, y = flat.data - here, found.gradient - g
            if float(s @ y) > 1e-10 * float(y @ y):
                steps.copy_(steps.roll(-1, 0))[-1] = s
                changes.copy_(changes.roll(-1, 0))[-1] = y
                count.fill_(min(int(count) + 1, self.history_size))
            fell, value, g = value - found.loss, found.loss, found.gradient
            if float(s.abs().max()) <= self.tolerance_change or abs(fell) < self.tolerance_change:
                break


def _direction(g: Tensor, steps: Tensor, changes: Tensor, count: int) -> Tensor:
    """-H g by the two loops of Nocedal & Wright 2006, algorithm 7.4, from the last `count` rows, the newest last."""
    q = -g
    rows = range(len(steps) - count, len(steps))
    weights = {}
    for i in reversed(rows):
        weights[i] = float(steps[i] @ q) / float(steps[i] @ changes[i])
        q.add_(changes[i], alpha=-weights[i])
    if count:
        q.mul_(float(steps[-1] @ changes[-1]) / float(changes[-1] @ changes[-1]))
    for i in rows:
        back = float(changes[i] @ q) / float(steps[i] @ changes[i])
        q.add_(steps[i], alpha=weights[i] - back)
    return q
