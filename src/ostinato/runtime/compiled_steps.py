"""Steps of a network in one call of the compiled step machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.errors import StreamBusy
from ostinato.maps.activation import Activation
from ostinato.maps.activity_penalty import ActivityPenalty
from ostinato.maps.base import Array, Part, Weights
from ostinato.maps.dense import Dense
from ostinato.maps.dropout import Dropout
from ostinato.maps.embedding import Embedding
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.runtime import compiled_maps, native
from ostinato.runtime.compiled_maps import Affine, RowMap
from ostinato.runtime.one_step import OneStep
from ostinato.runtime.reading import POLICIES
from ostinato.scans.recurrent import Recurrent

_IDENTITY = (Dropout, ActivityPenalty)
"""Layers that do nothing outside training."""


def why_not(network: OneStep) -> str | None:
    """None if the step machine can run this network, else the reason, beginning with a lower-case letter."""
    reason = native.usable()
    if reason is not None:
        return reason
    if not network.reading.symbols and len(network.reading.features) != 1:
        return "the step machine reads one row of numbers a step"
    for number, part in enumerate(network.machine.parts, 1):
        reason = _why_not(part, first=number == 1)
        if reason is not None:
            return f"layer {number} ({type(part).__name__}): {reason}"
    return None


def _why_not(part: Part, *, first: bool) -> str | None:
    if isinstance(part, Recurrent):
        if part.zoneout:
            return "native code has no zoneout"
        number = native.key(part.cell)
        return number if isinstance(number, str) else None
    if isinstance(part, Embedding):
        if not first:
            return "native code has embeddings as first layers only"
        return "native code skips no steps (mask_zero)" if part.mask_zero else None
    if isinstance(part, TimeDistributed):
        return _why_not(part.inner, first=False)
    if isinstance(part, _IDENTITY):
        return None
    return compiled_maps.why_not(part)


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
        for number, (part, w) in enumerate(zip(machine.parts, machine.weights, strict=True)):
            self._add(part, w, machine.row_map(number))

    def _add(self, part: Part, w: Weights, compiled: RowMap | None) -> None:
        if isinstance(part, TimeDistributed):
            self._add(part.inner, w, compiled)
        elif isinstance(part, Recurrent):
            learned = part.cell.states if part.start == "learned" else ()
            starts = [self._at(w[f"start_{name}"]) for name in learned]
            self.native.recurrent(self._machine.prepared(part.cell, w).packed, *[*starts, 0, 0][:2])
        elif isinstance(part, Embedding):
            self.native.embedding(self._at(w["table"]))
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
        self._sizes = [len(start) for start in network.starts]
        self.quick = self._machine.quick
        """One step of row 0 from a contiguous float32 array or an int, into a new array or the one given second; None
        if something does not fit, and then nothing has happened."""
        self.quick_rows = self._machine.quick_rows
        """The same of different rows, int64 `[n]`, for a table `[n, features]` or int64 `[n]`."""

    def step(
        self, rows: NDArray[np.int64], x: NDArray[Any], *, out: NDArray[np.float32], who: Sequence[object] = ()
    ) -> NDArray[np.float32]:
        """As `PlainSteps.step`."""
        answer = self._machine.step(native.address(rows), len(rows), native.address(x), native.address(out))
        if answer:
            raise self._error(answer, x, np.array([self._machine.steps(row) for row in rows.tolist()]), who)
        return out

    def run(self, row: int, x: NDArray[Any], *, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `PlainSteps.run`."""
        answer = self._machine.run(row, len(x), native.address(x), native.address(out))
        if answer:
            raise self._error(answer, x, self._machine.steps(row) + np.arange(len(x)))
        return out

    def _error(self, answer: int, x: NDArray[Any], steps: NDArray[np.int64], who: Sequence[object] = ()) -> Exception:
        refused = self._network.reading.refusal(x, steps, who) if answer == 1 else None
        return refused or StreamBusy(
            "a stream must be used by one thread at a time", got="a call during another one",
            fix="Give each thread a stream of its own.",
        )  # fmt: skip

    def reset(self, row: int) -> None:
        """As `PlainSteps.reset`."""
        self._machine.reset(row)

    def read(self, row: int) -> tuple[int, list[NDArray[np.float32]]]:
        """As `PlainSteps.read`."""
        flat = np.empty(sum(self._sizes), np.float32)
        self._machine.read(row, native.address(flat))
        return self._machine.steps(row), np.split(flat, np.cumsum(self._sizes)[:-1])

    def write(self, row: int, steps: int, arrays: Sequence[NDArray[np.float32]]) -> None:
        """As `PlainSteps.write`."""
        flat = np.concatenate(arrays).astype(np.float32)
        self._machine.write(row, steps, native.address(flat))
