"""A network seen as one step: what it reads, what it gives, what it carries to the next one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.errors import ArgumentError, SnapshotError
from ostinato.maps.base import Part, Shape, State
from ostinato.runtime.machine import Machine
from ostinato.runtime.reading import Reading, symbols_of
from ostinato.runtime.snapshot import fingerprint, pack, unpack
from ostinato.scans.base import Scan
from ostinato.scans.recurrent import Recurrent

_KIND = "network"


def why_not(parts: Sequence[Part]) -> str | None:
    """None if a stack of these layers can run step by step, else the reason, beginning with a lower-case letter."""
    for number, part in enumerate(parts, 1):
        if not part.stepwise():
            why = "runs from the last step to the first" if isinstance(part, Recurrent) else "needs more than one step"
            return f"layer {number} ({type(part).__name__}) {why}"
    return None


def check_stepwise(parts: Sequence[Part]) -> None:
    """Raise unless a stack of these layers can run step by step.

    Raises:
        ArgumentError: A layer needs later steps, or the whole past.
    """
    reason = why_not(parts)
    if reason is not None:
        raise ArgumentError(
            "a stream must have layers that need one step at a time",
            got=reason,
            fix="Predict whole sequences, or train a network of forward layers.",
        )


class OneStep:
    """A network that can be run step by step.

    Args:
        machine: The network.
        input_shape: Shape of one sample, time first.

    Raises:
        ArgumentError: A layer needs later steps, or the whole past, or the input has no time axis.
    """

    def __init__(self, machine: Machine, input_shape: Shape) -> None:
        check_stepwise(machine.parts)
        self.machine = machine
        self.reading = _reading(machine.parts, input_shape)
        sizes = [part.state_sizes if isinstance(part, Scan) else () for part in machine.parts]
        self.layers: tuple[tuple[int, ...], ...] = tuple(sizes)
        """Widths of each layer's states."""

    @cached_property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of what a step gives."""
        shape: Shape = (None, *self.reading.features)
        for part in self.machine.parts:
            shape = part.out_shape(shape)
        known = shape[1:] if shape and shape[0] is None else shape
        return tuple(int(n) for n in known if n is not None)

    @cached_property
    def starts(self) -> tuple[NDArray[np.float32], ...]:
        """The states that a sequence starts from, layer after layer, and the numbers held for inputs that are not
        finite."""
        states: list[NDArray[np.float32]] = []
        for part, w, sizes in zip(self.machine.parts, self.machine.weights, self.layers, strict=True):
            if isinstance(part, Scan):
                like: State = tuple(np.zeros((1, n), np.float32) for n in sizes)
                states += [np.array(s[0], np.float32) for s in part.begin(np, w, like)]
        return (*states, np.zeros(0 if self.reading.symbols else self.reading.width, np.float32))

    @cached_property
    def model(self) -> str:
        """The fingerprint that snapshots carry."""
        return fingerprint(self.machine.parts, self.machine.weights, self.machine.precision, self.reading.features)

    def packed(self, steps: int, arrays: Sequence[NDArray[np.float32]]) -> bytes:
        """A snapshot of a stream after so many steps."""
        return pack(self.model, _KIND, {"steps": steps}, arrays)

    def unpacked(self, blob: bytes) -> tuple[int, list[NDArray[np.float32]]]:
        """The inverse of `packed`.

        Raises:
            SnapshotError: It is no snapshot of a stream of this network.
        """
        if not isinstance(blob, (bytes, bytearray, memoryview)):
            raise SnapshotError(
                "a snapshot must be bytes", got=type(blob).__name__, fix="Pass what snapshot() gave.", code="foreign"
            )
        facts, arrays = unpack(bytes(blob), self.model, _KIND)
        steps: Any = facts.get("steps")
        shapes = [(a.shape, a.dtype) for a in arrays]
        if type(steps) is not int or not 0 <= steps < 2**62 or shapes != [(a.shape, a.dtype) for a in self.starts]:
            raise SnapshotError(
                "a snapshot must hold the states of this network", got="others", fix="Take it again.", code="damaged"
            )
        return steps, arrays


def _reading(parts: Sequence[Part], input_shape: Shape) -> Reading:
    symbols = symbols_of(parts)
    if not symbols and len(input_shape) < 2:
        raise ArgumentError(
            "a stream must be of a network that reads sequences",
            got=f"input_shape={input_shape}",
            fix="Use predict(); each row stands for itself.",
        )
    return Reading(tuple(int(n) for n in input_shape[1:] if n is not None), symbols)
