"""Keras' layer classes and ours: from a layer's configuration to its formula and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from ostinato.cells.gru import GRU
from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.convert.keras.options import Options, refuse
from ostinato.maps.activation import Activation
from ostinato.maps.activity_penalty import ActivityPenalty
from ostinato.maps.base import Map, Part
from ostinato.maps.conv1d import Conv1D
from ostinato.maps.dense import Dense
from ostinato.maps.dropout import Dropout
from ostinato.maps.embedding import Embedding
from ostinato.maps.flatten import Flatten
from ostinato.maps.global_average_pooling1d import GlobalAveragePooling1D
from ostinato.maps.global_max_pooling1d import GlobalMaxPooling1D
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.masking import Masking
from ostinato.maps.max_pooling1d import MaxPooling1D
from ostinato.maps.repeat_vector import RepeatVector
from ostinato.maps.reshape import Reshape
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.maps.unembedding import Unembedding
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

MIRRORED = ("sigmoid", "hard_sigmoid")
"""Nonlinearities with f(-a) = 1 - f(a): only with them is the published GRU the same function in Keras."""

_MASKLESS = (Conv1D, MaxPooling1D, GlobalMaxPooling1D, Flatten, Reshape)
"""Layers that respect a mask here and ignore it in Keras."""


class Said(NamedTuple):
    """A layer in Keras' words.

    Args:
        kind: The class's name.
        config: Its options, without its name.
    """

    kind: str
    config: dict[str, Any]


def to_part(kind: str, config: Mapping[str, Any], where: str, *, axes: int) -> tuple[Part, bool]:
    """Our formula of a layer of Keras, and whether its biases exist.

    Args:
        kind: The class's name.
        config: Its options.
        where: The layer, for messages.
        axes: How many axes its input has, with that of the batch.

    Raises:
        ConversionError: There is no such layer here, or an option changes the function.
    """
    if kind not in _READERS:
        raise refuse(f"layers must be among {', '.join(_READERS)}", ascii(kind[:60]), where)
    options = Options(config, where, axes)
    part = _READERS[kind](options)
    bias = options.bias
    options.check_rest()
    return part, bias


def to_config(part: Part, *, bias: bool, where: str) -> Said:
    """Keras' layer of the same function; the inverse of `to_part`.

    Args:
        part: Our formula.
        bias: Whether its biases exist.
        where: The layer, for messages.

    Raises:
        ConversionError: Keras has no such layer.
    """
    if isinstance(part, Recurrent):
        return _recurrent(part, where, bias=bias)
    if isinstance(part, Bidirectional):
        sides = [part.layer, part.backward or replace(part.layer, reverse=True)]
        layer, backward = (_nested(_recurrent(one, where, bias=bias)) for one in sides)
        return Said("Bidirectional", {"merge_mode": part.merge_mode, "layer": layer, "backward_layer": backward})
    if isinstance(part, TimeDistributed):
        return Said("TimeDistributed", {"layer": _nested(to_config(part.inner, bias=bias, where=where))})
    if type(part) not in _WRITERS:
        raise refuse("every layer must be one that Keras has", type(part).__name__, where)
    return _WRITERS[type(part)](part)


def check_masks(parts: Mapping[str, Part]) -> None:
    """Raise `ConversionError` if a mask reaches a layer that respects it here and ignores it in Keras."""
    masked = False
    for name, part in parts.items():
        if masked and isinstance(part, _MASKLESS):
            raise refuse("no mask must reach a layer that ignores it in Keras", type(part).__name__, f"layer {name!r}")
        masked = masked or isinstance(part, Masking) or (isinstance(part, Embedding) and part.mask_zero)
        if isinstance(part, (Recurrent, Bidirectional)):
            one = part.layer if isinstance(part, Bidirectional) else part
            masked = masked and one.return_sequences
        elif isinstance(part, GlobalAveragePooling1D):
            masked = False


def _nested(said: Said) -> dict[str, Any]:
    return {
        "module": "keras.layers", "class_name": said.kind, "registered_name": None,
        "config": {"name": said.kind.lower(), "dtype": "float32", **said.config},
    }  # fmt: skip


def _recurrent(part: Recurrent, where: str, *, bias: bool) -> Said:
    cell = part.cell
    kind = {SimpleRNN: "SimpleRNN", LSTM: "LSTM", GRU: "GRU", GRUResetAfter: "GRU"}.get(type(cell))
    if kind is None:
        raise refuse("every cell must be one that Keras has", type(cell).__name__, where)
    if part.start != "zeros":
        raise refuse("states must start from zeros in Keras", "a learned start", where)
    if part.zoneout:
        raise refuse("zoneout must be 0 in Keras, which does not have it", f"{part.zoneout}", where)
    gates = getattr(cell, "recurrent_activation", None)
    _check_gates(type(cell), gates, where)
    config = {
        "units": cell.units, "activation": cell.activation, "use_bias": bias,  # type: ignore[attr-defined]
        "return_sequences": part.return_sequences, "go_backwards": part.reverse, "dropout": part.dropout,
        "recurrent_dropout": part.recurrent_dropout, "zero_output_for_mask": part.return_sequences,
    }  # fmt: skip
    if gates is not None:
        config["recurrent_activation"] = gates
    if kind == "GRU":
        config["reset_after"] = type(cell) is GRUResetAfter
    return Said(kind, config)


def _check_gates(cell: type[Any], gates: str | None, where: str) -> None:
    if cell is GRU and gates not in MIRRORED:
        rule = f"the gates of a GRU that resets before the product must be {' or '.join(MIRRORED)}, since z weighs the "
        raise refuse(f"{rule}other state in Keras", repr(gates), where)
    if cell is GRUResetAfter and gates == "softmax":  # here over both gates together, in Keras over each
        raise refuse("the gates of a GRU must be computed number by number", repr(gates), where)


_WRITERS: Mapping[type[Part], Callable[[Any], Said]] = MappingProxyType(
    {
        Activation: lambda p: Said("Activation", {"activation": p.activation}),
        ActivityPenalty: lambda p: Said("Activation", {"activation": "linear"}),
        Conv1D: lambda p: Said(
            "Conv1D",
            {
                "filters": p.filters, "kernel_size": [p.kernel_size], "strides": [p.strides], "padding": p.padding,
                "dilation_rate": [p.dilation_rate], "activation": p.activation, "use_bias": p.use_bias,
            },
        ),
        Dense: lambda p: Said("Dense", {"units": p.units, "activation": p.activation, "use_bias": p.use_bias}),
        Dropout: lambda p: Said("SpatialDropout1D" if p.over_time else "Dropout", {"rate": p.rate}),
        Embedding: lambda p: Said(
            "Embedding", {"input_dim": p.input_dim, "output_dim": p.output_dim, "mask_zero": p.mask_zero}
        ),
        Flatten: lambda p: Said("Flatten", {}),
        GlobalAveragePooling1D: lambda p: Said("GlobalAveragePooling1D", {}),
        GlobalMaxPooling1D: lambda p: Said("GlobalMaxPooling1D", {}),
        LayerNorm: lambda p: Said("LayerNormalization", {"axis": -1, "epsilon": p.epsilon}),
        Masking: lambda p: Said("Masking", {"mask_value": p.mask_value}),
        MaxPooling1D: lambda p: Said("MaxPooling1D", {"pool_size": [p.pool_size], "strides": [p.pool_size]}),
        RepeatVector: lambda p: Said("RepeatVector", {"n": p.n}),
        Reshape: lambda p: Said("Reshape", {"target_shape": list(p.target_shape)}),
        Unembedding: lambda p: Said("Dense", {"units": p.units, "activation": "linear", "use_bias": True}),
    }
)  # fmt: skip


def _run(o: Options, cell: Any) -> Recurrent:
    """How a recurrent layer runs."""
    for name in ("return_state", "stateful"):
        o.only(name, value=False, why="set it to False before saving")
    o.only("time_major", value=False)
    for name in ("unroll", "implementation", "seed"):
        o.ignore(name)
    sequences = o.flag("return_sequences")
    if o.flag("zero_output_for_mask") and not sequences:
        raise refuse("zero_output_for_mask must come with return_sequences", "the last output alone", o.where)
    return Recurrent(
        cell,
        return_sequences=sequences,
        reverse=o.flag("go_backwards"),
        dropout=o.number("dropout", 0.0),
        recurrent_dropout=o.number("recurrent_dropout", 0.0),
    )


def _simple_rnn(o: Options) -> Part:
    return _run(o, o.make(SimpleRNN, o.count("units"), activation=o.activation("activation", "tanh")))


def _lstm(o: Options) -> Part:
    gates = o.activation("recurrent_activation", "sigmoid")
    cell = o.make(LSTM, o.count("units"), activation=o.activation("activation", "tanh"), recurrent_activation=gates,
                  unit_forget_bias=o.flag("unit_forget_bias", default=True))  # fmt: skip
    return _run(o, cell)


def _gru(o: Options) -> Part:
    gates = o.activation("recurrent_activation", "sigmoid")
    after = o.flag("reset_after", default=True)
    cls = GRUResetAfter if after else GRU
    _check_gates(cls, gates, o.where)
    cell = o.make(cls, o.count("units"), activation=o.activation("activation", "tanh"), recurrent_activation=gates)
    return _run(o, cell)


def _bidirectional(o: Options) -> Part:
    one, bias = _inside(o, "layer", axes=o.axes)
    other, bias_back = _inside(o, "backward_layer", axes=o.axes) if o.has("backward_layer") else (None, bias)
    if not isinstance(one, Recurrent) or not isinstance(other, (Recurrent, type(None))) or bias != bias_back:
        raise refuse(
            "a Bidirectional must hold two recurrent layers, with biases in both or in none", "others", o.where
        )
    o.bias = bias
    mode = o.text("merge_mode", "concat")
    mirror = replace(one, reverse=True)
    return o.make(Bidirectional, one, mode, None if other in (None, mirror) else other)  # type: ignore[no-any-return]


def _time_distributed(o: Options) -> Part:
    part, o.bias = _inside(o, "layer", axes=o.axes - 1)
    if not isinstance(part, Map) or isinstance(part, TimeDistributed):
        raise refuse("a TimeDistributed must hold a layer without state", type(part).__name__, o.where)
    return TimeDistributed(part)


def _inside(o: Options, name: str, *, axes: int) -> tuple[Part, bool]:
    inner = o.layer(name)
    return to_part(inner.kind, inner.config, o.where, axes=axes)


def _conv1d(o: Options) -> Part:
    o.only("data_format", "channels_last")
    o.only("groups", 1)
    return o.make(  # type: ignore[no-any-return]
        Conv1D, o.count("filters"), o.one("kernel_size"), o.one("strides", 1), o.text("padding", "valid"),
        o.one("dilation_rate", 1), o.activation("activation", "linear"), o.bias,
    )  # fmt: skip


def _embedding(o: Options) -> Part:
    o.ignore("input_length")
    return o.make(  # type: ignore[no-any-return]
        Embedding, o.count("input_dim"), o.count("output_dim"), mask_zero=o.flag("mask_zero")
    )


def _layer_norm(o: Options) -> Part:
    for name in ("center", "scale"):
        o.only(name, value=True)
    o.only("rms_scaling", value=False)
    axis, last = o.take("axis", -1), o.axes - 1  # Keras 2 counts from the front
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if type(axis) is not int or axis not in (-1, last):
        raise refuse("axis must be -1, the last one", "another", o.where)
    return o.make(LayerNorm, o.number("epsilon", 1e-3))  # type: ignore[no-any-return]


def _max_pooling(o: Options) -> Part:
    o.only("data_format", "channels_last")
    o.only("padding", "valid")
    size = o.one("pool_size", 2)
    if o.has("strides") and o.one("strides") != size:
        raise refuse("strides must equal pool_size", "others", o.where)
    o.ignore("strides")
    return o.make(MaxPooling1D, size)  # type: ignore[no-any-return]


def _pooling(cls: type[Map]) -> Callable[[Options], Part]:
    def read(o: Options) -> Part:
        o.only("data_format", "channels_last")
        o.only("keepdims", value=False)
        return cls()

    return read


def _flatten(o: Options) -> Part:
    o.only("data_format", "channels_last")
    return Flatten()


def _dropout(o: Options, *, over_time: bool) -> Part:
    o.ignore("seed")
    shape = o.take("noise_shape", None)
    if shape is not None and shape != [None, 1, None]:
        raise refuse("noise_shape must be null or [null, 1, null]", "another", o.where)
    return o.make(Dropout, o.number("rate"), over_time=over_time or shape is not None)  # type: ignore[no-any-return]


_READERS: Mapping[str, Callable[[Options], Part]] = MappingProxyType(
    {
        "Activation": lambda o: o.make(Activation, o.activation("activation")),
        "Bidirectional": _bidirectional,
        "Conv1D": _conv1d,
        "Dense": lambda o: o.make(Dense, o.count("units"), o.activation("activation", "linear"), o.bias),
        "Dropout": lambda o: _dropout(o, over_time=False),
        "Embedding": _embedding,
        "Flatten": _flatten,
        "GRU": _gru,
        "GlobalAveragePooling1D": _pooling(GlobalAveragePooling1D),
        "GlobalMaxPooling1D": _pooling(GlobalMaxPooling1D),
        "LSTM": _lstm,
        "LayerNormalization": _layer_norm,
        "Masking": lambda o: o.make(Masking, o.number("mask_value", 0.0)),
        "MaxPooling1D": _max_pooling,
        "RepeatVector": lambda o: o.make(RepeatVector, o.count("n")),
        "Reshape": lambda o: o.make(Reshape, o.counts("target_shape")),
        "SimpleRNN": _simple_rnn,
        "SpatialDropout1D": lambda o: _dropout(o, over_time=True),
        "TimeDistributed": _time_distributed,
    }
)

KINDS = tuple(_READERS)
"""Keras' classes that have a counterpart here."""
