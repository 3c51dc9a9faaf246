"""The arithmetic that Keras users write losses and metrics with, on torch tensors.

Offered as `keras.backend` and `keras.ops`, and under TensorFlow's own names (`reduce_mean`) as `tensorflow` and
`tensorflow.math`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.errors import ArgumentError

Axis = int | Sequence[int] | None
Function = Callable[..., Any]


def epsilon() -> float:
    """Keras' small number, 1e-7."""
    return 1e-7


def cast(x: Any, dtype: str | torch.dtype) -> Tensor:
    """`x` in another type, such as "float32"."""
    chosen = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(chosen, torch.dtype):
        raise ArgumentError("dtype must be the name of a type", got=repr(dtype), fix="Pass, say, 'float32'.")
    return _tensor(x).to(chosen)


def clip(x: Any, low: Any, high: Any) -> Tensor:
    """`x`, at least `low` and at most `high`."""
    return torch.clamp(_tensor(x), low, high)


def where(condition: Tensor, x: Any, y: Any) -> Tensor:
    """`x` where the condition is True, else `y`."""
    return torch.where(condition, x, y)


def _tensor(x: Any) -> Tensor:
    if isinstance(x, Tensor):
        return x
    made = torch.as_tensor(np.asarray(x))
    return made.to(torch.get_default_dtype()) if made.is_floating_point() else made


def _each(function: Function) -> Function:
    """A function of one tensor that also takes numbers and arrays."""

    def apply(x: Any) -> Tensor:
        made: Tensor = function(_tensor(x))
        return made

    return apply


def _two(function: Function) -> Function:
    """A function of two tensors, either of which may be a number."""

    def apply(x: Any, y: Any) -> Tensor:
        a, b = _tensor(x), _tensor(y)
        if a.is_floating_point() != b.is_floating_point():
            a, b = (a, b.to(a.dtype)) if a.is_floating_point() else (a.to(b.dtype), b)
        made: Tensor = function(a, b)
        return made

    return apply


def _along(function: Function) -> Function:
    """A reduction with Keras' arguments `axis` and `keepdims`."""

    def apply(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:  # noqa: FBT001, FBT002
        t = _tensor(x)
        axes = tuple(range(t.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        made: Tensor = function(t, dim=axes, keepdim=keepdims)
        return made

    return apply


def _argmax(x: Any, axis: int = -1) -> Tensor:
    return _tensor(x).argmax(axis)


def _std(t: Tensor, dim: tuple[int, ...], *, keepdim: bool) -> Tensor:
    return torch.std(t, dim=dim, keepdim=keepdim, unbiased=False)


def _var(t: Tensor, dim: tuple[int, ...], *, keepdim: bool) -> Tensor:
    return torch.var(t, dim=dim, keepdim=keepdim, unbiased=False)


_POINTWISE = MappingProxyType(
    {
        name: _each(getattr(torch, name))
        for name in ("abs", "square", "sqrt", "exp", "log", "log1p", "sign", "round", "sigmoid", "tanh", "relu")
    }
    | {name: _two(getattr(torch, name)) for name in ("maximum", "minimum", "pow")}
    | {"softplus": _each(torch.nn.functional.softplus), "cast": cast, "where": where}
)

_REDUCTIONS: MappingProxyType[str, Function] = MappingProxyType(
    {"mean": torch.mean, "sum": torch.sum, "max": torch.amax, "min": torch.amin, "std": _std, "var": _var}
)

KERAS: MappingProxyType[str, Function] = MappingProxyType(
    {**_POINTWISE, **{name: _along(f) for name, f in _REDUCTIONS.items()}, "clip": clip, "argmax": _argmax}
)
"""Names of `keras.ops` and `keras.backend`."""

TENSORFLOW: MappingProxyType[str, Any] = MappingProxyType(
    {
        **_POINTWISE,
        **{f"reduce_{name}": _along(f) for name, f in _REDUCTIONS.items()},
        "clip_by_value": clip,
        "argmax": _argmax,
    }
)
"""Names of `tensorflow` and `tensorflow.math`."""

TYPES = MappingProxyType({name: getattr(torch, name) for name in ("float32", "float64", "int32", "int64", "bool")})
"""TensorFlow's names of number types."""
