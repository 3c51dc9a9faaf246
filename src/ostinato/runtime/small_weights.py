"""Matrices of weights in fewer bits: bf16 or int8 in the file, float32 again as soon as it is loaded.

bf16 is the upper half of a float32, rounded to even: 8 significant bits, the same range. int8 holds each output column
(the last axis) in steps of 1/127 of its largest number, with one float32 `scale` a column: w = scale · q. Vectors, such
as biases, start states and gains, stay float32: they are few, and errors in them add up along time.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ostinato.errors import ArgumentError, ModelFileError

Array = np.ndarray[Any, Any]

STORES = MappingProxyType({"float32": "F32", "bf16": "BF16", "int8": "I8"})
"""What weights can be stored as, and the type in the file."""

SCALE = "/scale"
"""What the name of an int8 weight's scales has at its end."""

_STEPS = 127
_MOST = np.finfo(np.float32).max / (_STEPS + 1)
_EXPONENT = np.uint16(0x7F80)
_PIECE = 1 << 20


def check_store(store: object) -> None:
    """Raise `ArgumentError` unless `store` is one of `STORES`."""
    if store not in STORES:
        raise ArgumentError(
            f"weights must be stored as one of {', '.join(STORES)}", got=repr(store), fix="Choose one of these."
        )


def is_matrix(rank: int, *, members: int) -> bool:
    """Whether a weight of so many axes is stored in fewer bits; several members have an axis of their own."""
    return rank - (members > 1) >= 2


def scale_shape(shape: tuple[int, ...], *, members: int) -> tuple[int, ...]:
    """The shape of a matrix's scales: one for each output column, of each member."""
    return (shape[0], shape[-1]) if members > 1 else shape[-1:]


def packed(name: str, weight: Array, store: str, *, members: int) -> dict[str, tuple[str, Array]]:
    """A float32 weight as it is stored: types and arrays by name.

    Raises:
        ModelFileError: A number is not finite, or so large that its rounded value is not.
    """
    if store == "float32" or not is_matrix(weight.ndim, members=members):
        return {name: ("F32", weight)}
    if not np.isfinite(weight).all():
        raise _not_finite(name)
    if store == "bf16":
        bits = weight.astype("<f4").view("<u4")
        half = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
        if not np.isfinite(_wide(half)).all():
            raise _not_finite(name)
        return {name: ("BF16", half)}
    axes = tuple(range(1, weight.ndim - 1)) if members > 1 else tuple(range(weight.ndim - 1))
    scale = np.abs(weight).max(axis=axes) / np.float32(_STEPS)
    scale = np.where(scale > 0.0, scale, np.float32(1.0)).astype(np.float32)
    if (scale > _MOST).any():
        raise _not_finite(name)
    steps = np.clip(np.rint(weight / _spread(scale, weight.ndim, members)), -_STEPS, _STEPS)
    return {name: ("I8", steps.astype(np.int8)), name + SCALE: ("F32", scale)}


def count_nonfinite(arrays: Mapping[str, Array], types: Mapping[str, str]) -> dict[str, int]:
    """Names and numbers of NaN and infinities that weights would have as float32; they are not expanded for it.

    Args:
        arrays: As they lie in the file.
        types: Their types by name.
    """
    found = {}
    for name, array in arrays.items():
        if types[name] == "BF16":
            flat = array.reshape(-1)
            pieces = (flat[i : i + _PIECE] for i in range(0, flat.size, _PIECE))
            found[name] = sum(int(np.count_nonzero((piece & _EXPONENT) == _EXPONENT)) for piece in pieces)
        elif types[name] == "I8":
            found[name] = int(np.count_nonzero(~(np.abs(arrays[name + SCALE]) <= _MOST)))
    return {name: count for name, count in found.items() if count}


def unpacked(arrays: Mapping[str, Array], types: Mapping[str, str], *, members: int) -> dict[str, Array]:
    """The weights as float32, without scales.

    Args:
        arrays: As they lie in the file.
        types: Their types by name.
        members: Number of networks.
    """
    found = {}
    for name, array in arrays.items():
        if types[name] == "BF16":
            found[name] = _wide(array)
        elif types[name] == "I8":
            scale = _spread(arrays[name + SCALE], array.ndim, members)
            with np.errstate(over="ignore"):
                found[name] = np.multiply(array, scale, dtype=np.float32)
        elif not (name.endswith(SCALE) and types.get(name.removesuffix(SCALE)) == "I8"):
            found[name] = array
    return found


def rounded(weight: Array, store: str, *, members: int) -> Array:
    """What a float32 weight is after it was stored and loaded; errors as for `packed`."""
    stored = packed("weight", weight, store, members=members)
    arrays, types = {k: a for k, (_, a) in stored.items()}, {k: t for k, (t, _) in stored.items()}
    return unpacked(arrays, types, members=members)["weight"]


def _wide(half: Array) -> Array:
    return (half.astype("<u4") << 16).view("<f4").astype(np.float32, copy=False)


def _spread(scale: Array, rank: int, members: int) -> Array:
    """The scales with axes of size 1, so that each meets its own column."""
    if members > 1:
        return scale.reshape(scale.shape[0], *(1,) * (rank - 2), scale.shape[1])
    return scale


def _not_finite(name: str) -> ModelFileError:
    return ModelFileError(
        "weights must be finite when they are stored in fewer bits",
        got="NaN, infinite or too large ones",
        where=ascii(name[:80]),
        fix="Store them as float32.",
        code="nonfinite",
    )
