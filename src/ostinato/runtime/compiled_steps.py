"""Steps of a network in one call of the compiled step machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.maps.activation import Activation
from ostinato.maps.activity_penalty import ActivityPenalty
from ostinato.maps.base import Array, Part, Shape, Weights
from ostinato.maps.dense import Dense
from ostinato.maps.dropout import Dropout
from ostinato.maps.embedding import Embedding
from ostinato.maps.flatten import Flatten
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.masking import Masking
from ostinato.maps.reshape import Reshape
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.runtime import compiled_maps, composed, native
from ostinato.runtime.compiled_maps import Affine, RowMap
from ostinato.runtime.one_step import OneStep
from ostinato.runtime.reading import POLICIES, refusal_of
from ostinato.runtime.stepped import NO_ZONE
from ostinato.runtime.turns import busy
from ostinato.scans.recurrent import Recurrent

_REFUSED = 1
"""What the step machine answers to numbers that it does not take; its other refusal is that it is busy."""
_IDENTITY = (Dropout, ActivityPenalty)
"""Layers that do nothing outside training."""


def why_not(network: OneStep) -> str | None:
    """None if the step machine can run this network, else the reason, beginning with a lower-case letter."""
    reason = native.usable()
    if reason is not None:
        return reason
    shape: Shape = (None, *network.reading.features)
    for number, part in enumerate(network.machine.parts, 1):
        reason = _why_not(part, _axes(shape), first=number == 1)
        if reason is not None:
            return f"layer {number} ({type(part).__name__}): {reason}"
        shape = part.out_shape(shape)
    return None if len(_axes(shape)) == 1 else "the step machine gives one row of numbers a step"


def _axes(shape: Shape) -> Shape:
    """What a step has of a shape."""
    return shape[1:] if shape and shape[0] is None else shape


def _why_not(part: Part, axes: Shape, *, first: bool) -> str | None:
    if _reshapes(part):
        return None
    if isinstance(part, Embedding):
        return None if first and not axes else "native code has embeddings of one symbol a step, as first layers only"
    if len(axes) != 1:
        return "the step machine computes with one row of numbers a step"
    if isinstance(part, Recurrent):
        if np.float32(part.zoneout) >= 1.0:
            return NO_ZONE
        return None if isinstance(native.key(part.cell), int) else composed.why_not(part.cell)
    if isinstance(part, TimeDistributed):
        return _why_not(part.inner, axes, first=False)
    if isinstance(part, (*_IDENTITY, Masking)):
        return None
    return compiled_maps.why_not(part)


def _reshapes(part: Part) -> bool:
    """Whether a layer changes nothing but the shape of a step."""
    return isinstance(part, TimeDistributed) and isinstance(part.inner, (Flatten, Reshape))


def mask_after(part: Part, *, masked: bool) -> bool:
    """Whether steps may be unreal behind this layer, if they may be before it."""
    if isinstance(part, Recurrent):
        return masked and part.return_sequences
    return masked or isinstance(part, Masking) or (isinstance(part, Embedding) and part.mask_zero)


def silences(part: Part) -> bool:
    """Whether this layer takes what lies at unreal steps for zeros; recurrent layers and masks see to it themselves."""
    return not isinstance(part, (Recurrent, Dropout, Masking))


class Stack:
    """A network as the step machine takes it; `why_not` must have said that it can.

    Args:
        network: The network.
    """

    def __init__(self, network: OneStep) -> None:
        machine, symbols = network.machine, network.reading.symbols
        self._machine = machine
        self._kept: list[Array] = []
        width = machine.weights[0]["table"].shape[1] if symbols else network.reading.width
        self.native = native.module().Stack(native.engine(), width, symbols)
        masked = False
        for number, (part, w) in enumerate(zip(machine.parts, machine.weights, strict=True)):
            if masked and silences(part):
                self.native.silence()
            self._add(part, w, machine.row_map(number))
            if masked and isinstance(part, Recurrent) and not part.return_sequences:
                self.native.last_output()
            masked = mask_after(part, masked=masked)

    def _add(self, part: Part, w: Weights, compiled: RowMap | None) -> None:
        if isinstance(part, TimeDistributed):
            self._add(part.inner, w, compiled)
        elif isinstance(part, Recurrent):
            learned = part.cell.states if part.start == "learned" else ()
            starts = [self._at(w[f"start_{name}"]) for name in learned]
            self.native.recurrent(self._machine.step_of(part.cell, w), *[*starts, 0, 0][:2])
            if part.zoneout:
                self.native.zoneout(part.zoneout)
        elif isinstance(part, Embedding):
            self.native.embedding(self._at(w["table"]))
            if part.mask_zero:
                self.native.mask_zero()
        elif isinstance(part, Masking):
            self.native.masking(part.mask_value)
        elif isinstance(compiled, Affine):
            self.native.affine(compiled.packed)
            if isinstance(part, Dense) and part.activation != "linear":
                self.native.activation(native.FUNCTIONS.index(part.activation))
        elif isinstance(part, Activation):
            self.native.activation(native.FUNCTIONS.index(part.activation))
        elif isinstance(part, LayerNorm):
            self.native.normalisation(self._at(w["gamma"]), self._at(w["beta"]), part.epsilon)

    def _at(self, array: Array) -> int:
        """The address of these numbers, which live as long as the stack."""
        self._kept.append(np.ascontiguousarray(array, np.float32))
        return native.address(self._kept[-1])


class CompiledSteps:
    """As `PlainSteps`, in one compiled call for all layers and rows, with all memory taken at once.

    Args:
        network: A network for which `why_not` gives None.
        stack: The same as the step machine takes it.
        capacity: Number of sequences; they are numbered from 0 and start anew.
        nonfinite: See `ostinato.runtime.reading.POLICIES`.
        threads: The most that a call may use.
    """

    def __init__(self, network: OneStep, stack: Stack, capacity: int, nonfinite: str, *, threads: int = 1) -> None:
        self._network, self._stack = network, stack
        (width,) = network.out_shape
        self._machine = native.module().Machine(
            stack.native, capacity, POLICIES.index(nonfinite), threads, np.empty, width, np.dtype(np.float32)
        )
        self._refuses = np.full(capacity, nonfinite == "raise")
        ends = np.cumsum([0, *(len(start) for start in network.starts)]).tolist()
        self._parts = [slice(*both) for both in pairwise(ends)]
        self._size: int = ends[-1]
        self.quick = self._machine.quick
        """One step of row 0 from a contiguous float32 array or an int, into a new array or the one given second; None
        if something does not fit, and then nothing has happened."""
        self.quick_run = self._machine.quick_run
        """The same of several steps `[time, features]`, or int64 `[time]`."""
        self.quick_rows = self._machine.quick_rows
        """The same of one step of different rows, int64 `[n]`, for a table `[n, features]` or int64 `[n]`."""

    def step(
        self, rows: NDArray[np.int64], x: NDArray[Any], *, out: NDArray[np.float32], who: Sequence[object] = ()
    ) -> NDArray[np.float32]:
        """As `PlainSteps.step`."""
        answer = self._machine.step(native.address(rows), len(rows), native.address(x), native.address(out))
        if answer:
            raise self._error(answer, rows, x, [self._machine.steps(row) for row in rows.tolist()], who)
        return out

    def run(self, row: int, x: NDArray[Any], *, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `PlainSteps.run`."""
        answer = self._machine.run(row, len(x), native.address(x), native.address(out))
        if answer:
            first = self._machine.steps(row)
            raise self._error(answer, np.full(len(x), row), x, range(first, first + len(x)))
        return out

    def _error(
        self, answer: int, rows: NDArray[np.int64], x: NDArray[Any], steps: Sequence[int], who: Sequence[object] = ()
    ) -> Exception:
        if answer != _REFUSED:
            return busy()
        return refusal_of(self._network.reading, self._refuses[rows], x, np.array(steps), who) or busy()

    def set_policy(self, row: int, nonfinite: str) -> None:
        """As `PlainSteps.set_policy`."""
        if self._machine.set_policy(row, POLICIES.index(nonfinite)):
            raise busy()
        self._refuses[row] = nonfinite == "raise"

    def reset(self, row: int) -> None:
        """As `PlainSteps.reset`."""
        if self._machine.reset(row):
            raise busy()

    def read(self, row: int) -> tuple[int, list[NDArray[np.float32]]]:
        """As `PlainSteps.read`."""
        flat = np.empty(self._size, np.float32)
        steps = self._machine.read(row, native.address(flat))
        if steps < 0:
            raise busy()
        return steps, [flat[part] for part in self._parts]

    def write(self, row: int, steps: int, arrays: Sequence[NDArray[np.float32]]) -> None:
        """As `PlainSteps.write`."""
        flat = np.concatenate(arrays).astype(np.float32)
        if self._machine.write(row, steps, native.address(flat)):
            raise busy()

    def kept(self, rows: NDArray[np.int64]) -> Callable[[], None]:
        """As `PlainSteps.kept`."""
        machine, places = self._machine, rows.tolist()
        flat = np.empty((len(places), self._size), np.float32)
        begin, size = native.address(flat), flat.strides[0]
        counts = [machine.read(row, begin + i * size) for i, row in enumerate(places)]
        if min(counts, default=0) < 0:
            raise busy()

        def put_back() -> None:
            for numbers, row, count in zip(flat, places, counts, strict=True):
                if machine.write(row, count, native.address(numbers)):
                    raise busy()

        return put_back
