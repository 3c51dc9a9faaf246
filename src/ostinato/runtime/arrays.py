"""The array namespaces that parts compute on: the Python array API standard, plus `sigmoid`."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from ostinato.cells.base import Cell
from ostinato.maps.base import Array, Context, State, Weights
from ostinato.runtime import native, stepped
from ostinato.scans.loop import loop


class Namespace:
    """A standard array namespace with a `sigmoid` of its own.

    Args:
        standard: A module that follows the standard.
        sigmoid: 1 / (1 + exp(-x)) for its arrays, without overflow.
    """

    def __init__(self, standard: ModuleType, sigmoid: Callable[[Any], Any]) -> None:
        self._standard = standard
        self.sigmoid = sigmoid

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._standard, name)
        setattr(self, name, value)
        return value


def _sigmoid(x: Any) -> Any:
    return 0.5 * np.tanh(0.5 * x) + 0.5


NUMPY = Namespace(np, _sigmoid)
"""NumPy 2 follows the standard by itself."""


def with_native(
    prepared: Callable[[Cell, Weights], native.Prepared],
    step_of: Callable[[Cell, Weights], Any],
    cell: Cell,
    w: Weights,
    x: Array,
    state: State,
    **options: Any,
) -> tuple[Array, State]:
    """Run `cell` along time: with the compiled loops if they can, else the step machine, else the loop on NumPy.

    Args:
        prepared: Gives the cell with its weights in the order of the compiled loops.
        step_of: Gives it as the step machine takes it, see `stepped.step_of`.
        cell: The recurrence.
        w: Its weights by name.
        x: `[batch, time, features]`.
        state: Start states.
        options: As for `ostinato.scans.loop.loop`.
    """
    special = {name: options.pop(name, None) for name in ("noise", "zone")}
    if x.shape[0] and x.shape[1]:
        if native.why_not(cell, x, **special) is None:
            return prepared(cell, w).forward(x, state, **options)
        if stepped.why_not(cell, x, **special) is None:
            layer = stepped.Stepped(cell, step_of(cell, w), x.shape[2], special["zone"] or 0.0)
            return layer.forward(x, state, **options)
    return loop(NUMPY, cell, w, x, state, **special, **options)


def scan(cell: Cell, w: Weights, x: Array, state: State, **options: Any) -> tuple[Array, State]:
    """As `with_native`; the weights are brought into order anew in each call."""
    return with_native(native.Prepared, stepped.step_of, cell, w, x, state, **options)


CONTEXT = Context(NUMPY, scan)
"""What parts compute with below the torch line."""
