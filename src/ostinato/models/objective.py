"""From what `compile` was told to what the training loop minimises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from ostinato.errors import ArgumentError
from ostinato.losses import Quantile
from ostinato.losses.named import ALIASES, BY_NAME, Loss, loss_named
from ostinato.models.figures import Figure, as_keras, total
from ostinato.train.batches import Batch
from ostinato.train.loop import Objective


def resolve_loss(choice: Any) -> Loss:
    """A loss from its name, an object, or a function (target, output) as Keras users write them.

    Raises:
        ArgumentError: There is no such loss.
    """
    if isinstance(choice, Loss):
        return choice
    if isinstance(choice, Quantile):
        return Loss("quantile", choice, "own", plain=False)
    if isinstance(choice, str):
        found = loss_named(choice)
        if found is not None:
            return found
    elif callable(choice):
        for known in BY_NAME.values():
            if choice is known.function:
                return known
        return Loss(getattr(choice, "__name__", "loss"), as_keras(choice), plain=False)
    raise ArgumentError(
        f"loss must be one of {', '.join((*BY_NAME, *ALIASES))}, or a function (y_true, y_pred) on tensors",
        got=repr(choice),
        fix="Choose a name from the list.",
    )


def objective(loss: Loss, figures: Sequence[Figure], *, penalty: Callable[[], Tensor] | None) -> Objective:
    """The training loop's objective.

    The loss of a batch is sum(weight · value) / number of real samples and steps: weights scale the loss as in Keras,
    masked steps do not count at all.
    """

    def mean(y: Tensor, batch: Batch, mask: Tensor | None) -> tuple[Tensor, float]:
        return weighed(loss.function(y, batch.target), y, batch, mask)

    def curvature(y: Tensor, batch: Batch, mask: Tensor | None) -> tuple[Tensor, float]:
        assert loss.expected is not None
        return weighed(loss.expected(y, y.detach()), y, batch, mask)

    def weighed(values: Tensor, y: Tensor, batch: Batch, mask: Tensor | None) -> tuple[Tensor, float]:
        if mask is None and batch.weight is None:
            return values.mean(), float(max(values.numel(), len(y) if values.ndim == 0 else 0))
        needed = max(0 if mask is None else mask.ndim, 0 if batch.weight is None else batch.weight.ndim)
        if values.ndim < needed:
            raise ArgumentError(
                "a loss of your own must return one value per sample, or per step of a sequence, when samples have "
                "weights or masks",
                got="a single number" if values.ndim == 0 else f"values of shape {tuple(values.shape)}",
                fix="Average over the last axis only.",
            )
        if batch.weight is not None:
            values = values * _along(batch.weight, values)
        if mask is None:
            return values.mean(), float(values.numel())
        real = _along(mask.to(values), values)
        count = real.sum()
        return (values * real).sum() / count.clamp(min=1.0), float(count)

    return Objective(
        mean,
        {f.name: total(f) for f in figures},
        penalty,
        {f.name: f.finish for f in figures if f.finish is not None},
        None if loss.expected is None else curvature,
    )


def _along(weight: Tensor, values: Tensor) -> Tensor:
    """`weight` spread over the further axes of `values`, never the other way round."""
    return weight.reshape(weight.shape + (1,) * (values.ndim - weight.ndim)).expand_as(values)
