"""The one rule by which numbers are compared: errors against float64, never a tolerance tuned by hand.

A kernel's error may be at most twice the error that torch makes in the same dtype, plus a tiny constant: 32 units in
the last place of the largest number involved. Two ways to compute the same thing in one dtype may differ by the
constant on each side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

ULPS = 32.0


def numbers(x: Any) -> np.ndarray:
    """Any array as float64."""
    if isinstance(x, torch.Tensor):
        x = x.detach().to(torch.float64).cpu().numpy()
    return np.asarray(x, dtype=np.float64)


def largest(x: np.ndarray) -> float:
    """The largest absolute value; NaN and Inf if there are such; 0 of nothing."""
    return float(np.max(np.abs(x))) if x.size else 0.0


def tiny(dtype: Any, scale: float) -> float:
    """The constant of the rule for numbers as large as `scale`."""
    eps = torch.finfo(dtype).eps if isinstance(dtype, torch.dtype) else np.finfo(dtype).eps
    return ULPS * float(eps) * max(1.0, scale)


def as_good_as(got: Any, truth: Any, peer: Any, *, what: str) -> None:
    """Raise AssertionError unless the error of `got` is at most twice the error of `peer`, plus the constant.

    Args:
        got: What is tested; its dtype decides the constant.
        truth: The same in float64 (or, if `got` is float64, by the plain formula).
        peer: The same by torch in the dtype of `got`.
        what: Name of the quantity.
    """
    a, t, p = numbers(got), numbers(truth), numbers(peer)
    assert a.shape == t.shape, f"{what}: shape {a.shape}, must be {t.shape}"
    limit = 2.0 * largest(p - t) + tiny(got.dtype, largest(t))
    error = largest(a - t)
    assert error <= limit, f"{what}: error {error:.3g}, allowed {limit:.3g}"


def same(got: Any, other: Any, *, what: str) -> None:
    """Raise AssertionError unless both agree to the constant of the rule, once for each side."""
    a, b = numbers(got), numbers(other)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, must be {b.shape}"
    limit = 2.0 * tiny(got.dtype, largest(b))
    error = largest(a - b)
    assert error <= limit, f"{what}: differs by {error:.3g}, allowed {limit:.3g}"


def exact(got: Any, other: Any, *, what: str) -> None:
    """Raise AssertionError unless both are equal bit for bit."""
    a, b = numbers(got), numbers(other)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, must be {b.shape}"
    assert np.array_equal(a, b), f"{what}: must be equal, differs by {largest(a - b):.3g}"


def different(got: Any, other: Any, *, what: str) -> None:
    """Raise AssertionError if both agree to a thousandth: a law that compares them could not fail."""
    assert largest(numbers(got) - numbers(other)) > 1e-3, f"{what}: must differ"
