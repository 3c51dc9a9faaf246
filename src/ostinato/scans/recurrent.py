"""One cell along time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.cells.base import Cell
from ostinato.errors import ArgumentError
from ostinato.maps._check import check_choice, check_flag, check_rate, sequence
from ostinato.maps.base import Array, Context, Out, Shape, State, Weight, Weights
from ostinato.scans.base import Scan


@lean_dataclass(frozen=True)
class Recurrent(Scan):
    """Runs a cell over `(batch, time, features)` and returns its last output, or all of them.

    Args:
        cell: The recurrence.
        return_sequences: False gives `(batch, units)`, the output of the last real step; True `(batch, time, units)`.
        reverse: Run from the last step to the first. All outputs, if asked for, come in the order of computation, as in
            Keras' `go_backwards`.
        start: "zeros", or "learned": the start state is a weight.
        dropout: Rate on the inputs, in training only; one noise pattern for all steps of a sequence.
        recurrent_dropout: Rate on h inside the recurrent product, likewise (Gal & Ghahramani 2016).
        weight_drop: Rate on the recurrent weights U, in training only; one pattern for all sequences and steps of a
            batch, so that every fast kernel can run with it (Wan et al. 2013; Merity et al. 2018).
        zoneout: Probability that a step leaves a number of a state as it was, in training; in use each state moves by
            the expected share (Krueger et al. 2017). No fast kernel has it in training; in use it has compiled
            steps.
    """

    cell: Cell
    return_sequences: bool = False
    reverse: bool = False
    start: str = "zeros"
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    weight_drop: float = 0.0
    zoneout: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.cell, Cell):
            raise ArgumentError("cell must be a Cell", got=repr(self.cell), fix="Pass, say, LSTM(32).")
        check_flag("return_sequences", self.return_sequences)
        check_flag("reverse", self.reverse)
        check_choice("start", self.start, ("zeros", "learned"))
        check_rate("dropout", self.dropout)
        check_rate("recurrent_dropout", self.recurrent_dropout)
        check_rate("weight_drop", self.weight_drop)
        check_rate("zoneout", self.zoneout)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.cell.units,) * len(self.cell.states)

    def weights(self, shape: Shape) -> dict[str, Weight]:
        _, n = sequence("a recurrent layer", shape)
        w = self.cell.weights(n)
        if self.start == "learned":
            w |= {f"start_{name}": Weight((self.cell.units,), "zeros") for name in self.cell.states}
        return w

    def out_shape(self, shape: Shape) -> Shape:
        time, _ = sequence("a recurrent layer", shape)
        return (time, self.cell.units) if self.return_sequences else (self.cell.units,)

    def stepwise(self) -> bool:
        return not self.reverse

    def begin(self, xp: Any, w: Weights, like: State) -> State:
        if self.start == "learned":
            pairs = zip(self.cell.states, like, strict=True)
            return tuple(xp.broadcast_to(w[f"start_{name}"], s.shape) for name, s in pairs)
        return super().begin(xp, w, like)

    def apply(self, ctx: Context, w: Weights, x: Array, *, mask: Array | None = None, state: State = ()) -> Out:
        xp = ctx.xp
        state = state or self._start(xp, w, x)
        noise = None
        zone: Sequence[Array] | float | None = self.zoneout or None
        if ctx.drop is not None:
            if self.dropout > 0.0:
                x = ctx.drop(x, self.dropout, (1,))
            if self.recurrent_dropout > 0.0:
                noise = ctx.drop(xp.ones_like(state[0]), self.recurrent_dropout, ())
            if self.weight_drop > 0.0:
                w = {**w, "U": ctx.drop(w["U"], self.weight_drop, ())}
            if zone is not None:
                zone = [self._zones(ctx.drop, xp, x) for _ in state]
        ys, state = ctx.scan(self.cell, w, x, state, mask=mask, reverse=self.reverse, noise=noise, zone=zone)
        if not self.return_sequences:
            return Out(state[0], None, state)
        if self.reverse:
            ys, mask = xp.flip(ys, axis=1), None if mask is None else xp.flip(mask, axis=1)
        return Out(ys, mask, state)

    def _zones(self, drop: Callable[..., Array], xp: Any, x: Array) -> Array:
        """1 where a step keeps the old number, else 0."""
        ones = xp.ones((x.shape[0], x.shape[1], self.cell.units), dtype=x.dtype, device=x.device)
        return xp.where(drop(ones, self.zoneout, ()) > 0.0, xp.zeros_like(ones), ones)

    def _start(self, xp: Any, w: Weights, x: Array) -> State:
        shape = (x.shape[0], self.cell.units)
        if self.start == "learned":
            return tuple(xp.broadcast_to(w[f"start_{name}"], shape) for name in self.cell.states)
        return (xp.zeros(shape, dtype=x.dtype, device=x.device),) * len(self.cell.states)
