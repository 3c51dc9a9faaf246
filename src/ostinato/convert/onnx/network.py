"""A stack of layers as an ONNX model: whole sequences at once, or one step with states in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ostinato.convert.onnx.graph import Graph
from ostinato.convert.onnx.maps import apply
from ostinato.convert.onnx.namespace import Tracing
from ostinato.convert.onnx.recurrent import one_step, scan
from ostinato.convert.onnx.value import Dim, Size, Value, known, size_of, unsqueezed
from ostinato.errors import ConversionError
from ostinato.maps.base import Context, Part, Shape, State, Weights
from ostinato.maps.embedding import Embedding
from ostinato.runtime.one_step import why_not
from ostinato.scans.recurrent import Recurrent
from ostinato.version import __version__

X, Y = "x", "y"
"""Names of a model's input and output."""


class Carried(NamedTuple):
    """One state of a step model.

    Args:
        before: Name of the input.
        after: Name of the output.
        start: `[units]`, what a sequence starts from.
    """

    before: str
    after: str
    start: np.ndarray[Any, Any]


class Written(NamedTuple):
    """A model, and what it needs to be told.

    Args:
        model: The `onnx.ModelProto`.
        step: Whether it computes one step.
        states: Those of a step model, in order.
    """

    model: Any
    step: bool = False
    states: tuple[Carried, ...] = ()


class Writing:
    """A stack of layers while it is written.

    Args:
        parts: The layers.
        input_shape: Shape of one sample, None for an open length.
        names: Of the layers, for messages.
    """

    def __init__(self, parts: Sequence[Part], input_shape: Shape, names: Sequence[str] = ()) -> None:
        self.parts, self.input_shape = tuple(parts), input_shape
        self.names = tuple(names) or tuple(f"layer_{i}" for i in range(len(self.parts)))
        self.graph = Graph()
        self.xp = Tracing(self.graph)
        self._sizes: dict[str, Dim] = {}

    @property
    def symbols(self) -> bool:
        """Whether the input is whole numbers, for an embedding."""
        return bool(self.parts) and isinstance(self.parts[0], Embedding)

    def input(self, shape: Shape) -> Value:
        """The input, with an open batch axis in front of `shape`."""
        x = Value(self.graph, X, "int64" if self.symbols else "float32", ())
        x.shape = (size_of(x, 0, "batch"), *(self._open(x, i, n) for i, n in enumerate(shape, 1)))
        return x

    def run(self, x: Value, weights: Sequence[Weights], *, step: bool = False, states: Sequence[State] = ()) -> Any:
        """Write all layers; the output and the layers' final states."""
        ctx = Context(self.xp, one_step if step else scan)
        mask, final = None, []
        states = states or ((),) * len(self.parts)
        for name, part, w, state in zip(self.names, self.parts, weights, states, strict=True):
            numbers = {key: known(self.graph, np.asarray(v, np.float32), hint=key) for key, v in w.items()}
            try:
                x, mask, after = apply(part, ctx, numbers, x, mask=mask, state=state)
            except ConversionError as error:
                raise ConversionError(error.rule, got=error.got, fix=error.fix, where=f"layer {name!r}") from None
            final.append(after)
        return x, tuple(final)

    def finish(self, inputs: Sequence[Value], outputs: Mapping[str, Value]) -> Any:
        """The checked model; outputs get the names that are given."""
        named = []
        for name, value in outputs.items():
            self.graph.node("Identity", [value.name], outputs=[name])
            named.append(self.graph.info(name, value.dtype, [_shown(n) for n in value.shape]))
        given = [self.graph.info(v.name, v.dtype, [_shown(n) for n in v.shape]) for v in inputs]
        return self.graph.model(given, named, producer=__version__)

    @staticmethod
    def _open(x: Value, axis: int, size: int | None) -> Size:
        return size_of(x, axis, "time" if axis == 1 else f"size_{axis}") if size is None else size


def whole(
    parts: Sequence[Part],
    weights: Sequence[Weights],
    input_shape: Shape,
    *,
    names: Sequence[str] = (),
) -> Written:
    """A model from `x [batch, *input_shape]` to the output of the last layer.

    Args:
        parts: The layers.
        weights: One mapping a layer.
        input_shape: Shape of one sample; None is an open length.
        names: Of the layers, for messages.

    Raises:
        ConversionError: ONNX cannot say a layer; the message says which and why.
        MissingDependency: The package onnx is not installed.
    """
    writing = Writing(parts, input_shape, names)
    x = writing.input(input_shape)
    y, _ = writing.run(x, weights)
    return Written(writing.finish([x], {Y: y}))


def step(
    parts: Sequence[Part],
    weights: Sequence[Weights],
    input_shape: Shape,
    *,
    names: Sequence[str] = (),
) -> Written:
    """A model of one step: `x [batch, *input_shape without time]` and the states before it, to the output and the
    states after it; arguments and errors as for `whole`.

    Raises:
        ConversionError: A layer needs later steps, or the whole past.
    """
    timed = len(input_shape) >= (1 if parts and isinstance(parts[0], Embedding) else 2)
    reason = why_not(parts) if timed else "the input has no time axis"
    if reason is not None:
        raise ConversionError(
            "a step model must have layers that need one step at a time",
            got=reason,
            fix="Convert the whole model, without --step.",
        )
    writing = Writing(parts, input_shape, names)
    x = writing.input(input_shape[1:])
    before, carried = _states(writing, weights, x.shape[0])
    y, after = writing.run(unsqueezed(x, [1]), weights, step=True, states=before)
    flat = [v for state in after for v in state]
    given = [v for state in before for v in state]
    if _has_time(parts, input_shape):
        y = y[:, 0]
    outputs = {Y: y, **{c.after: v for c, v in zip(carried, flat, strict=True)}}
    return Written(writing.finish([x, *given], outputs), step=True, states=tuple(carried))


def _has_time(parts: Sequence[Part], input_shape: Shape) -> bool:
    """Whether the output still has a time axis."""
    shape: Shape = (None, *input_shape[1:])
    for part in parts:
        shape = part.out_shape(shape)
    return bool(shape) and shape[0] is None


def _states(writing: Writing, weights: Sequence[Weights], batch: Size) -> tuple[list[State], list[Carried]]:
    before: list[State] = []
    carried: list[Carried] = []
    for number, (part, w) in enumerate(zip(writing.parts, weights, strict=True)):
        state: list[Value] = []
        if isinstance(part, Recurrent):
            for name in part.cell.states:
                start = np.asarray(w.get(f"start_{name}", np.zeros(part.cell.units)), np.float32)
                carried.append(Carried(f"{name}_{number}", f"next_{name}_{number}", start))
                state.append(Value(writing.graph, f"{name}_{number}", "float32", (batch, part.cell.units)))
        before.append(tuple(state))
    return before, carried


def _shown(size: Size) -> int | str | None:
    if isinstance(size, int):
        return size
    return size.key if size.key.isidentifier() else None
