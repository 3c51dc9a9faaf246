"""What users pass as data, checked and turned into tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ostinato.errors import ArgumentError, DataError, ShapeError
from ostinato.maps._check import show
from ostinato.maps.base import Shape

Numbers = np.ndarray[tuple[int, ...], np.dtype[Any]]


class Given(NamedTuple):
    """Data as tensors.

    Args:
        x: `[batch, …]`.
        mask: `[batch, time]`, True for real steps, if the sequences had different lengths.
    """

    x: Tensor
    mask: Tensor | None = None


class Padded(NamedTuple):
    """Sequences of different lengths, filled up with zeros behind their ends."""

    values: Numbers
    mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]]


def as_input(x: Any, *, shape: Shape | None, symbols: int | None = None, whole: bool = False) -> Given:
    """Check and convert the input of a model.

    A list of sequences of different lengths is padded, with a mask. An input that lacks only the last axis gets it if
    that axis has size 1: (n, F) becomes (n, F, 1) for an input_shape (F, 1).

    Args:
        x: Array, tensor, data frame or list.
        shape: The model's input shape (no batch axis); None if it is to be taken from the data.
        symbols: Number of different symbols, if the first layer is an embedding.
        whole: Whether the numbers must be whole.

    Raises:
        DataError: A number is NaN, infinite, too large, no number at all, or no symbol.
        ShapeError: The shape does not fit.
    """
    values = as_numbers("x", x)
    values, real = values if isinstance(values, Padded) else (values, None)
    if values.ndim == 0:
        raise ShapeError("x must have a batch axis", got="a single number", fix="Pass an array or a list of samples.")
    if shape is not None:
        if values.ndim == len(shape) and shape[-1] == 1:
            values = values[..., None]
        if real is not None and len(shape) > 0 and shape[0] is not None and values.shape[1] < shape[0]:
            missing = shape[0] - values.shape[1]
            values = np.concatenate([values, np.zeros_like(values, shape=(len(values), missing, *values.shape[2:]))], 1)
            real = np.concatenate([real, np.zeros((len(real), missing), bool)], 1)
        _check_fit(values.shape, shape)
    if symbols is not None or whole:
        tensor = as_whole("x", values, below=symbols)
    else:
        tensor = as_float("x", values)
    return Given(tensor, None if real is None else torch.from_numpy(real))


def as_numbers(name: str, x: Any) -> Numbers | Padded:
    """An array of numbers from whatever holds numbers.

    Raises:
        DataError: It holds something else.
    """
    if isinstance(x, Tensor):
        x = (x.float() if x.dtype is torch.bfloat16 else x).detach().cpu().numpy()
    if isinstance(x, np.ma.MaskedArray):
        if np.ma.is_masked(x):
            raise DataError(
                f"{name} must have a number everywhere",
                got="a masked array with missing entries",
                count=int(np.ma.getmaskarray(x).sum()),
                fix="Fill them first, for example with x.filled(…).",
                code="nan",
            )
        x = x.filled()
    if isinstance(x, np.ndarray) and x.dtype == object and x.ndim == 1:
        x = list(x)
    if isinstance(x, (list, tuple)):
        parts = [_entry(name, number, part) for number, part in enumerate(x)]
        if any(p.shape != parts[0].shape for p in parts):
            return _pad(name, parts)
    try:
        array = np.asarray(x)
    except (ValueError, TypeError, OverflowError) as error:
        raise _no_numbers(name, f"{type(x).__name__}: {error}") from error
    return _numeric(name, array)


def as_float(name: str, values: Numbers) -> Tensor:
    """Finite numbers in torch's default type."""
    if values.dtype.kind == "f":
        check_finite(name, values)
    dtype = torch.get_default_dtype()
    largest = torch.finfo(dtype).max
    if values.dtype.kind != "b" and values.size and max(-float(values.min()), float(values.max())) > largest:
        bad = np.abs(values.astype(np.float64)) > largest
        raise DataError(
            f"{name} must fit into {dtype}, that is, lie within ±{largest:.3g}",
            got=f"{values[bad][0]!s}",
            count=int(bad.sum()),
            where=places(bad),
            fix="Scale the data.",
            code="overflow",
        )
    native = values.astype(torch.empty((), dtype=dtype).numpy().dtype, copy=True)
    return torch.from_numpy(native)


def as_whole(name: str, values: Numbers, *, below: int | None) -> Tensor:
    """Whole numbers as int64, within [0, below).

    Raises:
        DataError: A number is not whole or out of range.
    """
    if values.dtype.kind == "f":
        check_finite(name, values)
        bad = values != np.rint(values)
        if bad.any():
            _refuse_values(name, values, bad, "must hold whole numbers", "Pass symbols or classes, not measurements.")
    bad = values > np.iinfo(np.int64).max if below is None else values >= below
    if values.dtype.kind != "u" and values.dtype.kind != "b":
        bad = bad | (values < (0 if below is not None else np.iinfo(np.int64).min))
    if np.any(bad):
        rule = "must fit into 64 bits" if below is None else f"must hold whole numbers from 0 to {below - 1}"
        _refuse_values(name, values, bad, rule, "Correct the numbers, or make room for more of them.")
    return torch.from_numpy(values.astype(np.int64))


