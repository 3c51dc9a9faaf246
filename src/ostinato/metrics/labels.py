"""Metrics of classification. Labels are whole numbers or texts; `observed` and `weights` as in `points`.

Where a ratio has nothing below it (a class that never occurs, or is never predicted) it counts as 0.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.errors import ArgumentError, DataError, ShapeError
from ostinato.metrics.paired import Floats, chosen, finite, mean, numbers, whole

Average = Literal["macro", "micro", "weighted"]


class Confusion(NamedTuple):
    """How often each class was taken for each.

    Args:
        labels: `[classes]`, sorted; all that occur in truth or prediction.
        counts: `[classes, classes]`, the truth along rows, the prediction along columns; sums of weights if given.
    """

    labels: NDArray[Any]
    counts: Floats


class PerClass(NamedTuple):
    """One value for each class, in the order of `labels`; `support` is how often the class occurs in the truth."""

    labels: NDArray[Any]
    precision: Floats
    recall: Floats
    f1: Floats
    support: Floats


def accuracy(
    y: ArrayLike, f: ArrayLike, *, observed: ArrayLike | None = None, weights: ArrayLike | None = None
) -> float:
    """Share of entries whose predicted label is the true one.

    Args:
        y: True labels, any shape.
        f: Predicted labels, the same shape and kind.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.

    >>> accuracy(["a", "b"], ["a", "a"])
    0.5
    """
    truth, guess, weight = _labels(y, f, observed=observed, weights=weights)
    return mean((truth == guess).astype(np.float64), weight)


def confusion(
    y: ArrayLike, f: ArrayLike, *, observed: ArrayLike | None = None, weights: ArrayLike | None = None
) -> Confusion:
    """Count how often each true class (rows) was predicted as each class (columns).

    Args:
        y: True labels, any shape.
        f: Predicted labels, the same shape and kind.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.
    """
    truth, guess, weight = _labels(y, f, observed=observed, weights=weights)
    names, codes = np.unique(np.concatenate([truth, guess]), return_inverse=True)
    n = len(names)
    cell = codes[: len(truth)] * n + codes[len(truth) :]
    return Confusion(names, np.bincount(cell, weights=weight, minlength=n * n).reshape(n, n).astype(np.float64))


def per_class(
    y: ArrayLike, f: ArrayLike, *, observed: ArrayLike | None = None, weights: ArrayLike | None = None
) -> PerClass:
    """Precision, recall, F1 and support of every class that occurs in truth or prediction.

    Args:
        y: True labels, any shape.
        f: Predicted labels, the same shape and kind.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.
    """
    names, counts = confusion(y, f, observed=observed, weights=weights)
    hit, guessed, true = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    return PerClass(names, _ratio(hit, guessed), _ratio(hit, true), _ratio(2 * hit, guessed + true), true)


def precision(
    y: ArrayLike,
    f: ArrayLike,
    *,
    positive: Hashable | None = None,
    average: Average = "macro",
    observed: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> float:
    """Of the entries predicted as a class, the share that is of that class.

    Args:
        y: True labels, any shape.
        f: Predicted labels, the same shape and kind.
        positive: The one class to score; None averages over classes.
        average: `macro`: every class counts alike; `weighted`: by its support; `micro`: entries are pooled first.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.

    Raises:
        ArgumentError: `positive` occurs neither in `y` nor in `f`, or `average` is unknown.
    """
    table = confusion(y, f, observed=observed, weights=weights)
    return _averaged("precision", table, positive=positive, average=average)


def recall(
    y: ArrayLike,
    f: ArrayLike,
    *,
    positive: Hashable | None = None,
    average: Average = "macro",
    observed: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> float:
    """Of the entries of a class, the share that was predicted as that class.

    Args:
        y: True labels, any shape.
        f: Predicted labels, the same shape and kind.
        positive: The one class to score; None averages over classes.
        average: `macro`: every class counts alike; `weighted`: by its support; `micro`: entries are pooled first.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.

    Raises:
        ArgumentError: `positive` occurs neither in `y` nor in `f`, or `average` is unknown.
    """
    table = confusion(y, f, observed=observed, weights=weights)
    return _averaged("recall", table, positive=positive, average=average)


def f1(
    y: ArrayLike,
    f: ArrayLike,
    *,
    positive: Hashable | None = None,
    average: Average = "macro",
    observed: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> float:
    """Harmonic mean of precision and recall; the macro average is the mean of the classes' F1.

    Args:
        y: True labels, any shape.
        f: Predicted labels, the same shape and kind.
        positive: The one class to score; None averages over classes.
        average: `macro`: every class counts alike; `weighted`: by its support; `micro`: entries are pooled first.
        observed: Boolean, True where an entry counts.
        weights: Weight of each entry.

    Raises:
        ArgumentError: `positive` occurs neither in `y` nor in `f`, or `average` is unknown.
    """
    table = confusion(y, f, observed=observed, weights=weights)
    return _averaged("f1", table, positive=positive, average=average)


def top_k(
    y: ArrayLike, scores: ArrayLike, *, k: int, observed: ArrayLike | None = None, weights: ArrayLike | None = None
) -> float:
    """Share of entries whose true class is among the `k` highest scores; ties count against the forecast.

    Args:
        y: True classes as whole numbers from 0, any shape.
        scores: `[*y.shape, classes]`.
        k: How many classes may be named, at least 1; with `k` = classes the result is 1.
        observed: Boolean of the shape of `y`, True where an entry counts.
        weights: Weight of each entry of `y`.
    """
    k = whole("k", k)
    truth, values, weight = _scored(y, scores, name="scores", observed=observed, weights=weights)
    own = np.take_along_axis(values, truth[:, None], axis=1)
    return mean(((values >= own).sum(axis=1) <= k).astype(np.float64), weight)


def log_loss(
    y: ArrayLike, probabilities: ArrayLike, *, observed: ArrayLike | None = None, weights: ArrayLike | None = None
) -> float:
    """Mean of `-log p(true class)` in nats; a `p` below 2.2e-16 counts as 2.2e-16, so that the result is finite.

    Args:
        y: True classes as whole numbers from 0, any shape.
        probabilities: `[*y.shape, classes]`, at least 0, each row with sum 1 (within 0.0001).
        observed: Boolean of the shape of `y`, True where an entry counts.
        weights: Weight of each entry of `y`.

    Raises:
        DataError: Code `probability`: a row is negative somewhere or does not add up to 1.
    """
    truth, values, weight = _scored(y, probabilities, name="probabilities", observed=observed, weights=weights)
    wrong = (values < 0).any(axis=1) | (np.abs(values.sum(axis=1) - 1) > 1e-4)
    if wrong.any():
        raise DataError(
            "each row of probabilities must be at least 0 and add up to 1",
            got=f"a row with sum {values[wrong][0].sum():g}",
            fix="Apply softmax to the scores first.",
            count=int(wrong.sum()),
            code="probability",
        )
    own = np.take_along_axis(values, truth[:, None], axis=1)[:, 0]
    return mean(-np.log(np.clip(own, np.finfo(np.float64).eps, 1.0)), weight)


def _labels(
    y: ArrayLike, f: ArrayLike, *, observed: ArrayLike | None, weights: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[Any], Floats]:
    truth, guess = np.asarray(y), np.asarray(f)
    if truth.shape != guess.shape:
        raise ShapeError(
            f"f must have the shape of y, {truth.shape}",
            got=f"{guess.shape}",
            fix="Pass one predicted label for each true one.",
        )
    keep, weight = chosen(truth.shape, observed=observed, weights=weights)
    truth, guess = _kind("y", truth[keep]), _kind("f", guess[keep])
    if (truth.dtype.kind == "U") != (guess.dtype.kind == "U"):
        raise DataError(
            "y and f must hold labels of one kind",
            got=f"{truth.dtype} and {guess.dtype}",
            fix="Use the same label set for both.",
            code="dtype",
        )
    return truth, guess, weight[keep]


def _kind(name: str, labels: NDArray[Any]) -> NDArray[Any]:
    """Labels as an array of numbers or of text; NaN, None and mixtures are refused."""
    kind = labels.dtype.kind
    if kind in "biuU":
        return labels
    if kind == "f":
        finite(name, labels.astype(np.float64), np.ones(labels.shape, dtype=bool))
        return labels
    if kind == "O" and all(isinstance(label, str) for label in labels):
        return labels.astype(str)
    raise DataError(
        f"{name} must hold labels that are all texts or all whole numbers",
        got=f"dtype {labels.dtype}" if kind != "O" else "a mixture, or a missing label",
        fix="Convert the labels to text, and mark missing ones with observed=False.",
        code="dtype",
    )


def _scored(
    y: ArrayLike, scores: ArrayLike, *, name: str, observed: ArrayLike | None, weights: ArrayLike | None
) -> tuple[NDArray[np.intp], Floats, Floats]:
    truth, values = numbers("y", y), numbers(name, scores)
    if values.ndim != truth.ndim + 1 or values.shape[:-1] != truth.shape:
        raise ShapeError(
            f"{name} must have the shape of y and one more axis for the classes, {(*truth.shape, 'classes')}",
            got=f"{values.shape}",
            fix="Pass one score for each class on the last axis.",
        )
    keep, weight = chosen(truth.shape, observed=observed, weights=weights)
    finite("y", truth, keep)
    finite(name, values, np.broadcast_to(keep[..., None], values.shape))
    kept, n = truth[keep], values.shape[-1]
    wrong = (kept != np.floor(kept)) | (kept < 0) | (kept >= n)
    if wrong.any():
        raise DataError(
            f"y must hold class numbers from 0 to {n - 1}",
            got=f"{kept[wrong][0]:g}",
            fix="Turn the labels into their places in the list of classes.",
            count=int(wrong.sum()),
            code="label",
        )
    return kept.astype(np.intp), values[keep], weight[keep]


def _ratio(top: Floats, bottom: Floats) -> Floats:
    result: Floats = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
    return result


def _averaged(
    which: Literal["precision", "recall", "f1"], table: Confusion, *, positive: Hashable | None, average: str
) -> float:
    hit, guessed, true = np.diag(table.counts), table.counts.sum(axis=0), table.counts.sum(axis=1)
    bottom = {"precision": guessed, "recall": true, "f1": (guessed + true) / 2}[which]
    if positive is not None:
        place = [i for i, label in enumerate(table.labels.tolist()) if label == positive]
        if not place:
            raise ArgumentError(
                "positive must be one of the labels",
                got=repr(positive),
                fix=f"Choose among {table.labels.tolist()[:10]}.",
            )
        return float(_ratio(hit, bottom)[place[0]])
    if average == "micro":
        return float(hit.sum() / bottom.sum())
    if average == "macro":
        return float(_ratio(hit, bottom).mean())
    if average == "weighted":
        return mean(_ratio(hit, bottom), true)
    raise ArgumentError(
        "average must be 'macro', 'micro' or 'weighted'", got=repr(average), fix="For one class alone pass positive=."
    )
