"""Whole models: `.keras` files and H5 weights from our layers, and our layers from them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ostinato.convert.keras.archive import read_archive, write_archive
from ostinato.convert.keras.classes import check_masks, to_config, to_part
from ostinato.convert.keras.h5 import Array, Place, read_weights, write_weights
from ostinato.convert.keras.options import nested, refuse
from ostinato.maps.base import Part, Shape
from ostinato.maps.embedding import Embedding
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.maps.unembedding import Unembedding
from ostinato.runtime.atomic import replace_file
from ostinato.runtime.keras_weights import from_keras, to_keras
from ostinato.runtime.sequential_file import Named
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

_BIASES = re.compile(r"(forward_|backward_)?(b|b_rec)")
_MOST_AXES = 4
_MOST_LAYERS = 1000


class Read(NamedTuple):
    """A model of Keras as ours.

    Args:
        name: Its name.
        layers: With their weights.
        input_shape: Shape of one sample, None for an open length.
    """

    name: str
    layers: list[Named]
    input_shape: Shape


def load_keras(path: str | os.PathLike[str]) -> Read:
    """Read a `.keras` file of a Sequential.

    Weights are converted exactly: gates in our order, z of a published GRU negated.

    Raises:
        ConversionError: The file is damaged or hostile, or a layer has no counterpart here.
        MissingDependency: h5py is not installed.
    """
    archive = read_archive(path)
    name, shape, described = _described(archive.config)
    parts = {label: part for label, part, _ in described}
    check_masks(parts)
    needed = _needed(described, shape)
    count = sum(math.prod(w.shape) for n in needed for w in n.values())
    if 2 * count > len(archive.weights):
        raise refuse(f"the H5 file must hold the layers' {count} numbers", f"{len(archive.weights)} bytes")
    kinds = [nested(layer, "").kind for layer in _layers(archive.config)]
    likes = [{key: np.zeros(w.shape, np.float32) for key, w in n.items()} for n in needed]
    places = [
        place
        for (label, part, _), path_, like in zip(described, _paths(kinds), likes, strict=True)
        for place in _places(part, path_, like, f"layer {label!r}")
    ]
    arrays = iter(read_weights(archive.weights, places))
    layers = []
    for (label, part, _), like in zip(described, likes, strict=True):
        flat = [a for _ in _places(part, "", like, "") for a in next(arrays)]
        layers.append(Named(label, part, from_keras(part, flat, like=like)))
    return Read(name, layers, shape)


def save_keras(path: str | os.PathLike[str], layers: Sequence[Named], input_shape: Shape, *, name: str) -> None:
    """Write a `.keras` file, or with another ending than that an H5 file of the weights alone.

    Args:
        path: Where to.
        layers: First one first.
        input_shape: Shape of one sample.
        name: The model's name.

    Raises:
        ConversionError: Keras has no layer that computes the same; the message says which and why.
        MissingDependency: h5py is not installed.
    """
    check_masks({layer.name: layer.part for layer in layers})
    said = [to_config(n.part, bias=_has_bias(n), where=f"layer {n.name!r}") for n in layers]
    filled = []
    for layer, place in zip(layers, _paths([s.kind for s in said]), strict=True):
        part, own = layer.part, dict(layer.weights)
        if isinstance(part, Unembedding):
            own = {"W": own["table"].T, "b": own["b"]}
        filled += [(one, to_keras(inner, w)) for one, inner, w in _halves(part, place, own)]
    weights = write_weights([(Place(p, [], ""), arrays) for p, arrays in filled])
    if os.fspath(path).lower().endswith(".keras"):
        write_archive(path, _config(layers, said, input_shape, name), weights)
    else:
        replace_file(os.fspath(path), [weights])


def _has_bias(layer: Named) -> bool:
    part = layer.part.inner if isinstance(layer.part, TimeDistributed) else layer.part
    if isinstance(part, (Recurrent, Bidirectional)):
        return any(_BIASES.fullmatch(key) for key in layer.weights)
    return "b" in layer.weights


def _config(layers: Sequence[Named], said: Sequence[Any], input_shape: Shape, name: str) -> dict[str, Any]:
    batch = [None, *input_shape]
    kind = "int32" if layers and isinstance(layers[0].part, Embedding) else "float32"
    entries: list[dict[str, Any]] = [_entry("InputLayer", {"name": "input", "batch_shape": batch, "dtype": kind})]
    shape = input_shape
    for layer, one in zip(layers, said, strict=True):
        entry = _entry(one.kind, {"name": layer.name, "dtype": "float32", **one.config})
        entries.append(entry | {"build_config": {"input_shape": [None, *shape]}})
        shape = layer.part.out_shape(shape)
    config = {"name": name, "trainable": True, "dtype": "float32", "layers": entries, "build_input_shape": batch}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}


def _entry(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": dict(config), "registered_name": None}


def _layers(config: Mapping[str, Any]) -> list[Any]:
    """The entries of a Sequential's configuration, without its input."""
    model = nested(config, "the model")
    layers = model.config.get("layers")
    if model.kind != "Sequential" or not isinstance(layers, list) or len(layers) > _MOST_LAYERS:
        raise refuse("the model must be a Sequential", ascii(model.kind[:60]))
    return [one for one in layers if nested(one, "a layer").kind != "InputLayer"]


