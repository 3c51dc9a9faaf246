"""Optimisers by name."""

from __future__ import annotations

from ostinato._folder import catalogue
from ostinato.errors import ArgumentError
from ostinato.train.optimisers.base import Optimizer

OPTIMIZERS = catalogue("ostinato.train.optimisers", Optimizer)
"""Optimisers by name, as `compile(optimizer="adam")` and the command line take them."""


def optimizer(choice: str | Optimizer) -> Optimizer:
    """An optimiser from its name (with default settings) or as it is.

    Raises:
        ArgumentError: There is no optimiser of that name.
    """
    if isinstance(choice, Optimizer):
        return choice
    if isinstance(choice, str):
        squeezed = choice.replace("_", "").lower()
        for name, cls in OPTIMIZERS.items():
            if name.replace("_", "") == squeezed:
                return cls()  # type: ignore[call-arg]
    raise ArgumentError(
        f"optimizer must be one of {', '.join(OPTIMIZERS)}, or an object of these classes",
        got=repr(choice),
        fix="Choose a name from the list.",
    )
