"""Metrics of the Keras face: sums and counts whose quotient is an epoch's figure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from ostinato.errors import ArgumentError
from ostinato.losses.named import ALIASES, BY_NAME, Loss, loss_named
from ostinato.models.inputs import check_whole

Values = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Figure:
    """A metric.

    Args:
        name: Its name in the history.
        values: (output, target) to one value per sample and step.
        counts: Likewise, what the sum of values is divided by; None for the number of samples and steps.
        finish: What the quotient becomes at the end.
        plain: Whether the name alone says everything, so that a model file can hold it.
    """

    name: str
    values: Values
    counts: Values | None = None
    finish: Callable[[float], float] | None = None
    plain: bool = True


def BinaryAccuracy(name: str = "binary_accuracy", threshold: float = 0.5) -> Figure:  # noqa: N802
    """Share of outputs on the right side of the threshold."""
    return Figure(name, lambda y, t: ((y > threshold).to(t) == t).to(y).mean(-1), plain=name == "binary_accuracy")


def CategoricalAccuracy(name: str = "categorical_accuracy") -> Figure:  # noqa: N802
    """Share of samples whose largest output is at the one-hot target's 1."""
    return Figure(name, lambda y, t: (y.argmax(-1) == t.argmax(-1)).to(y), plain=name == "categorical_accuracy")


def SparseCategoricalAccuracy(name: str = "sparse_categorical_accuracy") -> Figure:  # noqa: N802
    """Share of samples whose largest output is at the target's class number."""
    return Figure(name, lambda y, t: (y.argmax(-1) == t).to(y), plain=name == "sparse_categorical_accuracy")


def TopKCategoricalAccuracy(k: int = 5, name: str = "top_k_categorical_accuracy") -> Figure:  # noqa: N802
    """Share of samples whose class is among the k largest outputs; targets are one-hot or class numbers."""
    k = check_whole("k", k)

    def values(y: Tensor, t: Tensor) -> Tensor:
        classes = t if t.ndim < y.ndim else t.argmax(-1)
        return (y.topk(min(k, y.shape[-1]), dim=-1).indices == classes[..., None]).any(-1).to(y)

    return Figure(name, values, plain=k == 5 and name == "top_k_categorical_accuracy")


def Precision(name: str = "precision", threshold: float = 0.5) -> Figure:  # noqa: N802
    """Share of positives among outputs above the threshold; 0 if there are none."""
    return Figure(
        name,
        lambda y, t: ((y > threshold) & (t > 0.5)).to(y).sum(-1),
        lambda y, t: (y > threshold).to(y).sum(-1),
        plain=(name, threshold) == ("precision", 0.5),
    )


def Recall(name: str = "recall", threshold: float = 0.5) -> Figure:  # noqa: N802
    """Share of outputs above the threshold among positives; 0 if there are none."""
    return Figure(
        name,
        lambda y, t: ((y > threshold) & (t > 0.5)).to(y).sum(-1),
        lambda y, t: (t > 0.5).to(y).sum(-1),
        plain=(name, threshold) == ("recall", 0.5),
    )


def RootMeanSquaredError(name: str = "root_mean_squared_error") -> Figure:  # noqa: N802
    """sqrt of the mean of (y - target)²."""
    return Figure(
        name,
        BY_NAME["mean_squared_error"].function,
        finish=math.sqrt,
        plain=name in ("root_mean_squared_error", "rmse"),
    )


def from_loss(loss: str, name: str | None = None) -> Figure:
    """A loss as a metric.

    Args:
        loss: The loss's full name.
        name: The metric's name; the loss's by default.
    """
    return Figure(name or loss, BY_NAME[loss].function, plain=loss_named(name or loss) is BY_NAME[loss])


OWN: MappingProxyType[str, Callable[[], Figure]] = MappingProxyType(
    {
        "binary_accuracy": BinaryAccuracy,
        "categorical_accuracy": CategoricalAccuracy,
        "sparse_categorical_accuracy": SparseCategoricalAccuracy,
        "top_k_categorical_accuracy": TopKCategoricalAccuracy,
        "precision": Precision,
        "recall": Recall,
        "root_mean_squared_error": RootMeanSquaredError,
        "rmse": RootMeanSquaredError,
    }
)
"""Metrics by name, besides the losses and "accuracy"."""

_ACCURACY = {"shares": BinaryAccuracy, "one_hot": CategoricalAccuracy, "classes": SparseCategoricalAccuracy}


def figure(choice: Any, loss: Loss | None) -> Figure:
    """A metric from its name, a loss, or a function (target, output) as Keras users write them.

    Args:
        choice: "accuracy" is resolved by the loss.
        loss: The model's loss.

    Raises:
        ArgumentError: There is no such metric, or the loss does not say which accuracy is meant.
    """
    if isinstance(choice, Figure):
        return choice
    if isinstance(choice, Loss):
        return Figure(choice.name, choice.function, plain=choice.plain)
    if callable(choice):
        return Figure(getattr(choice, "__name__", "metric"), as_keras(choice), plain=False)
    if isinstance(choice, str):
        name = choice.lower()
        if name in ("accuracy", "acc"):
            if loss is None or loss.target not in _ACCURACY:
                raise ArgumentError(
                    "accuracy must come with a loss for classes",
                    got=f"metrics=[{choice!r}] and {loss.name if loss else 'a loss of your own'}",
                    fix="Name the kind: binary_accuracy, categorical_accuracy or sparse_categorical_accuracy; "
                    "for numbers use mae or mse.",
                )
            return _renamed(_ACCURACY[loss.target](), choice)
        if name in OWN:
            return _renamed(OWN[name](), choice)
        found = loss_named(choice)
        if found is not None:
            return Figure(choice, found.function)
    raise ArgumentError(
        f"a metric must be accuracy, {', '.join((*OWN, *BY_NAME, *ALIASES))}, or a function",
        got=repr(choice),
        fix="Choose a name from the list.",
    )


def _renamed(made: Figure, name: str) -> Figure:
    return Figure(name, made.values, made.counts, made.finish)


def as_keras(function: Callable[..., Any]) -> Values:
    """A user's function (target, output) in the order and shape that the loop uses."""

    def values(y: Tensor, target: Tensor) -> Tensor:
        v = function(target, y)
        if not isinstance(v, Tensor):
            raise ArgumentError(
                "a loss or metric of your own must return a tensor",
                got=type(v).__name__,
                fix="Compute it with torch from the two tensors (y_true, y_pred).",
            )
        return v.mean(-1) if v.ndim == y.ndim and v.ndim > 1 else v

    return values


def total(made: Figure) -> Callable[[Tensor, Any, Tensor | None], tuple[float, float]]:
    """A metric as the training loop wants it: (output, batch, mask) to (sum, count)."""

    @torch.no_grad()
    def measure(y: Tensor, batch: Any, mask: Tensor | None) -> tuple[float, float]:
        v = made.values(y, batch.target)
        n = torch.ones_like(v) if made.counts is None else made.counts(y, batch.target)
        if v.ndim == 0:
            return float(v) * len(y), float(len(y))
        if mask is not None and v.ndim >= 2:
            real = mask.to(v).reshape(mask.shape + (1,) * (v.ndim - 2))
            v, n = v * real, n * real
        return float(v.sum()), float(n.sum())

    return measure
