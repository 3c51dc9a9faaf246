"""Looks into a recurrence while its formula runs: the slope of the loss at every state, and how far gates are open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ostinato.cells.base import Cell
from ostinato.kernels.base import TORCH, States
from ostinato.maps.base import Weights
from ostinato.scans.loop import loop

LOW, HIGH = 0.05, 0.95
"""A sigmoid outside these, or a tanh beyond ± `HIGH`, is saturated: its slope is below a fifth (sigmoid) or a tenth
(tanh) of its largest."""

_KINDS = ("sigmoid", "tanh")


class Share(NamedTuple):
    """How much of one gate, candidate or state is saturated.

    Args:
        name: The gate's, as the cell names it; "v (tanh)" for a second nonlinearity behind the gate v; a state's name
            for cells without known nonlinearities.
        kind: "sigmoid", "tanh" or "state".
        low: Share of values at the lower end: a closed gate, a candidate at -1, a state near its smallest value.
        high: Share at the upper end.
    """

    name: str
    kind: str
    low: float
    high: float

    @property
    def both(self) -> float:
        """Share at either end."""
        return self.low + self.high


class _Seen(NamedTuple):
    """One call of a nonlinearity."""

    kind: str
    argument: Tensor
    value: Tensor


class _Watch:
    """The array namespace of training, which also notes every `sigmoid` and `tanh` that a step computes."""

    def __init__(self) -> None:
        self.seen: list[_Seen] = []

    def sigmoid(self, x: Tensor) -> Tensor:
        return self._note("sigmoid", x, TORCH.sigmoid(x))

    def tanh(self, x: Tensor) -> Tensor:
        return self._note("tanh", x, TORCH.tanh(x))

    def _note(self, kind: str, x: Tensor, value: Tensor) -> Tensor:
        self.seen.append(_Seen(kind, x, value))
        return value

    def __getattr__(self, name: str) -> Any:
        return getattr(TORCH, name)


class Run:
    """One run of one cell, as it was computed.

    Args:
        layer: Name of the layer.
        cell: The recurrence.
        reverse: Whether it ran from the last step to the first.
        real: `[batch, time]` in the order of computation, True for real steps.
    """

    def __init__(self, layer: str, cell: Cell, *, reverse: bool, real: Tensor) -> None:
        self.layer, self.cell, self.reverse, self.real = layer, cell, reverse, real
        self.probes: list[tuple[Tensor, ...]] = []
        self.states: list[States] = []
        self.counts: dict[tuple[int, int], NDArray[np.float64]] = {}
        self.names: dict[tuple[int, int], tuple[str, str]] = {}

    def norms(self, slopes: Sequence[Tensor]) -> NDArray[np.float64]:
        """Norm of the gradient by lag, over all states together, averaged over the rows that reach so far back.

        Lag 0 is, for each row, the last state in the order of computation that the loss depends on.

        Args:
            slopes: The gradients of the probes, in their order.
        """
        n = len(self.cell.states)
        steps = [torch.stack([s.square().sum(1) for s in slopes[i : i + n]]).sum(0) for i in range(0, len(slopes), n)]
        norm = torch.stack(steps, 1).sqrt().cpu().numpy() if steps else np.zeros((len(self.real), 0))
        sums, rows = np.zeros(norm.shape[1]), np.zeros(norm.shape[1])
        for row, real in zip(norm, self.real.cpu().numpy(), strict=True):
            back = row[real][::-1]
            read = np.flatnonzero(back)
            back = back[read[0] :] if len(read) else back
            sums[: len(back)] += back
            rows[: len(back)] += 1.0
        found: NDArray[np.float64] = sums[rows > 0] / rows[rows > 0]
        return found

    def shares(self) -> tuple[Share, ...]:
        """Saturated shares of gates and candidates; of the states, for a cell whose nonlinearities were not seen."""
        found = [
            Share(*self.names[key], *(count[:2] / count[2]).tolist())
            for key, count in self.counts.items()
            if count[2] > 0.0
        ]
        order = {name: place for place, name in enumerate(self.cell.gates)}
        found.sort(key=lambda share: order.get(share.name, len(order)))
        if found:
            return tuple(found)
        kept = [torch.stack(values, 1)[self.real] for values in zip(*self.states, strict=True)]
        return tuple(_ends(name, values) for name, values in zip(self.cell.states, kept, strict=True) if len(values))

    def count(self, seen: Sequence[_Seen], real: Tensor) -> None:
        """Count what one step computed, over its real rows."""
        n = self.cell.units
        for place, one in enumerate(seen):
            for piece in range(_pieces(one.value, n)):
                if (place, piece) in self.names:
                    v = one.value.detach()[real, piece * n : (piece + 1) * n]
                    low = v < (LOW if one.kind == "sigmoid" else -HIGH)
                    new = [float(low.sum()), float((v > HIGH).sum()), float(v.numel())]
                    self.counts.setdefault((place, piece), np.zeros(3))[:] += new


class Probe:
    """Runs stacks step by step, with a zero added to every state: the slope of the loss at that zero is the slope at
    the state. The numbers are those of the plain loop. Works for every cell."""

    def __init__(self) -> None:
        self.layer = ""
        self.runs: list[Run] = []

    def scan(
        self,
        cell: Cell,
        w: Weights,
        x: Tensor,
        state: States,
        *,
        mask: Tensor | None = None,
        reverse: bool = False,
        noise: Tensor | None = None,
        zone: float | None = None,
    ) -> tuple[Tensor, States]:
        """What parts get as `Context.scan`; arguments as in `ostinato.scans.loop.loop`."""
        watch, time = _Watch(), x.shape[1]
        real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if mask is None else mask
        run = Run(self.layer, cell, reverse=reverse, real=real.flip(1) if reverse else real)
        run.names = _names(cell, w, x)
        outputs = []
        for t in range(time - 1, -1, -1) if reverse else range(time):
            here = slice(t, t + 1)
            watch.seen.clear()
            y, state = loop(
                watch, cell, w, x[:, here], state, mask=None if mask is None else mask[:, here], noise=noise, zone=zone
            )
            run.count(watch.seen, real[:, t])
            run.states.append(tuple(s.detach() for s in state))
            probes = tuple(torch.zeros_like(s, requires_grad=True) for s in state)
            run.probes.append(probes)
            state = tuple(s + p for s, p in zip(state, probes, strict=True))
            outputs.append(y + probes[0][:, None])
        self.runs.append(run)
        return torch.cat(outputs[::-1] if reverse else outputs, dim=1) if outputs else x.new_zeros(
            (len(x), 0, cell.units)
        ), state


def _pieces(value: Tensor, units: int) -> int:
    """How many blocks of one number a unit a nonlinearity computed for each row; 0 if it was something else."""
    return value.shape[1] // units if value.ndim == 2 and value.shape[1] % units == 0 else 0


def _names(cell: Cell, w: Weights, x: Tensor) -> dict[tuple[int, int], tuple[str, str]]:
    """Which gate each nonlinearity of a step computes, by (number of the call, block in it).

    One step is computed near zero. A block belongs to the gate whose input part its argument rises with most; the first
    such block in the order of computation is the gate itself, a later one is a nonlinearity behind it (of the state,
    say). What depends on no gate is a constant and is left out.
    """
    draw, n, width = torch.Generator().manual_seed(0), cell.units, len(cell.gates) * cell.units

    def near_zero(size: int) -> Tensor:
        return (0.1 * torch.randn(1, size, generator=draw, dtype=torch.float64)).to(x)

    watch, a = _Watch(), near_zero(width).requires_grad_()
    extra = {name: w[name] for name in cell.extra()}
    cell.step(watch, a, w["U"], tuple(near_zero(n) for _ in cell.states), **extra)
    names: dict[tuple[int, int], tuple[str, str]] = {}
    taken: set[str] = set()
    for place, one in enumerate(watch.seen):
        if not one.argument.requires_grad:
            continue
        for piece in range(_pieces(one.value, n)):
            argument = one.argument[:, piece * n : (piece + 1) * n]
            weights = near_zero(n)  # random, since a normalised sum has no slope at all
            (slope,) = torch.autograd.grad((argument * weights).sum(), a, retain_graph=True)
            gate = cell.gates[int(slope.view(len(cell.gates), n).norm(dim=1).argmax())]
            names[place, piece] = (gate if gate not in taken else f"{gate} ({one.kind})", one.kind)
            taken.add(gate)
    return names


def _ends(name: str, values: Tensor) -> Share:
    """Shares of a state's values within 5 % of the ends of its own range."""
    low, high = values.min(), values.max()
    margin = (1.0 - HIGH) * (high - low)
    if float(margin) == 0.0:
        return Share(name, "state", 1.0, 0.0)
    n = float(values.numel())
    return Share(name, "state", float((values < low + margin).sum()) / n, float((values > high - margin).sum()) / n)
