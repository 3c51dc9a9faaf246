"""A network step by step: the next output costs the same however long the past is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ostinato.errors import ArgumentError
from ostinato.maps.base import Array, Part, State
from ostinato.runtime.machine import Machine
from ostinato.scans.recurrent import Recurrent


def why_not(parts: Sequence[Part]) -> str | None:
    """None if a stack of these layers can run step by step, else the reason, beginning with a lower-case letter."""
    for number, part in enumerate(parts, 1):
        if not part.stepwise():
            why = "runs from the last step to the first" if isinstance(part, Recurrent) else "needs more than one step"
            return f"layer {number} ({type(part).__name__}) {why}"
    return None


def _all_steps(part: Part) -> Part:
    return replace(part, return_sequences=True) if isinstance(part, Recurrent) else part


class Stream:
    """Carries the states of a network from step to step, for `batch` sequences side by side.

    A layer that returns only its last output returns it after each step: what the network says of the sequence so far.
    Any way of cutting a sequence into calls gives the same outputs as one call, but for the rounding of dense layers.

    Args:
        machine: The network.
        batch: Sequences side by side.

    Raises:
        ArgumentError: A layer needs later steps, or the whole past.
    """

    def __init__(self, machine: Machine, *, batch: int = 1) -> None:
        reason = why_not(machine.parts)
        if reason is not None:
            raise ArgumentError(
                "a stream must have layers that need one step at a time",
                got=reason,
                fix="Predict whole sequences, or train a network of forward layers.",
            )
        parts = tuple(map(_all_steps, machine.parts))
        self.machine = machine if parts == machine.parts else Machine(parts, machine.weights)
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

    def fork(self) -> Stream:
        """A second stream that goes on from here by itself."""
        twin = Stream(self.machine, batch=self.batch)
        twin.states = tuple(tuple(s.copy() for s in state) for state in self.states)
        return twin
