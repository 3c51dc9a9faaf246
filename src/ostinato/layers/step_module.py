"""A user's own torch module that computes one step, `forward(input, hidden) -> (output, hidden)`, run along time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.errors import ArgumentError, ShapeError
from ostinato.maps._check import check_count, sequence
from ostinato.maps.base import Array, Context, Out, Shape, State, Weights
from ostinato.scans.base import Scan


@dataclass(frozen=True)
class StepModule(Scan):
    """Runs a module one step at a time; masked steps keep the state and give zeros, as in every recurrent layer.

    Cost: one Python call of the module per step. It has no fast kernel and cannot be saved as a model file, since a
    file never holds code.

    Args:
        module: `forward(input [batch, features], hidden) -> (output [batch, any], hidden)`; hidden is one tensor
            `[batch, size]`, or a tuple of them if there are several sizes.
        sizes: Width of each state.
        return_sequences: All outputs instead of the one of the last real step.
        reverse: Run from the last step to the first; outputs come in the order of computation.
    """

    module: nn.Module
    sizes: tuple[int, ...]
    return_sequences: bool = False
    reverse: bool = False
    width: list[int] = field(default_factory=list, compare=False)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return self.sizes

    def out_shape(self, shape: Shape) -> Shape:
        time, features = sequence("a step module", shape)
        if not self.width:
            self.width.append(self._probe(features))
        return (time, self.width[0]) if self.return_sequences else (self.width[0],)

    def stepwise(self) -> bool:
        return not self.reverse

    def apply(self, ctx: Context, w: Weights, x: Array, *, mask: Array | None = None, state: State = ()) -> Out:
        state = state or tuple(torch.zeros(len(x), n, dtype=x.dtype, device=x.device) for n in self.sizes)
        self.out_shape(tuple(x.shape[1:]))
        last = torch.zeros(len(x), self.width[0], dtype=x.dtype, device=x.device)
        outputs: list[Tensor] = []
        steps = range(x.shape[1] - 1, -1, -1) if self.reverse else range(x.shape[1])
        for t in steps:
            y, new = self._step(x[:, t], state)
            if mask is not None:
                real = mask[:, t, None]
                new = tuple(torch.where(real, n, s) for n, s in zip(new, state, strict=True))
                last = torch.where(real, y, last)
                y = torch.where(real, y, torch.zeros_like(y))
            else:
                last = y
            state = new
            outputs.append(y)
        if not self.return_sequences:
            return Out(last, None, state)
        if mask is not None and self.reverse:
            mask = mask.flip(1)
        return Out(torch.stack(outputs, dim=1) if outputs else last[:, None][:, :0], mask, state)

    def _step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        hidden: Any = state[0] if len(state) == 1 else state
        y, new = self.module(x, hidden)
        return y, ((new,) if isinstance(new, Tensor) else tuple(new))

    @torch.no_grad()
    def _probe(self, features: int) -> int:
        """The width of the output, found by one step on zeros."""
        like = next(self.module.parameters(), torch.zeros(()))
        rows = 2
        x = torch.zeros(rows, features, dtype=like.dtype, device=like.device)
        state = tuple(torch.zeros(rows, n, dtype=like.dtype, device=like.device) for n in self.sizes)
        where = f"module {type(self.module).__name__}"
        try:
            y, new = self._step(x, state)
        except (RuntimeError, TypeError, ValueError) as error:
            raise ShapeError(
                f"forward(input, hidden) must accept an input (batch, {features}) and states of sizes {self.sizes}",
                got=f"{type(error).__name__}: {str(error).splitlines()[0][:200]}",
                where=where,
                fix="Make the module's sizes fit the data, or pass state_size.",
            ) from error
        if y.ndim != 2 or len(y) != rows or [tuple(s.shape) for s in new] != [(rows, n) for n in self.sizes]:
            raise ShapeError(
                f"forward(input, hidden) must return an output (batch, any) and states of sizes {self.sizes}",
                got=f"output {tuple(y.shape)}, states {[tuple(s.shape) for s in new]} for a batch of {rows}",
                where=where,
                fix="Return (output, hidden) with the batch axis first.",
            )
        return int(y.shape[1])


def state_sizes(module: nn.Module, given: int | Sequence[int] | None) -> tuple[int, ...]:
    """The widths of a step module's states: as given, or its own attribute `hidden_size`.

    Raises:
        ArgumentError: Neither is known.
    """
    if given is None:
        given = getattr(module, "hidden_size", None)
    if given is None:
        raise ArgumentError(
            "state_size must be given for a step module that has no attribute hidden_size",
            got=type(module).__name__,
            fix="Pass RNN(module, state_size=n), n being the width of hidden.",
        )
    sizes = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    for n in sizes:
        check_count("state_size", n)
    return sizes
