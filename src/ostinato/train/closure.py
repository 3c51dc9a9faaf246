"""The data of one step as functions of the weights, for optimisers that look at it more than once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ostinato.kernels.choose import outputs
from ostinato.layers.stack import Stack
from ostinato.maps.base import State
from ostinato.train.batches import Batch
from ostinato.train.curvature import Curvature
from ostinato.train.flat import Flat

Loss = Callable[[Tensor, Batch, Tensor | None], tuple[Tensor, float]]


class Closure:
    """Loss, gradient and curvature of one step's data, at the weights that `flat` holds when they are asked for.

    Dropout draws the same noise each time, since noise follows from the step's number.

    Args:
        stack: The model, in training mode.
        flat: Its weights and gradients.
        batch: What the step sees.
        loss: Its mean loss.
        penalty: Added to the loss, for regularised weights; None for none.
        curvature: The loss whose second derivative by the output is used; None for `loss` itself.
        states: Start states of each layer; () for zeros.
    """

    def __init__(
        self,
        stack: Stack,
        flat: Flat,
        batch: Batch,
        loss: Loss,
        *,
        penalty: Callable[[], Tensor] | None = None,
        curvature: Loss | None = None,
        states: Sequence[State] = (),
    ) -> None:
        self.stack, self.flat, self.batch, self.states = stack, flat, batch, states
        self._loss, self._penalty, self._curvature = loss, penalty, curvature

    @torch.no_grad()
    def loss(self) -> float:
        """The loss."""
        return float(self._value())

    @torch.enable_grad()
    def gradient(self) -> float:
        """Put the gradient into `flat.grad`; returns the loss."""
        self.flat.grad.zero_()
        value = self._value()
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    @torch.enable_grad()
    def curvature(self, rows: Tensor | None = None) -> Curvature:
        """The Gauss–Newton matrix at the present weights, of these rows of the batch or of all."""
        batch, states = self.batch, self.states
        if rows is not None:
            batch = Batch(*(None if part is None else part[rows] for part in batch))  # type: ignore[arg-type]
            states = tuple(tuple(s[rows] for s in state) for state in states)
        with outputs() as hidden:
            y, mask, _ = self.stack.run(batch.x, mask=batch.mask, states=states)
        seen = y.detach().requires_grad_()
        value, _ = self._loss(seen, batch, mask)
        bent, _ = (self._curvature or self._loss)(seen, batch, mask)
        (slope,) = torch.autograd.grad(value, seen)
        return Curvature(
            self.stack,
            self.flat,
            (batch.x, batch.mask, states),
            outputs=(y, *hidden),
            slope=slope,
            bend=(seen, torch.autograd.grad(bent, seen, create_graph=True)[0]),
            penalty=self._penalty,
        )

    def _value(self) -> Tensor:
        y, mask, _ = self.stack.run(self.batch.x, mask=self.batch.mask, states=self.states)
        value, _ = self._loss(y, self.batch, mask)
        if self._penalty is not None:
            value = value + self._penalty()
        charge = self.stack.charges()
        return value if charge is None else value + charge
