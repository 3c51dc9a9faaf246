"""The time loop, once, for every cell and every array namespace. All other kernels are measured against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ostinato.cells.base import Cell
from ostinato.maps.base import Array, State, Weights


class DroppedWeights:
    """Recurrent weights seen through dropout: `h @ dropped` is `(h * noise) @ U`, whatever slice of U the cell takes.

    This is how one noise pattern per sequence (Gal & Ghahramani 2016) reaches the recurrent product of any cell without
    the cell knowing.
    """

    def __init__(self, weights: Array, noise: Array) -> None:
        self.weights, self.noise = weights, noise

    def __getitem__(self, key: Any) -> DroppedWeights:
        return DroppedWeights(self.weights[key], self.noise)

    def __rmatmul__(self, h: Array) -> Array:
        return (h * self.noise) @ self.weights


def loop(
    xp: Any,
    cell: Cell,
    w: Weights,
    x: Array,
    state: State,
    *,
    mask: Array | None = None,
    reverse: bool = False,
    noise: Array | None = None,
    zone: Sequence[Array] | float | None = None,
) -> tuple[Array, State]:
    """Run `cell` along time.

    Args:
        xp: The array namespace of all arrays.
        cell: The recurrence.
        w: Its weights by name.
        x: `[batch, time, features]`.
        state: Start states, each `[batch, units]`.
        mask: `[batch, time]`, True for real steps. Other steps leave the state as it is and give zeros.
        reverse: Run from the last step to the first; outputs stay at the steps they belong to.
        noise: `[batch, units]`, factors of h inside the recurrent product (recurrent dropout).
        zone: Share of each state's old value that a step keeps (zoneout): one number, or for each state
            `[batch, time, units]`.

    Returns:
        Outputs `[batch, time, units]` and the final states.
    """
    extra = {name: w[name] for name in cell.extra()}
    recurrent: Any = w["U"] if noise is None else DroppedWeights(w["U"], noise)
    if x.shape[1] == 0:
        return xp.zeros((x.shape[0], 0, cell.units), dtype=x.dtype, device=x.device), state
    if mask is not None:  # whatever lies in the padding, NaN included, must not reach the gradients of W
        x = xp.where(mask[:, :, None], x, xp.zeros_like(x))
    a = cell.project(x, w["W"], w["b"])
    outputs: list[Array] = []
    for t in range(x.shape[1] - 1, -1, -1) if reverse else range(x.shape[1]):
        kept = None if zone is None else [zone] * len(state) if isinstance(zone, float) else [z[:, t] for z in zone]
        real = None if mask is None else mask[:, t, None]
        y, state = advance(xp, cell, a[:, t], recurrent, state, extra, kept=kept, real=real)
        outputs.append(y)
    return xp.stack(outputs[::-1] if reverse else outputs, axis=1), state


def advance(
    xp: Any,
    cell: Cell,
    a: Array,
    U: Any,
    state: State,
    extra: Weights,
    *,
    kept: Sequence[Array | float] | None = None,
    real: Array | None = None,
) -> tuple[Array, State]:
    """One step of the loop.

    Args:
        xp: The array namespace of all arrays.
        cell: The recurrence.
        a: `[batch, gates · units]`, the input part.
        U: The recurrent weights.
        state: The states before the step.
        extra: Further recurrent weights by name.
        kept: For each state the share of its old value that stays.
        real: `[batch, 1]`, True for rows in which the step is real.

    Returns:
        The output `[batch, units]` and the new states.
    """
    new = cell.step(xp, a, U, state, **extra)
    if kept is not None:
        new = tuple(n + z * (s - n) for n, s, z in zip(new, state, kept, strict=True))
    if real is None:
        return new[0], new
    state = tuple(xp.where(real, n, s) for n, s in zip(new, state, strict=True))
    return xp.where(real, new[0], xp.zeros_like(new[0])), state