def check_finite(name: str, values: Numbers) -> None:
    """Raise `DataError` if a number is NaN or infinite."""
    good = np.isfinite(values)
    if good.all():
        return
    nan = np.isnan(values)
    bad = nan if nan.any() else ~good
    raise DataError(
        f"{name} must hold finite numbers only",
        got="NaN" if nan.any() else "infinite numbers",
        count=int(bad.sum()),
        where=places(bad),
        fix="Fill or remove these places first.",
        code="nan" if nan.any() else "nonfinite",
    )


def places(bad: Any) -> list[str]:
    """The first places where `bad` is True, in words; rows, steps and features count from 0."""
    names = {1: ("row",), 2: ("row", "column"), 3: ("row", "step", "feature")}.get(
        bad.ndim, tuple(f"axis {i}" for i in range(bad.ndim))
    )
    return [", ".join(f"{word} {i}" for word, i in zip(names, at, strict=True)) for at in np.argwhere(bad)[:5]]


def _refuse_values(name: str, values: Numbers, bad: Any, rule: str, fix: str) -> None:
    raise DataError(
        f"{name} {rule}", got=str(values[bad][0]), count=int(bad.sum()), where=places(bad), fix=fix, code="range"
    )


def _entry(name: str, number: int, part: Any) -> Numbers:
    if isinstance(part, Tensor):
        part = part.detach().cpu().numpy()
    try:
        return np.asarray(part)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(
            f"each sample of {name} must be an array of numbers whose rows have the same length",
            got=str(error)[:120],
            where=f"row {number}",
            fix="Correct this sample.",
            code="dtype",
        ) from error


def _numeric(name: str, array: Any) -> Numbers:
    if array.dtype == object:
        try:
            return np.asarray(array.astype(np.float64))
        except (ValueError, TypeError, OverflowError) as error:
            raise _no_numbers(name, f"objects ({str(error)[:100]})") from error
    if array.dtype.kind not in "fiub":
        raise _no_numbers(name, f"{array.dtype}")
    return np.asarray(array.astype(array.dtype.newbyteorder("=")))


def _no_numbers(name: str, got: str) -> DataError:
    return DataError(
        f"{name} must hold real numbers", got=got[:160], fix="Convert it to an array of numbers first.", code="dtype"
    )


def _pad(name: str, parts: Sequence[Numbers]) -> Padded:
    """Fill sequences up with zeros behind their ends."""
    ndim = max(p.ndim for p in parts)
    tails = {p.shape[1:] for p in parts if p.size or p.ndim > 1}
    if any(p.ndim != ndim and p.size for p in parts) or ndim == 0 or len(tails) > 1:
        raise ShapeError(
            f"sequences of different lengths in {name} must agree in all sizes but the first",
            got=", ".join(sorted({str(p.shape) for p in parts})[:5]),
            fix="Pass arrays of shape (steps, features), or (steps,) for symbols.",
        )
    tail = next(iter(tails), ())
    numeric = [_numeric(name, p if p.size else np.zeros((0, *tail))) for p in parts]
    time = max(len(p) for p in numeric)
    kinds = [p.dtype for p in numeric if p.size]
    values = np.zeros((len(parts), time, *tail), dtype=np.result_type(*kinds) if kinds else np.float64)
    mask = np.zeros((len(parts), time), dtype=bool)
    for row, p in enumerate(numeric):
        values[row, : len(p)] = p
        mask[row, : len(p)] = True
    return Padded(values, mask)


def _check_fit(got: tuple[int, ...], shape: Shape) -> None:
    if len(got) != len(shape) + 1 or any(n is not None and n != g for n, g in zip(shape, got[1:], strict=True)):
        fix = "Reshape the data, or build the model for its shape."
        if sorted(map(str, got[1:])) == sorted(map(str, shape)) and len(got) == 3:
            fix = "The axes must be (batch, time, feature); np.swapaxes(x, 1, 2) changes the last two."
        elif len(got) == len(shape) and shape[0] == 1:
            fix = "Use x[:, None] if each row is one step."
        raise ShapeError(f"x must have the shape {show(shape)}", got=str(got), fix=fix)


def check_rows(n: int, **others: Any) -> None:
    """Raise `ShapeError` unless all of `others` have `n` rows."""
    for name, value in others.items():
        if value is not None and len(value) != n:
            raise ShapeError(
                f"{name} must have as many rows as x, {n}", got=str(len(value)), fix="Pass one row for each sample."
            )


def check_whole(name: str, value: object, *, least: int = 1) -> int:
    """A whole number of at least `least`, NumPy's included.

    Raises:
        ArgumentError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ArgumentError(
            f"{name} must be a whole number of at least {least}", got=repr(value), fix=f"Pass such a number as {name}."
        )
    return int(value)
