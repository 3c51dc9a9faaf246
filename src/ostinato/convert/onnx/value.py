"""What stands for an array while a formula is written down as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ostinato.convert.onnx.graph import ELEMENT, Graph
from ostinato.errors import ConversionError


class Dim:
    """A size that is open until the model runs. Two are equal if they were computed alike.

    Args:
        key: What it is, as text, such as "batch".
        emit: Writes the nodes that give it as an int64 array of one number.
    """

    def __init__(self, key: str, emit: Callable[[], Value]) -> None:
        self.key, self.emit = key, emit

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return self.key

    def __add__(self, other: Size) -> Dim:
        return self._joined("+", other, lambda a, b: a + b)

    def __sub__(self, other: Size) -> Dim:
        return self._joined("-", other, lambda a, b: a - b)

    def __mul__(self, other: Size) -> Dim:
        return self._joined("*", other, lambda a, b: a * b)

    def __floordiv__(self, other: Size) -> Dim:
        # ONNX divides whole numbers towards zero; its remainder has the sign of the divisor, as Python's.
        return self._joined("//", other, lambda a, b: (a - a.binary("Mod", b)) / b)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: int) -> Dim:
        return -self + other

    def __neg__(self) -> Dim:
        return Dim(f"-{self.key}", lambda: -self.emit())

    def __bool__(self) -> bool:
        raise ConversionError(
            "a formula must not depend on a length that is open", got=self.key, fix="Fix the length in input_shape."
        )

    def _compared(self, other: object) -> bool:
        return bool(self)

    __lt__ = __le__ = __gt__ = __ge__ = _compared

    def _joined(self, sign: str, other: Size, how: Callable[[Value, Any], Value]) -> Dim:
        def emit() -> Value:
            return how(self.emit(), other.emit() if isinstance(other, Dim) else other)

        return Dim(f"({self.key}{sign}{other})", emit)


Size = int | Dim
Sizes = tuple[Size, ...]


class Value:
    """An array that a model will compute; what is done with it becomes nodes.

    Args:
        graph: Where nodes go.
        name: Its name in the model; None if it is one number everywhere (`fill`).
        dtype: "float32", "int32", "int64" or "bool".
        shape: Its sizes.
        array: Its numbers, if they are known.
        fill: The number that it has everywhere, if it is one.
    """

    device = None
    __array_ufunc__ = None

    def __init__(
        self, graph: Graph, name: str | None, dtype: str, shape: Sequence[Size], *,
        array: np.ndarray[Any, Any] | None = None, fill: float | None = None,
    ) -> None:  # fmt: skip
        self.graph, self.dtype, self.shape = graph, dtype, tuple(shape)
        self.array, self.fill, self._name = array, fill, name
        self.flipped: tuple[Value, int] | None = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def name(self) -> str:
        """Its name in the model; numbers that are the same everywhere are written out now."""
        if self._name is None:
            shape = sizes(self.graph, self.shape)
            return self.graph.node("Expand", [self.operand, shape.name])[0]
        return self._name

    @property
    def operand(self) -> str:
        """Its name where ONNX repeats a single number by itself."""
        return scalar(self.graph, self.fill, self.dtype) if self.fill is not None else self.name

    def node(
        self, op: str, *others: Value, dtype: str | None = None, shape: Sequence[Size] | None = None, **options: Any
    ) -> Value:
        """What the operator `op` gives for this and `others`."""
        (name,) = self.graph.node(op, [self.name, *(o.name for o in others)], **options)
        return Value(self.graph, name, dtype or self.dtype, self.shape if shape is None else shape)

    def binary(self, op: str, other: Any, *, dtype: str | None = None, swap: bool = False) -> Value:
        """What an operator of two arrays gives, element by element."""
        right = as_value(self.graph, other, self.dtype)
        one, two = (right, self) if swap else (self, right)
        (name,) = self.graph.node(op, [one.operand, two.operand])
        if one.fill is not None and two.fill is not None:
            name = self.graph.node("Expand", [name, sizes(self.graph, joined(one.shape, two.shape)).name])[0]
        return Value(self.graph, name, dtype or self.dtype, joined(one.shape, two.shape))

    def __add__(self, other: Any) -> Value:
        return self.binary("Add", other)

    def __radd__(self, other: Any) -> Value:
        return self.binary("Add", other, swap=True)

    def __sub__(self, other: Any) -> Value:
        return self.binary("Sub", other)

    def __rsub__(self, other: Any) -> Value:
        return self.binary("Sub", other, swap=True)

    def __mul__(self, other: Any) -> Value:
        return self.binary("Mul", other)

    def __rmul__(self, other: Any) -> Value:
        return self.binary("Mul", other, swap=True)

    def __truediv__(self, other: Any) -> Value:
        return self.binary("Div", other)

    def __rtruediv__(self, other: Any) -> Value:
        return self.binary("Div", other, swap=True)

    def __neg__(self) -> Value:
        return self.node("Neg")

    def __gt__(self, other: Any) -> Value:
        return self.binary("Greater", other, dtype="bool")

    def __lt__(self, other: Any) -> Value:
        return self.binary("Less", other, dtype="bool")

    def __eq__(self, other: Any) -> Value:  # type: ignore[override]
        return self.binary("Equal", other, dtype="bool")

    def __ne__(self, other: Any) -> Value:  # type: ignore[override]
        return self.binary("Equal", other, dtype="bool").node("Not")

    __hash__ = None  # type: ignore[assignment]

    def __and__(self, other: Any) -> Value:
        return self.binary("And", other)

    def __matmul__(self, other: Value) -> Value:
        shape = (*joined(self.shape[:-2], other.shape[:-2]), self.shape[-2], other.shape[-1])
        return self.node("MatMul", other, shape=shape)

    def __getitem__(self, key: Any) -> Value:
        keys = key if isinstance(key, tuple) else (key,)
        if self.array is not None and not any(isinstance(k, Dim) for k in keys):
            return known(self.graph, self.array[key])
        value, axis = self, 0
        single: list[int] = []
        added: list[int] = []
        for k in keys:
            if k is None:
                added.append(axis + len(added))
                continue
            if isinstance(k, slice):
                value = _cut(value, axis, k)
            else:
                value = _cut(value, axis, slice(k, k + 1 if k != -1 else None))
                single.append(axis)
            axis += 1
        if single and added:
            raise ConversionError(
                "an index must not take a step and add an axis at once", got=repr(keys), fix="Use two indices."
            )
        value = squeezed(value, single) if single else value
        return unsqueezed(value, added) if added else value


def scalar(graph: Graph, number: float | None, dtype: str) -> str:
    """The name of one number without axes."""
    return graph.constant(np.asarray(number, dtype))


def known(graph: Graph, array: np.ndarray[Any, Any], *, hint: str = "const") -> Value:
    """Numbers as a value; only what is used of them is stored."""
    array = np.ascontiguousarray(array)
    return Known(graph, array, hint)


class Known(Value):
    """Numbers that are known while the model is written.

    Args:
        graph: Where they are stored, once something uses them.
        array: The numbers.
        hint: How their name begins.
    """

    def __init__(self, graph: Graph, array: np.ndarray[Any, Any], hint: str) -> None:
        super().__init__(graph, None, str(array.dtype), array.shape, array=array)
        self.numbers, self._hint = array, hint

    @property
    def name(self) -> str:
        if self._name is None:
            self._name = self.graph.constant(self.numbers, hint=self._hint)
        return self._name


def as_value(graph: Graph, other: Any, dtype: str) -> Value:
    """A value as it is; a number as a value of this type."""
    return other if isinstance(other, Value) else Value(graph, None, dtype, (), fill=other)


def joined(one: Sequence[Size], two: Sequence[Size]) -> Sizes:
    """The shape that two shapes have together, where sizes of 1 are repeated."""
    n = max(len(one), len(two))
    padded = [(*(1,) * (n - len(shape)), *shape) for shape in (one, two)]
    return tuple(b if a == 1 else a for a, b in zip(*padded, strict=True))


def size_of(value: Value, axis: int, key: str) -> Dim:
    """The size of `value` along `axis` as an open size."""

    def emit() -> Value:
        (name,) = value.graph.node("Shape", [value.name], start=axis, end=axis + 1)
        return Value(value.graph, name, "int64", (1,))

    return Dim(key, emit)


def sizes(graph: Graph, shape: Sequence[Size]) -> Value:
    """A shape as an int64 array."""
    if all(isinstance(n, int) for n in shape):
        return known(graph, np.array(shape, np.int64))
    parts = [n.emit() if isinstance(n, Dim) else known(graph, np.array([n], np.int64)) for n in shape]
    if len(parts) == 1:
        return parts[0]
    (name,) = graph.node("Concat", [p.name for p in parts], axis=0)
    return Value(graph, name, "int64", (len(parts),))


def squeezed(value: Value, axes: Sequence[int]) -> Value:
    """Without these axes, each of size 1."""
    left = [n for i, n in enumerate(value.shape) if i not in axes]
    return value.node("Squeeze", known(value.graph, np.array(axes, np.int64)), shape=left)


def unsqueezed(value: Value, axes: Sequence[int]) -> Value:
    """With new axes of size 1 at these places of the result."""
    shape = list(value.shape)
    for axis in axes:
        shape.insert(axis, 1)
    return value.node("Unsqueeze", known(value.graph, np.array(axes, np.int64)), shape=shape)


def reshaped(value: Value, target: Sequence[Size]) -> Value:
    """In another shape; one size may be -1."""
    result = value.node("Reshape", sizes(value.graph, target), shape=target)
    if -1 in target:
        axis = list(target).index(-1)
        shape = list(target)
        shape[axis] = _rest(value.shape, [n for n in target if n != -1]) or size_of(result, axis, f"rest of {target}")
        result.shape = tuple(shape)
    return result


def _rest(have: Sequence[Size], want: Sequence[Size]) -> int | None:
    """What is left of these sizes beside those, if the open ones are the same."""
    opens = [n for n in have if isinstance(n, Dim)], [n for n in want if isinstance(n, Dim)]
    if sorted(map(str, opens[0])) != sorted(map(str, opens[1])):
        return None
    closed = [math.prod(n for n in shape if isinstance(n, int)) for shape in (have, want)]
    return closed[0] // closed[1]


def _cut(value: Value, axis: int, key: slice) -> Value:
    """A slice along one axis."""
    if key == slice(None):
        return value
    whole, graph = value.shape[axis], value.graph
    step = 1 if key.step is None else key.step
    ends = (key.start, key.stop)
    size: Size
    if isinstance(whole, int) and not any(isinstance(e, Dim) for e in ends):
        size = len(range(*key.indices(whole)))
        if size == whole and step == 1:
            return value
    else:
        size = -1
    least, most = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    first = (0 if step > 0 else most) if key.start is None else key.start
    last = (most if step > 0 else least) if key.stop is None else key.stop
    at = [sizes(graph, (n,)) for n in (first, last)]
    more = [known(graph, np.array([n], np.int64)) for n in (axis, step)]
    result = value.node("Slice", *at, *more)
    cut = list(value.shape)
    cut[axis] = size if size != -1 else size_of(result, axis, f"{whole}[{key.start}:{key.stop}:{key.step}]")
    result.shape = tuple(cut)
    return result


def cast(value: Value, dtype: str) -> Value:
    """As another type."""
    return value if value.dtype == dtype else value.node("Cast", dtype=dtype, to=ELEMENT[dtype])
