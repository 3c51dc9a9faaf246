"""How the gradient of one piece is found: on one tape, or in windows along time that bound the memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ostinato.errors import ArgumentError
from ostinato.kernels.base import TORCH
from ostinato.layers.module import Layer
from ostinato.layers.stack import Stack
from ostinato.maps.base import State
from ostinato.scans.base import Scan
from ostinato.train.batches import Batch
from ostinato.train.feeds import Piece, between

Loss = Callable[[Tensor, Batch, Tensor | None], tuple[Tensor, float]]
"""(output, batch, mask of the output) -> (mean loss, total weight of the batch)."""

Metric = Callable[[Tensor, Batch, Tensor | None], tuple[float, float]]
"""Likewise, to (sum, total weight); an epoch's figure is the quotient of the totals."""

States = tuple[State, ...]


class Objective(NamedTuple):
    """What is minimised and what is measured.

    Args:
        loss: See `Loss`.
        metrics: Figures by name.
        penalty: Added to the loss of each step, for regularised weights; None for none.
        finish: What an epoch's quotient becomes, by metric name (a square root for the RMSE); unchanged by default.
        curvature: A loss with the second derivative that Hessian-free uses; None for that of `loss`.
    """

    loss: Loss
    metrics: Mapping[str, Metric] = {}
    penalty: Callable[[], Tensor] | None = None
    finish: Mapping[str, Callable[[float], float]] = {}
    curvature: Loss | None = None

    def figures(self, y: Tensor, batch: Batch, mask: Tensor | None) -> list[tuple[float, float]]:
        """Sum and weight of each metric."""
        return [metric(y.detach(), batch, mask) for metric in self.metrics.values()] if self.metrics else []


class Found(NamedTuple):
    """What a sweep found, beside the gradient.

    Args:
        loss: The mean loss.
        weight: The weight that it was averaged over.
        figures: Sum and weight of each metric, in the objective's order.
        states: Each layer's final states.
    """

    loss: float
    weight: float
    figures: list[tuple[float, float]]
    states: States


class Sweep(ABC):
    """A way to find the gradient of one piece; it is added to what the weights' gradients hold."""

    @abstractmethod
    def gradient(self, stack: Stack, objective: Objective, piece: Piece, carried: States) -> Found:
        """The gradient of the mean loss.

        Args:
            stack: The model, in training mode.
            objective: Loss and metrics.
            piece: What the step sees.
            carried: The final states of the piece before; () for none.
        """

    def check(self, stack: Stack) -> None:  # noqa: B027 (most sweeps can do with any stack)
        """Raise `ArgumentError` if this cannot be done for `stack`."""


@dataclass(frozen=True)
class Whole(Sweep):
    """The piece at once: memory grows with its length."""

    def gradient(self, stack: Stack, objective: Objective, piece: Piece, carried: States) -> Found:
        batch = piece.batch
        y, mask, states = stack.run(batch.x, mask=batch.mask, states=begin(stack, piece, carried))
        loss, weight = objective.loss(y, batch, mask)
        if objective.penalty is not None:
            loss = loss + objective.penalty()
        charge = stack.charges()
        if charge is not None:
            loss = loss + charge
        loss.backward()  # type: ignore[no-untyped-call]
        return Found(loss.item(), weight, objective.figures(y, batch, mask), states)


@dataclass(frozen=True)
class Windowed(Sweep):
    """The gradient through all steps of the piece, window by window along time.

    Both kinds of memory do the same operations in the same order, so that they find the same bits.

    Args:
        bptt: Steps of a window.
        recompute: False keeps every window's tape: memory grows with the length, as without windows. True keeps only
            the states at the borders, and computes each window again on the way back: memory of one window, for about a
            third more time.
    """

    bptt: int
    recompute: bool = False

    def check(self, stack: Stack) -> None:
        last_recurrent(stack)

    def gradient(self, stack: Stack, objective: Objective, piece: Piece, carried: States) -> Found:
        time = piece.batch.x.shape[1]
        if time <= self.bptt:
            return Whole().gradient(stack, objective, piece, carried)
        collapsed = last_recurrent(stack)
        cuts = [(a, min(a + self.bptt, time)) for a in range(0, time, self.bptt)]
        before = [begin(stack, piece, carried)]
        tapes: list[_Tape] = []
        totals: list[tuple[float, float]] = []
        figures: list[list[tuple[float, float]]] = []
        charges = 0.0
        for k in range(len(cuts)):
            tape = _record(stack, objective, piece, cuts, k, before[k], collapsed)
            if tape.loss is not None:
                totals.append((float(tape.loss.detach()), tape.weight))
                figures.append(tape.figures)
            charges += 0.0 if tape.charge is None else float(tape.charge.detach())
            before.append(tuple(tuple(s.detach() for s in state) for state in tape.states))
            if not self.recompute:
                tapes.append(tape)
            del tape
        weight = sum(w for _, w in totals)
        loss = sum(value * (w / weight if weight else 0.0) for value, w in totals)
        loss += _penalise(objective) + charges
        slopes: list[Tensor | None] = []
        for k in range(len(cuts) - 1, -1, -1):
            tape = tapes.pop() if tapes else _record(stack, objective, piece, cuts, k, before[k], collapsed)
            slopes = tape.backward(slopes, weight)
            del tape
        stack.noise.window = 0
        sums = [(sum(f[0] for f in kind), sum(f[1] for f in kind)) for kind in zip(*figures, strict=True)]
        return Found(loss, weight, sums, before[-1])


