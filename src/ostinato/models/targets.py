"""What users pass as targets and weights, held against the output of the model: nothing is ever broadcast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.errors import ArgumentError, DataError, ShapeError
from ostinato.models.inputs import Padded, as_float, as_numbers, as_whole, check_finite, places
from ostinato.train.batches import Arrays


def as_target(y: Any, *, output: tuple[int, ...], kind: str) -> Tensor:
    """Check and convert a target.

    A target that lacks only the last axis gets it if the output's last axis has size 1. Everything else must have the
    output's own shape.

    Args:
        y: Array, tensor, data frame or list.
        output: Shape of the model's output for the same rows.
        kind: What the loss demands, see `Loss.target`; "own" leaves all but the rows to the loss.

    Raises:
        ShapeError: The shape is not the output's.
        DataError: Numbers are not what the loss can take.
    """
    values = as_numbers("y", y)
    if isinstance(values, Padded):
        values = values.values
        if values.ndim > 1 and len(output) > 1 and values.shape[1] < output[1]:
            wide = np.zeros((len(values), output[1], *values.shape[2:]), values.dtype)
            wide[:, : values.shape[1]] = values
            values = wide
    if kind == "own":
        if values.shape[:1] != output[:1]:
            _refuse(values.shape, output[:1], output)
        return as_float("y", values)
    if kind == "classes":
        expected = output[:-1]
        if values.shape == (*expected, 1):
            values = values[..., 0]
        if values.shape != expected:
            _refuse(values.shape, expected, output)
        return as_whole("y", values, below=output[-1])
    if values.ndim == len(output) - 1 and output[-1] == 1:
        values = values[..., None]
    if values.shape != output:
        _refuse(values.shape, output, output, one_hot=kind == "one_hot")
    target = as_float("y", values)
    if kind in ("shares", "one_hot"):
        _check_shares(values, one_hot=kind == "one_hot")
    return target


def as_weights(sample_weight: Any, *, output: tuple[int, ...]) -> Tensor | None:
    """The weight of each sample, `[batch]`, or of each step, `[batch, time]`; None for equal weights.

    Args:
        sample_weight: One number per sample or per step.
        output: Shape of the model's output.
    """
    if sample_weight is None:
        return None
    values = as_numbers("sample_weight", sample_weight)
    if isinstance(values, Padded):
        values = values.values
    allowed = [output[:1]] + ([output[:2]] if len(output) > 2 else [])
    if values.shape not in allowed:
        raise ShapeError(
            f"sample_weight must have the shape {' or '.join(map(str, allowed))}",
            got=str(values.shape),
            fix="Pass one number per sample, or per step if the model returns sequences.",
        )
    check_finite("sample_weight", values.astype(np.float64))
    if (values < 0).any():
        bad = values < 0
        raise DataError(
            "sample_weight must be at least 0",
            got=str(values[bad][0]),
            count=int(bad.sum()),
            where=places(bad),
            fix="Remove the samples, or give them weight 0.",
            code="range",
        )
    return as_float("sample_weight", values)


def with_classes(samples: Arrays, class_weight: Mapping[int, float] | None, *, ndim: int) -> Arrays:
    """The samples with the weights of their classes, on top of the weights that they have.

    Args:
        samples: Checked samples.
        class_weight: A weight per class; classes that are not named have weight 1.
        ndim: Number of axes of the model's output.
    """
    if class_weight is None:
        return samples
    if not isinstance(class_weight, Mapping):
        raise ArgumentError(
            "class_weight must be a dictionary from class numbers to weights",
            got=repr(class_weight)[:80],
            fix="Pass, say, {0: 1.0, 1: 5.0}.",
        )
    by_class, weight = _class_weights(class_weight, samples.target, ndim), samples.weight
    if weight is not None and weight.ndim < by_class.ndim:
        weight = weight[:, None]
    return replace(samples, weight=by_class if weight is None else weight * by_class)


def _class_weights(table: Mapping[int, float], target: Tensor, ndim: int) -> Tensor:
    for key, value in table.items():
        whole = isinstance(key, (int, np.integer)) and not isinstance(key, bool) and key >= 0
        if not whole or not isinstance(value, (int, float, np.floating, np.integer)) or not 0 <= value < np.inf:
            raise ArgumentError(
                "class_weight must map class numbers to weights of at least 0",
                got=f"{key!r}: {value!r}",
                fix="Pass, say, {0: 1.0, 1: 5.0}.",
            )
    classes = target if target.ndim < ndim else target[..., 0] if target.shape[-1] == 1 else target.argmax(-1)
    if not bool((classes == classes.round() if classes.is_floating_point() else classes >= 0).all()):
        raise DataError(
            "class_weight must come with targets that are classes",
            got="other numbers",
            fix="Use sample_weight.",
            code="classes",
        )
    weight = torch.ones(classes.shape, dtype=torch.get_default_dtype())
    for key, value in table.items():
        weight[classes == int(key)] = float(value)
    return weight


def _check_shares(values: Any, *, one_hot: bool) -> None:
    bad = (values < 0) | (values > 1)
    if bad.any():
        raise DataError(
            "y must lie between 0 and 1 for this loss",
            got=str(values[bad][0]),
            count=int(bad.sum()),
            where=places(bad),
            fix="Pass 0 and 1, or probabilities; for class numbers use sparse_categorical_crossentropy.",
            code="range",
        )
    if one_hot:
        off = np.abs(np.asarray(values, dtype=np.float64).sum(-1) - 1.0) > 1e-3
        if off.any():
            raise DataError(
                "y must sum to 1 over the classes",
                got=str(np.asarray(values, dtype=np.float64).sum(-1)[off][0]),
                count=int(off.sum()),
                where=places(off),
                fix="Pass one-hot rows or probabilities; for several classes at once use binary_crossentropy.",
                code="range",
            )


def _refuse(got: tuple[int, ...], expected: tuple[int, ...], output: tuple[int, ...], *, one_hot: bool = False) -> None:
    fix = "Reshape y, or give the last layer as many units as y has columns; nothing is broadcast."
    if one_hot and got in (output[:-1], (*output[:-1], 1)):
        fix = "Use loss='sparse_categorical_crossentropy' for class numbers, or to_categorical(y)."
    elif len(output) == 3 and len(got) <= 2 and got[:1] == output[:1]:
        fix = (
            "Set return_sequences=False in the last recurrent layer for one target a sample, or pass one for each step."
        )
    raise ShapeError(f"y must have the shape {expected}, since the output has {output}", got=str(got), fix=fix)
