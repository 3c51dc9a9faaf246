"""A step along a line after which loss and slope are small enough: the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

_FALL, _FLATTER, _MOST = 1e-4, 0.9, 25


class Point(NamedTuple):
    """A place on the line.

    Args:
        at: How far along.
        loss: The loss there.
        slope: Its derivative along the line.
        gradient: Its gradient.
    """

    at: float
    loss: float
    slope: float
    gradient: Tensor


def strong_wolfe(evaluate: Callable[[float], Point], start: Point, first: float) -> Point:
    """A point where the loss fell enough and the slope is less steep (Nocedal & Wright 2006, algorithms 3.5 and 3.6).

    Args:
        evaluate: The point at a distance.
        start: The point at 0, where the slope is negative.
        first: The distance to try first.

    Returns:
        Such a point; after 25 evaluations the lowest one seen, which may be `start`.
    """
    low, at = start, first
    for tries in range(1, _MOST + 1):
        point = evaluate(at)
        if not math.isfinite(point.loss) or not math.isfinite(point.slope):
            return _between(evaluate, start, low, _high(point), _MOST - tries)
        if point.loss > start.loss + _FALL * at * start.slope or (low is not start and point.loss >= low.loss):
            return _between(evaluate, start, low, point, _MOST - tries)
        if abs(point.slope) <= -_FLATTER * start.slope:
            return point
        if point.slope >= 0.0:
            return _between(evaluate, start, point, low, _MOST - tries)
        low, at = point, 2.0 * at
    return low


def _high(point: Point) -> Point:
    return point._replace(loss=math.inf, slope=math.nan)


def _between(evaluate: Callable[[float], Point], start: Point, low: Point, high: Point, tries: int) -> Point:
    """Narrow the span between `low`, the lowest point so far, and `high`."""
    for _ in range(tries):
        point = evaluate(_cubic(low, high))
        if not math.isfinite(point.loss) or not math.isfinite(point.slope):
            high = _high(point)
        elif point.loss > start.loss + _FALL * point.at * start.slope or point.loss >= low.loss:
            high = point
        else:
            if abs(point.slope) <= -_FLATTER * start.slope:
                return point
            if point.slope * (high.at - low.at) >= 0.0:
                high = low
            low = point
        if abs(high.at - low.at) <= 1e-9 * max(abs(low.at), abs(high.at)):
            break
    return low


def _cubic(a: Point, b: Point) -> float:
    """Where the cubic through both points with their slopes is lowest, kept off the ends, or the middle."""
    middle, width = 0.5 * (a.at + b.at), abs(b.at - a.at)
    if not math.isfinite(b.loss):
        return a.at + 0.1 * (b.at - a.at)
    d = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.at - b.at)
    square = d * d - a.slope * b.slope
    if square < 0.0:
        return middle
    root = math.copysign(math.sqrt(square), b.at - a.at)
    below = b.slope - a.slope + 2.0 * root
    at = b.at - (b.at - a.at) * (b.slope + root - d) / below if below else middle
    first, last = min(a.at, b.at) + 0.1 * width, max(a.at, b.at) - 0.1 * width
    return min(max(at, first), last) if math.isfinite(at) else middle
