"""The one check in front of every metric: same shape, real numbers, nothing missing, nothing broadcast."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.errors import ArgumentError, DataError, ShapeError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Paired(NamedTuple):
    """What a metric computes on: the observed entries of each array, flat, and one weight for each (all 1 if none).

    Args:
        arrays: One `[n]` float64 array for each array that was given, in order.
        weights: `[n]`, at least 0, with a positive sum.
    """

    arrays: tuple[Floats, ...]
    weights: Floats


def numbers(name: str, value: ArrayLike) -> Floats:
    """Turn `value` into a float64 array, or say why it is not one.

    Args:
        name: The argument's name, for the message.
        value: Anything array-like; complex numbers, text and masked arrays are refused.

    Raises:
        DataError: Code `dtype`: not a rectangular array of real numbers.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise DataError(
            f"{name} must be a plain array",
            got="a masked array, whose mask would be lost",
            fix="Pass the values as a plain array and the mask as observed=~array.mask.",
            code="dtype",
        )
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError(str(array.dtype))
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{name} must be an array of real numbers",
            got=str(error).splitlines()[0],
            fix="Convert it to floats, with rows of equal length.",
            code="dtype",
        ) from None


def chosen(shape: tuple[int, ...], *, observed: ArrayLike | None, weights: ArrayLike | None) -> tuple[Bools, Floats]:
    """Check `observed` and `weights` against `shape`; the entries that count, and their weights.

    Args:
        shape: The shape that both must have exactly.
        observed: Boolean, True where the entry counts; None: everywhere.
        weights: At least 0 and finite; None: all 1.

    Raises:
        ShapeError: The shape is another one.
        DataError: Code `empty` (nothing left to count), `dtype` (`observed` is not boolean), `nonfinite` or `negative`.
    """
    keep = np.ones(shape, dtype=bool)
    if observed is not None:
        given = np.asarray(observed)
        _same_shape("observed", given.shape, shape)
        if given.dtype != np.bool_:
            raise DataError(
                "observed must be boolean",
                got=f"dtype {given.dtype}",
                fix="Pass a mask such as ~isnan(y).",
                code="dtype",
            )
        keep = given
    weight = np.ones(shape)
    if weights is not None:
        weight = numbers("weights", weights)
        _same_shape("weights", weight.shape, shape)
        finite("weights", weight, keep)
        if (weight[keep] < 0).any():
            raise DataError(
                "weights must be at least 0",
                got=f"{weight[keep].min():g}",
                fix="Use 0 for entries that must not count.",
                code="negative",
            )
    if not weight[keep].any():
        raise DataError(
            "a metric needs at least one observed entry with a positive weight",
            got=f"none in an array of shape {shape}",
            fix="Leave this series or window out.",
            code="empty",
        )
    return keep, weight


def paired(
    names: tuple[str, ...], values: tuple[ArrayLike, ...], *, observed: ArrayLike | None, weights: ArrayLike | None
) -> Paired:
    """Check that all arrays have one shape and are finite where observed, and flatten them.

    Args:
        names: The arguments' names, for the messages.
        values: The arrays; the first gives the shape that all others must have exactly.
        observed: Boolean, True where the entry counts; values elsewhere may be anything, NaN included.
        weights: At least 0; None: all 1.

    Raises:
        ShapeError: Shapes differ. Nothing is broadcast.
        DataError: Code `nan` or `nonfinite` (with the first places), `dtype`, `empty`, `negative`.
    """
    arrays = [numbers(name, value) for name, value in zip(names, values, strict=True)]
    for name, array in zip(names[1:], arrays[1:], strict=True):
        _same_shape(name, array.shape, arrays[0].shape, other=names[0])
    keep, weight = chosen(arrays[0].shape, observed=observed, weights=weights)
    for name, array in zip(names, arrays, strict=True):
        finite(name, array, keep)
    return Paired(tuple(array[keep] for array in arrays), weight[keep])


def finite(name: str, array: Floats, keep: Bools) -> None:
    """Raise `DataError` (code `nan` or `nonfinite`) if an entry that counts is NaN or infinite.

    Args:
        name: The argument's name, for the message.
        array: The values.
        keep: Boolean, same shape: True where the entry counts.
    """
    bad = keep & ~np.isfinite(array)
    if not bad.any():
        return
    places = np.argwhere(bad)
    nan = bool(np.isnan(array[bad]).any())
    raise DataError(
        f"{name} must be finite wherever it is observed",
        got="NaN" if nan else "an infinite value",
        fix="Mark missing entries with observed=False, or repair the values.",
        where=["index " + ", ".join(str(i) for i in place) for place in places[:5]],
        count=len(places),
        code="nan" if nan else "nonfinite",
    )


def mean(values: Floats, weights: Floats) -> float:
    """Weighted mean; `DataError` (code `overflow`) if it is beyond float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        result = float(np.sum(values * (weights / weights.max())) / np.sum(weights / weights.max()))
    return in_range(result)


def in_range(result: float) -> float:
    """Return `result`; `DataError` (code `overflow`) if the computation left the range of float64."""
    if not np.isfinite(result):
        raise DataError(
            "the metric must stay within the range of float64",
            got="an overflow",
            fix="Divide all values by a common number first.",
            code="overflow",
        )
    return result


def fraction(name: str, value: float) -> float:
    """Return `value` if it lies strictly between 0 and 1, else raise `ArgumentError`."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < value < 1:
        raise ArgumentError(
            f"{name} must lie strictly between 0 and 1", got=repr(value), fix="Pass a fraction: 0.8 for 80 %."
        )
    return float(value)


def whole(name: str, value: int, *, least: int = 1) -> int:
    """Return `value` if it is a whole number of at least `least`, else raise `ArgumentError`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ArgumentError(
            f"{name} must be a whole number of at least {least}", got=repr(value), fix=f"Pass {least} or more."
        )
    return int(value)


def _same_shape(name: str, shape: tuple[int, ...], wanted: tuple[int, ...], *, other: str = "y") -> None:
    if shape != wanted:
        raise ShapeError(
            f"{name} must have the shape of {other}, {wanted}",
            got=f"{shape}",
            fix="Reshape one of them; ostinato never broadcasts in a metric.",
        )
