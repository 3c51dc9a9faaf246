"""Two cells, one in each direction (Schuster & Paliwal 1997)."""

from __future__ import annotations

from dataclasses import replace

from ostinato._lean_dataclass import lean_dataclass
from ostinato.errors import ArgumentError
from ostinato.maps._check import check_choice
from ostinato.maps.base import Array, Context, Out, Shape, State, Weight, Weights
from ostinato.scans.base import Scan
from ostinato.scans.recurrent import Recurrent

_FORWARD, _BACKWARD = "forward_", "backward_"


@lean_dataclass(frozen=True)
class Bidirectional(Scan):
    """Runs a layer and its mirror image in time over the same input and joins what they return.

    Args:
        layer: The layer that runs forward; its `reverse` must be False.
        merge_mode: "concat" (twice the features), "sum", "mul" or "ave".
        backward: The layer that runs backward, if it differs; its `reverse` must be True.
    """

    layer: Recurrent
    merge_mode: str = "concat"
    backward: Recurrent | None = None

    def __post_init__(self) -> None:
        check_choice("merge_mode", self.merge_mode, ("concat", "sum", "mul", "ave"))
        for one in (self.layer,) if self.backward is None else (self.layer, self.backward):
            if not isinstance(one, Recurrent):
                raise ArgumentError("each direction must be a Recurrent", got=repr(one), fix="Pass Recurrent(cell).")
        if self.layer.reverse or not self._mirror.reverse:
            raise ArgumentError(
                "a bidirectional layer must have a layer that runs forward and one that runs backward",
                got=f"go_backwards={self.layer.reverse} and {self._mirror.reverse}",
                fix="Set go_backwards=True in the backward layer only.",
            )
        if self.layer.return_sequences != self._mirror.return_sequences:
            raise ArgumentError(
                "both directions must have the same return_sequences",
                got=f"{self.layer.return_sequences} and {self._mirror.return_sequences}",
                fix="Set both to the same value.",
            )
        if self.merge_mode != "concat" and self.layer.cell.units != self._mirror.cell.units:
            raise ArgumentError(
                f"merge_mode={self.merge_mode!r} must have directions of equal width",
                got=f"{self.layer.cell.units} and {self._mirror.cell.units} units",
                fix="Use equal units, or merge_mode='concat'.",
            )

    @property
    def _mirror(self) -> Recurrent:
        return self.backward or replace(self.layer, reverse=True)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return self.layer.state_sizes + self._mirror.state_sizes

    def weights(self, shape: Shape) -> dict[str, Weight]:
        return {_FORWARD + name: weight for name, weight in self.layer.weights(shape).items()} | {
            _BACKWARD + name: weight for name, weight in self._mirror.weights(shape).items()
        }

    def out_shape(self, shape: Shape) -> Shape:
        one = self.layer.out_shape(shape)
        if self.merge_mode != "concat":
            return one
        return (*one[:-1], self.layer.cell.units + self._mirror.cell.units)

    def apply(self, ctx: Context, w: Weights, x: Array, *, mask: Array | None = None, state: State = ()) -> Out:
        xp, n = ctx.xp, len(self.layer.state_sizes)
        one = self.layer.apply(ctx, _part(w, _FORWARD), x, mask=mask, state=state[:n])
        two = self._mirror.apply(ctx, _part(w, _BACKWARD), x, mask=mask, state=state[n:])
        back = xp.flip(two.y, axis=1) if self.layer.return_sequences else two.y
        if self.merge_mode == "concat":
            y = xp.concat([one.y, back], axis=-1)
        elif self.merge_mode == "mul":
            y = one.y * back
        else:
            y = one.y + back if self.merge_mode == "sum" else (one.y + back) / 2.0
        return Out(y, one.mask, one.state + two.state)


def _part(w: Weights, prefix: str) -> Weights:
    return {name[len(prefix) :]: value for name, value in w.items() if name.startswith(prefix)}