def _described(config: Mapping[str, Any]) -> tuple[str, Shape, list[tuple[str, Part, bool]]]:
    """The model's name, the shape of a sample, and each layer with its name and whether it has biases."""
    layers = _layers(config)
    found: list[tuple[str, Part, bool]] = []
    for one in layers:
        kind, options = nested(one, "a layer")
        label = options.get("name")
        where = f"layer {str(label)[:60]!a}"
        if not isinstance(label, str) or not 0 < len(label) <= 128 or label in [n for n, _, _ in found]:
            raise refuse("layers must have short names that differ", where)
        found.append((label, *to_part(kind, options, where)))
    model = nested(config, "the model").config
    name = model.get("name")
    return (name if isinstance(name, str) and 0 < len(name) <= 128 else "sequential"), _input_shape(model), found


def _input_shape(model: Mapping[str, Any]) -> Shape:
    first = nested(model["layers"][0], "the input").config if model["layers"] else {}
    batch = first.get("batch_shape", first.get("batch_input_shape", model.get("build_input_shape")))
    fits = isinstance(batch, list) and 2 <= len(batch) <= 1 + _MOST_AXES
    if not fits or not all(n is None or (type(n) is int and 0 < n < 2**31) for n in batch):
        raise refuse("the model must know its input shape", ascii(str(batch)[:60]))
    return tuple(batch[1:])


def _needed(described: Sequence[tuple[str, Part, bool]], shape: Shape) -> list[dict[str, Any]]:
    """The weights of each layer that exist."""
    needed = []
    for label, part, bias in described:
        try:
            all_of_it = part.weights(shape)
            shape = part.out_shape(shape)
        except ValueError as error:
            raise refuse("layers must fit each other", ascii(str(error)[:200])[1:-1], f"layer {label!r}") from None
        recurrent = isinstance(part, (Recurrent, Bidirectional))
        needed.append({k: w for k, w in all_of_it.items() if bias or not recurrent or not _BIASES.fullmatch(k)})
    return needed


def _paths(kinds: Sequence[str]) -> list[str]:
    """The groups of layers of these classes: the class's name, numbered from the second on."""
    counts: dict[str, int] = {}
    paths = []
    for kind in kinds:
        text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
        number = counts.get(text, 0)
        counts[text] = number + 1
        paths.append(f"layers/{text}" + (f"_{number}" if number else ""))
    return paths


def _halves(part: Part, path: str, own: Mapping[str, Array]) -> list[tuple[str, Part, dict[str, Array]]]:
    """The groups of one layer, each with the formula and the weights that lie in it."""
    if isinstance(part, Bidirectional):
        sides = (("forward", part.layer), ("backward", part.backward or part.layer))
        return [
            (f"{path}/{side}_layer/cell/vars", one, {k.removeprefix(f"{side}_"): v for k, v in own.items()
                                                     if k.startswith(f"{side}_")})
            for side, one in sides
        ]  # fmt: skip
    inside = "/cell" if isinstance(part, Recurrent) else "/layer" if isinstance(part, TimeDistributed) else ""
    return [(f"{path}{inside}/vars", part, dict(own))]


def _places(part: Part, path: str, like: Mapping[str, Array], where: str) -> list[Place]:
    return [Place(at, [a.shape for a in to_keras(one, w)], where) for at, one, w in _halves(part, path, like)]
