"""Batches through the step machine: for cells and options that the compiled loops along time do not have."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.cells.base import Cell
from ostinato.maps.base import Array, State, Weights
from ostinato.runtime import composed, native
from ostinato.runtime.reading import POLICIES

NO_ZONE = "the step machine has no zoneout that is 1 in float32"
"""Why steps with such a zoneout are computed in Python."""

_FEW = 4
"""Rows up to which each by itself is faster than all of them together, step by step."""


def why_not(cell: Cell, x: Array, *, noise: Array | None = None, zone: Any = None) -> str | None:
    """None if `Stepped` can compute this, else the reason, beginning with a lower-case letter."""
    reason = native.usable()
    if reason is not None:
        return reason
    if noise is not None or not (zone is None or isinstance(zone, float)):
        return "the step machine has no noise"
    if zone is not None and np.float32(zone) >= 1.0:
        return NO_ZONE
    if x.dtype != np.float32:
        return f"native code computes in float32, not {x.dtype}"
    return None if isinstance(native.key(cell), int) else composed.why_not(cell)


def step_of(cell: Cell, w: Weights) -> Any:
    """A cell's weights as `Stack.recurrent` takes them: the compiled loops' own if they have it."""
    if isinstance(native.key(cell), int):
        return native.Prepared(cell, w).packed
    return composed.composed(cell, w)


class Stepped:
    """A recurrent layer along time, step by step. A row has the same bits alone, in any batch, and in a stream.

    Args:
        cell: The recurrence.
        step: From `step_of`.
        features: Inputs a step.
        zoneout: The share of its old states that a step keeps.
    """

    def __init__(self, cell: Cell, step: Any, features: int, zoneout: float) -> None:
        self.units = cell.units
        self._stack = native.module().Stack(native.engine(), features, 0)
        self._stack.recurrent(step, 0, 0)
        if zoneout:
            self._stack.zoneout(zoneout)

    def forward(
        self, x: Array, state: State, *, mask: Array | None = None, reverse: bool = False
    ) -> tuple[Array, State]:
        """Run along time; arguments as in `ostinato.scans.loop.loop`."""
        batch, time, features = x.shape
        held = np.zeros((batch, features), np.float32)  # what a row carries beside its states
        carried = np.ascontiguousarray(np.concatenate([*state, held], axis=1), np.float32)
        machine = native.module().Machine(
            self._stack, batch, POLICIES.index("propagate"), native.threads(1), np.empty, self.units,
            np.dtype(np.float32),
        )  # fmt: skip
        for row, numbers in enumerate(carried):
            machine.write(row, 0, native.address(numbers))
        y = np.zeros((batch, time, self.units), np.float32)
        if mask is None and batch <= _FEW:
            for row in range(batch):
                given, out = np.ascontiguousarray(x[row, ::-1] if reverse else x[row]), np.empty_like(y[row])
                machine.run(row, time, native.address(given), native.address(out))
                y[row] = out[::-1] if reverse else out
        else:
            rows = np.arange(batch)
            for t in range(time - 1, -1, -1) if reverse else range(time):
                real = rows if mask is None else np.flatnonzero(mask[:, t])
                given, out = np.ascontiguousarray(x[real, t]), np.empty((len(real), self.units), np.float32)
                machine.step(native.address(real), len(real), native.address(given), native.address(out))
                y[real, t] = out
        for row, numbers in enumerate(carried):
            machine.read(row, native.address(numbers))
        return y, tuple(np.array(carried[:, i * self.units : (i + 1) * self.units]) for i in range(len(state)))
