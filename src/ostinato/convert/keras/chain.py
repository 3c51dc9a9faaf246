"""The layers of a Keras configuration in order: of a `Sequential`, or of a functional model that is one chain.

In a functional model Keras writes down where each input comes from, and for a mask the operations that compute it.
`Embedding` and `Masking` say the same here, so that these operations are checked and left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ostinato.convert.keras.classes import KINDS
from ostinato.convert.keras.options import nested, refuse
from ostinato.maps.base import Shape

_MOST_LAYERS = 1000
_MOST_AXES = 4
_SEQUENTIAL, _FUNCTIONAL = "Sequential", ("Functional", "Model")
_INPUT = "InputLayer"
_MASKING = ("Embedding", "Masking")
_OPERATIONS = {"NotEqual": (), "Any": (("axis", -1), ("keepdims", False))}
"""Operations that make a mask, with the options that they must have."""


class Layer(NamedTuple):
    """A layer of a configuration.

    Args:
        name: Its name.
        kind: Its class's name.
        config: Its options.
    """

    name: str
    kind: str
    config: Mapping[str, Any]


class Chain(NamedTuple):
    """A model of Keras.

    Args:
        name: Its name.
        layers: Without the input and operations that compute masks.
        input_shape: Shape of one sample, None for an open length.
    """

    name: str
    layers: list[Layer]
    input_shape: Shape


def chain(configuration: Mapping[str, Any]) -> Chain:
    """The layers of a model, first one first.

    Raises:
        ConversionError: It is no `Sequential` and no functional model of one chain; the message says where not.
    """
    if configuration.get("class_name") not in (_SEQUENTIAL, *_FUNCTIONAL):
        got = ascii(str(configuration.get("class_name"))[:60])
        raise refuse("the model must be a Sequential, or a functional model that is one chain", got)
    model = nested(configuration, "the model", ours=False)
    entries = model.config.get("layers")
    if not isinstance(entries, list) or len(entries) > _MOST_LAYERS:
        raise refuse(f"the model must have a list of at most {_MOST_LAYERS} layers", type(entries).__name__)
    layers = _Links(entries, model.config).layers if model.kind in _FUNCTIONAL else _plain(entries)
    name = model.config.get("name")
    name = name if isinstance(name, str) and 0 < len(name) <= 128 else "sequential"
    return Chain(name, layers, _input_shape(entries, model.config))


def _plain(entries: list[Any]) -> list[Layer]:
    layers: list[Layer] = []
    for one in entries:
        kind, config = nested(one, "a layer")
        if kind != _INPUT:
            layers.append(_layer(config.get("name"), kind, config, [n.name for n in layers]))
    return layers


def _layer(name: Any, kind: str, config: Mapping[str, Any], others: list[str]) -> Layer:
    if not isinstance(name, str) or not 0 < len(name) <= 128 or name in others:
        raise refuse("layers must have short names that differ", f"layer {str(name)[:60]!a}")
    return Layer(name, kind, config)


def _input_shape(entries: list[Any], model: Mapping[str, Any]) -> Shape:
    first = nested(entries[0], "the input").config if entries else {}
    batch = first.get("batch_shape", first.get("batch_input_shape", model.get("build_input_shape")))
    fits = isinstance(batch, list) and 2 <= len(batch) <= 1 + _MOST_AXES
    if not fits or not all(n is None or (type(n) is int and 0 < n < 2**31) for n in batch):
        raise refuse("the model must know its input shape", ascii(str(batch)[:60]))
    return tuple(batch[1:])


class _Links:
    """Follows the inputs of a functional model.

    Args:
        entries: Its layers as the configuration has them.
        model: Its options.
    """

    def __init__(self, entries: list[Any], model: Mapping[str, Any]) -> None:
        self.layers: list[Layer] = []
        self._last = ""  # the layer whose output comes next
        self._masks: dict[str, tuple[str, Any]] = {}  # operations: whose output they look at, and what they look for
        self._masked: tuple[str, Any] | None = None  # likewise of the layer that made the mask here
        for one in entries:
            name, where = _named(one)
            kind, config = nested(one, where, operations=_OPERATIONS)
            calls = one.get("inbound_nodes")
            if kind == _INPUT:
                self._begin(name, calls, where)
                continue
            args, kwargs = _one_call(calls, where)
            if kind in _OPERATIONS:
                self._operation(kind, config, name, args, where)
            else:
                self._follow(kind, config, name, (args, kwargs), where)
        _only(model, "input_layers", self._first, "input")
        _only(model, "output_layers", self._last, "output")

    def _begin(self, name: Any, calls: Any, where: str) -> None:
        if self._last or not isinstance(name, str) or calls:
            raise refuse("a functional model must have one input, before all layers", "another", where)
        self._first = self._last = name

    def _follow(self, kind: str, config: Mapping[str, Any], name: Any, call: tuple[Any, Any], where: str) -> None:
        args, kwargs = call
        layer = _layer(name, kind, config, [self._first, *(n.name for n in self.layers)] if self._last else [])
        source = _source(args[0]) if len(args) == 1 else None
        if not self._last or source != self._last:
            got = f"{len(args)} inputs" if len(args) != 1 else f"the output of {str(source)[:60]!a}"
            rule = "a functional model must be one chain, in which each layer takes the output of the one before it"
            raise refuse(f"{rule}, {self._last!a}", got, where)
        self._check_arguments(kwargs, where)
        if kind == "Masking" or (kind == "Embedding" and config.get("mask_zero") is True):
            self._masked = (self._last, config.get("mask_value", 0.0) if kind == "Masking" else 0)
        self.layers.append(layer)
        self._last = name

    def _check_arguments(self, kwargs: Mapping[str, Any], where: str) -> None:
        """A mask must be that of the chain; nothing else may be told."""
        given = {k: v for k, v in kwargs.items() if v is not None and not (k == "training" and v is False)}
        mask = given.pop("mask", None)
        if given:
            raise refuse("layers must be called with their input alone", ascii(next(iter(given))[:40]), where)
        if mask is not None and (self._masked is None or self._masks.get(str(_source(mask))) != self._masked):
            raise refuse("a mask must come from the Embedding or Masking before the layer", "another one", where)

    def _operation(self, kind: str, config: Mapping[str, Any], name: Any, args: Any, where: str) -> None:
        source = _source(args[0]) if args else None
        fits = all(config.get(k, v) == v for k, v in _OPERATIONS[kind]) and isinstance(name, str)
        if kind == "NotEqual" and fits and len(args) == 2 and type(args[1]) in (int, float):
            self._masks[name] = (str(source), args[1])
        elif kind == "Any" and fits and len(args) == 1 and source in self._masks:
            self._masks[name] = self._masks[source]
        else:
            raise refuse("operations must compute the mask of an Embedding or Masking", kind, where)


def _named(entry: Any) -> tuple[Any, str]:
    """A layer's name, and what to call it in messages; layers that are none here are refused by name."""
    kind = entry.get("class_name") if isinstance(entry, dict) else None
    name = entry.get("name") if isinstance(entry, dict) else None
    where = f"layer {str(name)[:60]!a}"
    if isinstance(kind, str) and kind not in (*KINDS, *_OPERATIONS, _INPUT):
        raise refuse(f"layers must be among {', '.join(KINDS)}", ascii(kind[:60]), where)
    return name, where


