"""Intervals that keep their promise: conformalised quantile regression (Romano, Patterson & Candès 2019)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ostinato.errors import DataError, ShapeError

Floats = NDArray[np.float64]


def widening(low: Floats, high: Floats, actual: Floats, *, level: float) -> float:
    """How much an interval must widen at each end (narrow, if negative) to hold a share `level` of `actual`.

    The score of a value is its distance outside the interval (negative inside); the result is the
    ceil((n + 1) level) / n quantile of the scores (eq. 8 of the paper), or the largest score if that exceeds 1.

    Args:
        low: Lower ends, any shape.
        high: Upper ends, likewise.
        actual: What came, likewise.
        level: Share between 0 and 1.
    """
    if not low.shape == high.shape == actual.shape:
        raise ShapeError(
            "low, high and actual must have equal shapes",
            got=f"{low.shape}, {high.shape} and {actual.shape}",
            fix="Pass one interval per value.",
        )
    if actual.size == 0:
        raise DataError("calibration must have at least one value", got="none", fix="Hold out more data.", code="empty")
    scores = np.sort(np.maximum(low - actual, actual - high), axis=None)
    return float(scores[min(math.ceil((scores.size + 1) * level), scores.size) - 1])
