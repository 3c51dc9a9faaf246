"""Runs a saved stack of layers on NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np

from ostinato.cells.base import Cell
from ostinato.errors import KernelError
from ostinato.maps.base import Array, Context, Part, Shape, State, Weight, Weights, silence
from ostinato.maps.dropout import Dropout
from ostinato.runtime import compiled_maps, native, stepped
from ostinato.runtime.arrays import NUMPY, with_native
from ostinato.runtime.compiled_maps import RowMap
from ostinato.runtime.native import Prepared
from ostinato.scans.recurrent import Recurrent

T = TypeVar("T")


def expected(parts: Sequence[Part], shape: Shape) -> list[dict[str, Weight]]:
    """The weights that each part needs for inputs of `shape` (no batch axis)."""
    needed = []
    for part in parts:
        needed.append(part.weights(shape))
        shape = part.out_shape(shape)
    return needed


class Machine:
    """A stack of parts with their weights, which are fixed: other weights need another machine.

    Recurrent and dense layers and their like are compiled code where there is some, so that a row has the same bits
    alone, in any batch and in a stream.

    `weights` holds read-only arrays. Each recurrent layer, and each direction of one, brings its weights into the order
    of the compiled loops when it first runs, and keeps them so.

    Args:
        parts: The layers, first one first.
        weights: One mapping a layer. Arrays that something may still write to are copied.
        precision: What recurrent layers multiply in, see `ostinato.runtime.native.Prepared`; all else is float32.

    Raises:
        KernelError: `precision` is "bf16", and this processor or a layer's cell has no such products.
    """

    def __init__(self, parts: Sequence[Part], weights: Sequence[Weights], *, precision: str = "float32") -> None:
        check_precision(parts, precision)
        self.parts, self.precision = tuple(parts), precision
        self.weights = tuple({name: _fixed(value) for name, value in w.items()} for w in weights)
        self._own = {id(value) for w in self.weights for value in w.values()}
        self._prepared: dict[tuple[int, ...], Prepared] = {}
        self._steps: dict[tuple[int, ...], tuple[Cell, Any]] = {}
        self._row_maps: dict[int, RowMap | None] = {}

    def run(
        self, x: Array, *, mask: Array | None = None, states: Sequence[State] = ()
    ) -> tuple[Array, tuple[State, ...]]:
        """Compute the whole stack on `x [batch, *input_shape]`; returns the output and each layer's final states."""
        states = states or ((),) * len(self.parts)
        context = Context(NUMPY, self._scan)
        final = []
        for number, (part, w, state) in enumerate(zip(self.parts, self.weights, states, strict=True)):
            compiled = self.row_map(number) if x.dtype == np.float32 and x.size else None
            if compiled is not None:
                x = compiled(x if mask is None else silence(NUMPY, x, mask))
            else:
                x, mask, state = part.apply(context, w, x, mask=mask, state=state)
            final.append(state)
        return x, tuple(final)

    def __reduce__(self) -> tuple[object, ...]:
        return partial(Machine, precision=self.precision), (self.parts, self.weights)

    def _scan(self, cell: Cell, w: Weights, x: Array, state: State, **options: Any) -> tuple[Array, State]:
        if self.precision != "float32":
            _raise_without(native.why_not(cell, x))
        return with_native(self.prepared, self.step_of, cell, w, x, state, **options)

    def prepared(self, cell: Cell, w: Weights) -> Prepared:
        """A recurrent layer's weights in the order of the compiled loops, kept if they are the machine's own."""
        return self._kept(self._prepared, cell, w, lambda: Prepared(cell, w, precision=self.precision))

    def step_of(self, cell: Cell, w: Weights) -> Any:
        """A recurrent layer's weights as the step machine takes them, kept likewise."""
        if isinstance(native.key(cell), int):
            return self.prepared(cell, w).packed
        _, step = self._kept(self._steps, cell, w, lambda: (cell, stepped.step_of(cell, w)))
        return step

    def _kept(self, kept: dict[tuple[int, ...], T], cell: Cell, w: Weights, make: Callable[[], T]) -> T:
        # An array of the machine lives as long as the machine, a cell as long as what is kept: no number is reused.
        key = (id(cell), *map(id, w.values()))
        found = kept.get(key)
        if found is None:
            found = make()
            if self._own.issuperset(key[1:]):
                kept[key] = found
        return found

    @cached_property
    def rowwise(self) -> bool:
        """Whether a row of float32 surely has the same bits alone and in any batch, since compiled code computes it."""
        return all(self._rowwise(number) for number in range(len(self.parts)))

    def _rowwise(self, number: int) -> bool:
        part = self.parts[number]
        if isinstance(part, Recurrent):
            like = np.empty((1, 1, 1), np.float32)
            return native.why_not(part.cell, like) is None or stepped.why_not(part.cell, like) is None
        return isinstance(part, Dropout) or self.row_map(number) is not None

    def row_map(self, number: int) -> RowMap | None:
        """Compiled code for layer `number` if it is one without state that has it; its weights are packed once."""
        if number not in self._row_maps:
            part = self.parts[number]
            there = native.usable() is None and compiled_maps.why_not(part) is None
            self._row_maps[number] = compiled_maps.row_map(part, self.weights[number]) if there else None
        return self._row_maps[number]


def check_precision(parts: Iterable[Part], precision: str) -> None:
    """Raise unless every recurrent layer of `parts` can compute in `precision` here.

    Raises:
        ArgumentError: It is no precision.
        KernelError: It is "bf16", and this processor or a layer's cell has no such products.
    """
    native.check_precision(precision)
    if precision != "float32":
        for layer in _recurrent(parts):
            number = native.key(layer.cell)
            _raise_without(number if isinstance(number, str) else None)
            _raise_without(stepped.NO_ZONE if np.float32(layer.zoneout) >= 1.0 else None)


def _raise_without(reason: str | None) -> None:
    if reason is not None:
        raise KernelError(
            "every recurrent layer must have native code to compute in bf16", got=reason, fix="Use precision='float32'."
        )


def _recurrent(parts: Iterable[Part]) -> Iterator[Recurrent]:
    for part in parts:
        if isinstance(part, Recurrent):
            yield part
        inner = [getattr(part, f.name) for f in fields(part)]  # type: ignore[arg-type]
        yield from _recurrent(value for value in inner if isinstance(value, Part))


def _fixed(value: Array) -> Array:
    """`value`, or a copy if numbers could be written into it; read-only."""
    owner = value
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            value = np.array(value)
            value.flags.writeable = False
            break
        owner = owner.base
    return value


def stacked(members: Sequence[Sequence[Weights]]) -> list[dict[str, Array]]:
    """The weights of networks of one shape as one list: with a first axis for the networks if there are several."""
    if len(members) == 1:
        return [dict(w) for w in members[0]]
    return [{name: np.stack([m[i][name] for m in members]) for name in w} for i, w in enumerate(members[0])]


def unstacked(weights: Sequence[Weights], members: int) -> tuple[list[dict[str, Array]], ...]:
    """The inverse of `stacked`."""
    if members == 1:
        return ([dict(w) for w in weights],)
    return tuple([{name: value[k] for name, value in w.items()} for w in weights] for k in range(members))