@dataclass(frozen=True)
class Tail(Sweep):
    """Truncated backpropagation for a stack that gives one output a sequence: gradients of the last steps only.

    Args:
        bptt: How many steps back gradients reach; the steps before only set the states.
    """

    bptt: int

    def check(self, stack: Stack) -> None:
        last_recurrent(stack)

    def gradient(self, stack: Stack, objective: Objective, piece: Piece, carried: States) -> Found:
        time = piece.batch.x.shape[1]
        if time > self.bptt:
            head = between(piece.batch, 0, time - self.bptt, per_step=False)
            with torch.no_grad():
                states = stack.run(head.x, mask=head.mask, states=begin(stack, piece, carried))[2]
            collapsed = last_recurrent(stack)
            carried = tuple(s if i <= (collapsed or 0) else () for i, s in enumerate(states))
            rest = between(piece.batch, time - self.bptt, time, per_step=False)
            piece = Piece(rest, piece.numbers, torch.zeros(len(head.x), dtype=torch.bool, device=head.x.device))
            stack.noise.window = 1
        found = Whole().gradient(stack, objective, piece, carried)
        stack.noise.window = 0
        return found


class _Tape(NamedTuple):
    """One window as it was computed: what it starts from, what it ends in."""

    leaves: list[Tensor]
    ends: list[Tensor]
    loss: Tensor | None
    weight: float
    figures: list[tuple[float, float]]
    states: States
    penalty: Callable[[], Tensor] | None
    charge: Tensor | None

    def backward(self, slopes: Sequence[Tensor | None], total: float) -> list[Tensor | None]:
        """Add this window's gradient, given the slopes of its final states; returns those of its first states."""
        roots = [(end, slope) for end, slope in zip(self.ends, slopes, strict=False) if slope is not None]
        if self.loss is not None:
            roots.append((self.loss, torch.full_like(self.loss, self.weight / total if total else 0.0)))
        if self.penalty is not None:
            penalty = self.penalty()
            roots.append((penalty, torch.ones_like(penalty)))
        if self.charge is not None:
            roots.append((self.charge, torch.ones_like(self.charge)))
        roots = [(end, slope) for end, slope in roots if end.requires_grad]
        if roots:
            torch.autograd.backward([end for end, _ in roots], [slope for _, slope in roots])
        return [leaf.grad for leaf in self.leaves]


def _record(
    stack: Stack,
    objective: Objective,
    piece: Piece,
    cuts: Sequence[tuple[int, int]],
    k: int,
    states: States,
    collapsed: int | None,
) -> _Tape:
    last = k == len(cuts) - 1
    batch = between(piece.batch, *cuts[k], per_step=collapsed is None)
    leaves: list[Tensor] = []
    if k > 0:
        made = []
        for i, state in enumerate(states):
            own = () if collapsed is not None and i > collapsed else tuple(s.requires_grad_() for s in _apart(state))
            leaves += own
            made.append(own)
        states = tuple(made)
    stack.noise.window = k
    y, mask, final = stack.run(batch.x, mask=batch.mask, states=states)
    ends = [s for state in final[: None if collapsed is None else collapsed + 1] for s in state]
    penalty = objective.penalty if last else None
    charge = stack.charges()
    if charge is not None:
        charge = charge * ((cuts[k][1] - cuts[k][0]) / cuts[-1][1])
    silent = not last if collapsed is not None else batch.mask is not None and not batch.mask.any()
    if silent:  # a loss over no step at all may be NaN
        return _Tape(leaves, ends, None, 0.0, [], final, penalty, charge)
    loss, weight = objective.loss(y, batch, mask)
    return _Tape(leaves, ends, loss, weight, objective.figures(y, batch, mask), final, penalty, charge)


def _apart(state: State) -> State:
    return tuple(s.detach() for s in state)


@torch.no_grad()
def _penalise(objective: Objective) -> float:
    return 0.0 if objective.penalty is None else float(objective.penalty())


def begin(stack: Stack, piece: Piece, carried: States) -> States:
    """The states that a piece starts from: those of the piece before, anew for rows that begin a sequence."""
    fresh, keep = piece.fresh, piece.keep
    if fresh is None or not carried:
        return ()
    made = []
    anew = bool(fresh.any())
    for layer, state in zip(stack.layers, carried, strict=True):
        if keep is not None:
            state = tuple(s.index_select(0, keep) for s in state)
        if anew and state:
            first = layer.part.begin(TORCH, layer.tensors(), state)  # type: ignore[operator, union-attr]
            state = tuple(torch.where(fresh[:, None], f, s) for f, s in zip(first, state, strict=True))
        made.append(state)
    return tuple(made)


def last_recurrent(stack: Stack) -> int | None:
    """The number of the layer that turns a sequence into one vector; None if the output has a time axis.

    Raises:
        ArgumentError: A layer needs the whole sequence at once, so that states cannot be carried from window to window.
    """
    names, scans = [], 0
    for i, layer in enumerate(stack.layers):
        assert isinstance(layer, Layer)
        scans += isinstance(layer.part, Scan)
        if not layer.part.stepwise():
            names.append(f"layer {i + 1} ({layer.name or type(layer.part).__name__})")
        elif isinstance(layer.part, Scan) and len(layer.part.out_shape((None, *(layer.built_shape or (0, 1))[1:]))) < 2:
            if not names:
                return i
            break
    if names or not scans:
        raise ArgumentError(
            "windows along time must have a stack of layers that run forward and see one step at a time",
            got="layers that need the whole sequence" if names else "no recurrent layer",
            where=names,
            fix="Pass bptt=0, or remove these layers (a backward direction, convolution, pooling, attention, …).",
        )
    return None
