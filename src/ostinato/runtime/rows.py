"""Several sequences of one batch side by side, which may be chosen and repeated: what a beam search goes on with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ostinato.maps.base import Array, Part, State
from ostinato.runtime.machine import Machine
from ostinato.runtime.one_step import check_stepwise
from ostinato.scans.recurrent import Recurrent


def _all_steps(part: Part) -> Part:
    return replace(part, return_sequences=True) if isinstance(part, Recurrent) else part


class Rows:
    """Carries the states of a network from step to step, for `batch` sequences side by side. For users there is
    `ostinato.runtime.stream.Stream`.

    A layer that returns only its last output returns it after each step: what the network says of the sequence so far.
    Any way of cutting a sequence into calls gives the same outputs as one call, but for the rounding of dense layers.

    Args:
        machine: The network.
        batch: Sequences side by side.

    Raises:
        ArgumentError: A layer needs later steps, or the whole past.
    """

    def __init__(self, machine: Machine, *, batch: int = 1) -> None:
        check_stepwise(machine.parts)
        parts = [_all_steps(part) for part in machine.parts]
        same = all(one == other for one, other in zip(parts, machine.parts, strict=True))
        self.machine = machine if same else Machine(parts, machine.weights, precision=machine.precision)
        self.batch = batch
        self.states: tuple[State, ...] = ()

    def step(self, x: Array) -> Array:
        """The output `[batch, …]` for one step `x [batch, *features]`."""
        return self.run(x[:, None])[:, -1]

    def run(self, x: Array) -> Array:
        """The outputs `[batch, time, …]` for several steps `x [batch, time, *features]`."""
        y, self.states = self.machine.run(x, states=self.states)
        return y

    def select(self, rows: Sequence[int] | np.ndarray) -> None:
        """Go on with these rows, in this order; a row may be taken several times (beams) or not at all."""
        index = np.asarray(rows, np.int64)
        self.batch = len(index)
        self.states = tuple(tuple(s[index] for s in state) for state in self.states)

    def fork(self) -> Rows:
        """A second batch that goes on from here by itself."""
        twin = Rows(self.machine, batch=self.batch)
        twin.states = tuple(tuple(s.copy() for s in state) for state in self.states)
        return twin
