"""What may stand in a model, and under which name."""

from __future__ import annotations

from collections.abc import Sequence

from ostinato.errors import ArgumentError
from ostinato.layers.keras_base import KerasLayer
from ostinato.layers.keras_wrappers import Bidirectional


def check_layer(layer: object, others: Sequence[KerasLayer]) -> None:
    """Raise `ArgumentError` unless `layer` can be appended to `others`."""
    if not isinstance(layer, KerasLayer):
        raise ArgumentError(
            "a model must consist of layers", got=type(layer).__name__, fix="Pass objects such as LSTM(32)."
        )
    if layer.return_state or (isinstance(layer, Bidirectional) and layer.merge_mode is None):
        raise ArgumentError(
            "a layer in a model must have one output, since the next layer takes one input",
            got="return_state=True" if layer.return_state else "merge_mode=None",
            where=f"layer {len(others) + 1} ({layer.kind})",
            fix="Call the layer directly, layer(x), to get several outputs; remove the argument here.",
        )
    if any(layer is other for other in others):
        raise ArgumentError("a layer must occur once in a model", got=repr(layer.name), fix="Make a new layer.")


def free_name(layer: KerasLayer, others: Sequence[KerasLayer]) -> str:
    """The layer's own name, or its kind, numbered if it is taken: `lstm`, `lstm_1`, …"""
    taken = {str(other.name) for other in others}
    if layer.name is not None:
        if layer.name in taken:
            raise ArgumentError("layers must have different names", got=repr(layer.name), fix="Rename one of them.")
        return layer.name
    name, number = layer.kind, 0
    while name in taken:
        number += 1
        name = f"{layer.kind}_{number}"
    return name
