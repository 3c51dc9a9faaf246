"""How a network's steps are computed: by the compiled step machine if it can, else layer after layer in Python."""

from __future__ import annotations

from functools import cached_property

from ostinato.maps.base import Shape
from ostinato.runtime import native
from ostinato.runtime.compiled_steps import CompiledSteps, Stack, why_not
from ostinato.runtime.machine import Machine
from ostinato.runtime.one_step import OneStep
from ostinato.runtime.plain_steps import PlainSteps

Steps = PlainSteps | CompiledSteps
"""The states of several sequences, and what moves them on."""


class Stepping:
    """Makes the steps of one network; what its streams share is made once.

    Args:
        machine: The network.
        input_shape: Shape of one sample, time first.

    Raises:
        ArgumentError: A layer needs later steps, or the whole past, or the input has no time axis.
    """

    def __init__(self, machine: Machine, input_shape: Shape) -> None:
        self.network = OneStep(machine, input_shape)

    @cached_property
    def plain(self) -> str | None:
        """Why the steps are computed layer after layer; None if one compiled call does it."""
        return why_not(self.network)

    @cached_property
    def _stack(self) -> Stack:
        return Stack(self.network)

    def steps(self, capacity: int, nonfinite: str, *, threads: int = 1) -> Steps:
        """The states of `capacity` sequences, which start."""
        if self.plain is None:
            return CompiledSteps(self.network, self._stack, capacity, nonfinite, threads=threads)
        return PlainSteps(self.network, capacity, nonfinite)

    def explain(self) -> str:
        """One sentence: how the steps are computed, and why."""
        if self.plain is None:
            return f"All layers in one call of the step machine ({native.engine()}, {self.network.machine.precision})."
        return f"Layer after layer in Python: {self.plain}."
