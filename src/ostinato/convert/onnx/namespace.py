"""The array namespace that writes ONNX: cells and maps compute on it as on NumPy, and what they do becomes a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ostinato.convert.onnx.graph import Graph
from ostinato.convert.onnx.value import (
    Dim,
    Known,
    Size,
    Value,
    cast,
    joined,
    known,
    reshaped,
    scalar,
    size_of,
    sizes,
    squeezed,
    unsqueezed,
)
from ostinato.errors import ConversionError


class Tracing:
    """The functions of the array API standard that formulas use, plus `sigmoid`.

    Args:
        graph: Where nodes go.
    """

    int64 = "int64"

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def __getattr__(self, name: str) -> Any:
        raise ConversionError(
            "a formula must use functions that ONNX has here", got=f"{name}()", fix="Write the model another way."
        )

    def abs(self, x: Value) -> Value:
        return x.node("Abs")

    def exp(self, x: Value) -> Value:
        return x.node("Exp")

    def expm1(self, x: Value) -> Value:
        return x.node("Exp") - 1.0

    def log1p(self, x: Value) -> Value:
        return (x + 1.0).node("Log")

    def sigmoid(self, x: Value) -> Value:
        return x.node("Sigmoid")

    def sqrt(self, x: Value) -> Value:
        return x.node("Sqrt")

    def tanh(self, x: Value) -> Value:
        return x.node("Tanh")

    def clip(self, x: Value, low: float | None, high: float | None) -> Value:
        ends = ["" if end is None else scalar(self.graph, end, x.dtype) for end in (low, high)]
        (name,) = self.graph.node("Clip", [x.name, *ends])
        return Value(self.graph, name, x.dtype, x.shape)

    def where(self, condition: Value, x: Value, y: Value) -> Value:
        shape = joined(joined(condition.shape, x.shape), y.shape)
        (name,) = self.graph.node("Where", [condition.name, x.operand, y.operand])
        return Value(self.graph, name, x.dtype, shape)

    def astype(self, x: Value, dtype: str) -> Value:
        return cast(x, dtype)

    def sum(self, x: Value, *, axis: int, keepdims: bool = False) -> Value:
        return self._reduced("ReduceSum", x, axis, keepdims)

    def mean(self, x: Value, *, axis: int, keepdims: bool = False) -> Value:
        return self._reduced("ReduceMean", x, axis, keepdims)

    def max(self, x: Value, *, axis: int, keepdims: bool = False) -> Value:
        return self._reduced("ReduceMax", x, axis, keepdims)

    def min(self, x: Value, *, axis: int, keepdims: bool = False) -> Value:
        return self._reduced("ReduceMin", x, axis, keepdims)

    def any(self, x: Value, *, axis: int) -> Value:
        return cast(self._reduced("ReduceMax", cast(x, "int32"), axis, keepdims=False), "bool")

    def all(self, x: Value, *, axis: int) -> Value:
        return cast(self._reduced("ReduceMin", cast(x, "int32"), axis, keepdims=False), "bool")

    def reshape(self, x: Value, shape: Sequence[Size]) -> Value:
        return reshaped(x, shape)

    def permute_dims(self, x: Value, axes: Sequence[int]) -> Value:
        return x.node("Transpose", shape=[x.shape[a] for a in axes], perm=list(axes))

    def matrix_transpose(self, x: Value) -> Value:
        if x.array is not None:
            return known(self.graph, np.swapaxes(x.array, -1, -2))
        axes = list(range(x.ndim))
        return self.permute_dims(x, [*axes[:-2], axes[-1], axes[-2]])

    def broadcast_to(self, x: Value, shape: Sequence[Size]) -> Value:
        if isinstance(x, Known) and not any(isinstance(n, Dim) for n in shape):
            return known(self.graph, np.broadcast_to(x.numbers, tuple(map(int, shape))))  # type: ignore[arg-type]
        return x.node("Expand", sizes(self.graph, shape), shape=shape)

    def flip(self, x: Value, *, axis: int) -> Value:
        if x.flipped is not None and x.flipped[1] == axis:
            return x.flipped[0]
        cut: list[slice] = [slice(None)] * x.ndim
        cut[axis] = slice(None, None, -1)
        result = x[tuple(cut)]
        result.shape, result.flipped = x.shape, (x, axis)
        return result

    def concat(self, arrays: Sequence[Value], *, axis: int) -> Value:
        axis %= arrays[0].ndim
        (name,) = self.graph.node("Concat", [a.name for a in arrays], axis=axis)
        shape = list(arrays[0].shape)
        parts = [a.shape[axis] for a in arrays]
        result = Value(self.graph, name, arrays[0].dtype, shape)
        whole: Size = sum(n for n in parts if isinstance(n, int))
        if any(isinstance(n, Dim) for n in parts):
            whole = size_of(result, axis, "+".join(map(str, parts)))
        shape[axis] = whole
        result.shape = tuple(shape)
        return result

    def stack(self, arrays: Sequence[Value], *, axis: int) -> Value:
        first = unsqueezed(arrays[0], [axis])
        if all(a is arrays[0] for a in arrays):
            shape = list(first.shape)
            shape[axis] = len(arrays)
            return self.broadcast_to(first, shape)
        return self.concat([first, *(unsqueezed(a, [axis]) for a in arrays[1:])], axis=axis)

    def take(self, x: Value, indices: Value, *, axis: int) -> Value:
        return x.node("Gather", indices, axis=axis, shape=(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))

    def zeros_like(self, x: Value) -> Value:
        return Value(self.graph, None, x.dtype, x.shape, fill=0.0)

    def ones_like(self, x: Value) -> Value:
        return Value(self.graph, None, x.dtype, x.shape, fill=1.0)

    def zeros(self, shape: Sequence[Size], *, dtype: str, device: None = None) -> Value:
        return Value(self.graph, None, dtype, shape, fill=0.0)

    def _reduced(self, op: str, x: Value, axis: int, keepdims: bool) -> Value:  # noqa: FBT001
        axis %= x.ndim
        shape = list(x.shape)
        shape[axis] = 1
        over = known(self.graph, np.array([axis], np.int64))
        kept = x.node(op, over, shape=shape, keepdims=1)
        return kept if keepdims else squeezed(kept, [axis])
