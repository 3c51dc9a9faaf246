"""Layers of the Keras face that hold another layer."""

from __future__ import annotations

from typing import Any, Unpack

from ostinato.errors import ArgumentError
from ostinato.layers.keras_base import Common, KerasLayer, check_options
from ostinato.maps.base import Map
from ostinato.maps.time_distributed import TimeDistributed as Distributed
from ostinato.scans.bidirectional import Bidirectional as Both
from ostinato.scans.recurrent import Recurrent


class Bidirectional(KerasLayer):
    """A recurrent layer and its mirror image in time over the same input.

    Args:
        layer: The layer that runs forward; its weights are only a pattern, the wrapper draws its own.
        merge_mode: "concat", "sum", "mul" or "ave"; None returns the two outputs apart, in direct calls only.
        backward_layer: The layer that runs backward (`go_backwards=True`), if it differs.
        common: See `Common`.
    """

    part: Both

    def __init__(
        self,
        layer: KerasLayer,
        merge_mode: str | None = "concat",
        *,
        backward_layer: KerasLayer | None = None,
        **common: Unpack[Common],
    ) -> None:
        check_options(type(self), common, Common)
        forward = _pattern(layer)
        backward = None if backward_layer is None else _pattern(backward_layer)
        mirror = layer if backward_layer is None else backward_layer
        if layer.stateful != mirror.stateful or layer.return_state != mirror.return_state:
            raise ArgumentError(
                "both directions must have the same stateful and return_state",
                got=f"{layer.stateful} and {mirror.stateful}, {layer.return_state} and {mirror.return_state}",
                fix="Set both to the same value.",
            )
        super().__init__(
            Both(forward, "concat" if merge_mode is None else merge_mode, backward),
            weighing=layer.weighing.prefixed("forward_") | mirror.weighing.prefixed("backward_"),
            common=inherited(layer, common),
        )
        self.merge_mode = merge_mode
        self.stateful, self.return_state = layer.stateful, layer.return_state

    def forward(self, x: Any, mask: Any = None, **options: Any) -> Any:
        given = super().forward(x, mask, **options)
        if self.merge_mode is not None:
            return given
        y, *states = given if self.return_state else [given]
        n = self.part.layer.cell.units
        return [y[..., :n], y[..., n:], *states]


def _pattern(layer: object) -> Recurrent:
    if not isinstance(layer, KerasLayer) or not isinstance(layer.part, Recurrent):
        raise ArgumentError(
            "a bidirectional layer must hold a recurrent layer made of a cell",
            got=type(layer).__name__,
            fix="Pass SimpleRNN, LSTM, GRU or RNN(cell).",
        )
    return layer.part


class TimeDistributed(KerasLayer):
    """Applies one layer, with the same weights, to each step.

    Args:
        layer: A layer without state; its weights are only a pattern, the wrapper draws its own.
        common: See `Common`.
    """

    def __init__(self, layer: KerasLayer, **common: Unpack[Common]) -> None:
        check_options(type(self), common, Common)
        if not isinstance(layer, KerasLayer) or not isinstance(layer.part, Map):
            raise ArgumentError(
                "time_distributed must hold a layer without state",
                got=type(layer).__name__,
                fix="Pass, say, Dense(1); a recurrent layer runs along time by itself with return_sequences=True.",
            )
        super().__init__(Distributed(layer.part), weighing=layer.weighing, common=inherited(layer, common))


def inherited(layer: KerasLayer, common: Common) -> dict[str, Any]:
    """The wrapper's keywords, and those of the layer in it that the wrapper was not told."""
    given: dict[str, Any] = {"trainable": layer.trainable, "seed": layer.seed} | dict(common)
    if "input_shape" not in given and "batch_input_shape" not in given and layer.input_shape is not None:
        given["input_shape"] = layer.input_shape
    given.setdefault("batch_size", layer.batch_size)
    return given