def _one_call(calls: Any, where: str) -> tuple[list[Any], Mapping[str, Any]]:
    """The arguments of a layer's only call, as Keras 3 writes them or as Keras 2 does."""
    if not isinstance(calls, list) or len(calls) != 1:
        got = f"{len(calls)} calls" if isinstance(calls, list) else "no list of calls"
        raise refuse("each layer of a functional model must be used once", got, where)
    call = calls[0]
    if isinstance(call, dict):
        args, kwargs = call.get("args"), call.get("kwargs", {})
    else:  # [[name, node, tensor, arguments], …]
        args, kwargs = call, {}
        if isinstance(call, list) and len(call) == 1 and isinstance(call[0], list) and len(call[0]) == 4:
            kwargs = call[0][3]
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise refuse("a call must have lists of arguments", "others", where)
    return args, kwargs


def _source(tensor: Any) -> str | None:
    """The name of the layer whose first and only output this is."""
    if isinstance(tensor, dict) and isinstance(tensor.get("config"), dict):
        tensor = tensor["config"].get("keras_history")
    if isinstance(tensor, list) and len(tensor) in (3, 4) and tensor[1:3] == [0, 0] and isinstance(tensor[0], str):
        return tensor[0]
    return None


def _only(model: Mapping[str, Any], key: str, name: str, what: str) -> None:
    value = model.get(key)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if _source(value) != name:
        raise refuse(f"a functional model must have one {what}, that of {name!a}", ascii(str(value)[:80]))
