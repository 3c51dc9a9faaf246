"""Losses as objects: a name, a function, what its targets must be, and the spellings that Keras users know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.errors import DataError, ShapeError
from ostinato.losses import labels, points
from ostinato.maps._check import check_flag, check_positive, check_rate

Function = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Loss:
    """A loss and what it demands.

    Args:
        name: Its name.
        function: (output, target) to one value per sample and step.
        target: "numbers", "shares" (in [0, 1]), "one_hot" or "classes" (whole numbers, one axis less than the output).
        plain: Whether the name alone says everything, so that a model file can hold it.
        expected: For a loss of probabilities: the same as a function of (output, probabilities that the target is drawn
            from), whose second derivative is the one to expect, and that of the scores before softmax or sigmoid.
    """

    name: str
    function: Function
    target: str = "numbers"
    plain: bool = True
    expected: Function | None = None

    def __call__(self, y_true: Any, y_pred: Any) -> Tensor:
        """One value per sample and step; target first, as Keras users call a loss. Nothing is broadcast.

        Raises:
            ShapeError: The target does not fit the output.
            DataError: It must hold classes, and holds other numbers.
        """
        target, y = (v if isinstance(v, Tensor) else torch.as_tensor(np.asarray(v)) for v in (y_true, y_pred))
        if not y.is_floating_point():
            y = y.to(torch.get_default_dtype())
        if self.target == "classes":
            target = target[..., 0] if target.ndim == y.ndim and target.shape[-1] == 1 else target
        else:
            target = target.to(y.dtype)
        expected = y.shape[:-1] if self.target == "classes" else y.shape
        if self.target != "own" and target.shape != expected:
            raise ShapeError(
                f"y_true must have the shape {tuple(expected)}, since y_pred has {tuple(y.shape)}",
                got=str(tuple(target.shape)),
                fix="Reshape it; nothing is broadcast.",
                where=self.name,
            )
        if self.target == "classes":
            _check_classes(target, y.shape[-1])
        return self.function(y, target)


def _check_classes(target: Tensor, count: int) -> None:
    wrong = target[(target != target.long()) | (target < 0) | (target >= count)]
    if wrong.numel():
        raise DataError(
            f"classes must be whole numbers from 0 to {count - 1}",
            got=f"{wrong.numel()} others, first {wrong.flatten()[0].item()}",
            fix="Number the classes from 0, and give the last layer a unit for each.",
            code="classes",
        )


def MeanSquaredError() -> Loss:  # noqa: N802
    """mean (y - target)²."""
    return BY_NAME["mean_squared_error"]


def MeanAbsoluteError() -> Loss:  # noqa: N802
    """mean |y - target|."""
    return BY_NAME["mean_absolute_error"]


def MeanAbsolutePercentageError() -> Loss:  # noqa: N802
    """mean 100 |y - target| / |target|."""
    return BY_NAME["mean_absolute_percentage_error"]


def MeanSquaredLogarithmicError() -> Loss:  # noqa: N802
    """mean (log(1 + y) - log(1 + target))²."""
    return BY_NAME["mean_squared_logarithmic_error"]


def Huber(delta: float = 1.0) -> Loss:  # noqa: N802
    """d²/2 for |d| <= delta, else delta (|d| - delta/2)."""
    check_positive("delta", delta)

    def huber(y: Tensor, target: Tensor) -> Tensor:
        return torch.nn.functional.huber_loss(y, target, reduction="none", delta=delta).mean(-1)

    return Loss("huber", huber, plain=delta == 1.0)


def LogCosh() -> Loss:  # noqa: N802
    """mean log cosh(y - target)."""
    return BY_NAME["log_cosh"]


def Poisson() -> Loss:  # noqa: N802
    """mean y - target log y."""
    return BY_NAME["poisson"]


def KLDivergence() -> Loss:  # noqa: N802
    """sum t log(t / p)."""
    return BY_NAME["kl_divergence"]


def Hinge() -> Loss:  # noqa: N802
    """mean max(1 - t y, 0)."""
    return BY_NAME["hinge"]


def BinaryCrossentropy(*, from_logits: bool = False, label_smoothing: float = 0.0) -> Loss:  # noqa: N802
    """Cross-entropy of two classes.

    Args:
        from_logits: The output is a logit; no sigmoid in the last layer. The safest way.
        label_smoothing: Targets move by this share towards 1/2.
    """
    check_rate("label_smoothing", label_smoothing)
    check_flag("from_logits", from_logits)
    s = label_smoothing

    def binary_crossentropy(y: Tensor, target: Tensor) -> Tensor:
        t = target * (1.0 - s) + 0.5 * s
        if from_logits:
            return torch.nn.functional.binary_cross_entropy_with_logits(y, t, reduction="none").mean(-1)
        return labels.binary_crossentropy(y, t)

    expected = None if from_logits else labels.binary_crossentropy
    return Loss("binary_crossentropy", binary_crossentropy, "shares", not from_logits and s == 0.0, expected)


def CategoricalCrossentropy(*, from_logits: bool = False, label_smoothing: float = 0.0) -> Loss:  # noqa: N802
    """Cross-entropy of one-hot classes; arguments as for `BinaryCrossentropy`."""
    check_rate("label_smoothing", label_smoothing)
    check_flag("from_logits", from_logits)
    s = label_smoothing

    def categorical_crossentropy(y: Tensor, target: Tensor) -> Tensor:
        t = target * (1.0 - s) + s / y.shape[-1]
        return -(t * y.log_softmax(-1)).sum(-1) if from_logits else labels.categorical_crossentropy(y, t)

    expected = None if from_logits else labels.categorical_crossentropy
    return Loss("categorical_crossentropy", categorical_crossentropy, "one_hot", not from_logits and s == 0.0, expected)


def SparseCategoricalCrossentropy(*, from_logits: bool = False) -> Loss:  # noqa: N802
    """Cross-entropy of class numbers.

    Args:
        from_logits: The outputs are logits; no softmax in the last layer.
    """
    check_flag("from_logits", from_logits)

    def sparse_categorical_crossentropy(y: Tensor, target: Tensor) -> Tensor:
        if from_logits:
            return -y.log_softmax(-1).gather(-1, target.long()[..., None])[..., 0]
        return labels.sparse_categorical_crossentropy(y, target)

    expected = None if from_logits else labels.categorical_crossentropy
    name = "sparse_categorical_crossentropy"
    return Loss(name, sparse_categorical_crossentropy, "classes", not from_logits, expected)


_TARGETS = {
    "binary_crossentropy": "shares",
    "categorical_crossentropy": "one_hot",
    "sparse_categorical_crossentropy": "classes",
}

_EXPECTED = {
    "binary_crossentropy": labels.binary_crossentropy,
    "categorical_crossentropy": labels.categorical_crossentropy,
    "sparse_categorical_crossentropy": labels.categorical_crossentropy,
    "kl_divergence": labels.kl_divergence,
}

BY_NAME = MappingProxyType(
    {
        name: Loss(name, function, _TARGETS.get(name, "numbers"), expected=_EXPECTED.get(name))
        for name, function in (*points.FUNCTIONS.items(), *labels.FUNCTIONS.items())
    }
)
"""Losses by name."""

ALIASES = MappingProxyType(
    {
        "mse": "mean_squared_error",
        "mae": "mean_absolute_error",
        "mape": "mean_absolute_percentage_error",
        "msle": "mean_squared_logarithmic_error",
        "bce": "binary_crossentropy",
        "kld": "kl_divergence",
        "kullback_leibler_divergence": "kl_divergence",
        "logcosh": "log_cosh",
        "huber_loss": "huber",
    }
)
"""Keras' other spellings."""


def loss_named(name: str) -> Loss | None:
    """The loss of that name in any spelling, such as "mse", "MSE" or "MeanSquaredError"; None if there is none."""
    squeezed = name.replace("_", "").lower()
    for key, value in (*BY_NAME.items(), *((alias, BY_NAME[full]) for alias, full in ALIASES.items())):
        if key.replace("_", "") == squeezed:
            return value
    return None
