"""Whole models: `.keras` and `.h5` files and H5 weights from our layers, and our layers from them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ostinato.convert.keras.archive import parse_config, read_archive, write_archive
from ostinato.convert.keras.chain import Chain, chain
from ostinato.convert.keras.classes import check_masks, to_config, to_part
from ostinato.convert.keras.options import refuse
from ostinato.maps.base import Part, Shape
from ostinato.maps.embedding import Embedding
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.maps.unembedding import Unembedding
from ostinato.runtime.atomic import replace_file
from ostinato.runtime.keras_h5 import Slot, is_h5, write_layers
from ostinato.runtime.keras_legacy import check_version, read_config, read_weights
from ostinato.runtime.keras_weights import from_keras
from ostinato.runtime.sequential_file import Named
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

_BIASES = re.compile(r"(forward_|backward_)?(b|b_rec)")


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


def load_keras(path: str | os.PathLike[str], *, into: Read | None = None) -> Read:
    """Read a `.keras` or `.h5` file of a Sequential, or of a functional model that is one chain.

    Weights are converted exactly: gates in our order, z of a published GRU negated.

    Args:
        path: The file.
        into: A model of the same layers, whose weights are replaced; for a file of weights alone, which says nothing
            about the layers.

    Raises:
        ConversionError: The file is damaged or hostile, or a layer has no counterpart here.
        MissingDependency: h5py is not installed.
    """
    config, weights, version = _opened(path)
    if into is not None:
        return _filled(into, weights, version)
    if config is None:
        raise refuse(
            "a file of weights must come with a model of the layers that they belong to", "weights alone",
            fix="Run: ostinato convert WEIGHTS OUT --into MODEL; or load_weights of a Sequential of the same layers.",
        )  # fmt: skip
    described = chain(config)
    wheres = [f"layer {one.name!r}" for one in described.layers]
    parts, needed = _parts(described, wheres)
    check_masks({one.name: part for one, part in zip(described.layers, parts, strict=True)})
    check_version(version, list(zip(parts, wheres, strict=True)))
    count = sum(math.prod(w.shape) for n in needed for w in n.values())
    if 2 * count > len(weights):
        raise refuse(f"the H5 file must hold the layers' {count} numbers", f"{len(weights)} bytes")
    layers = [
        Named(one.name, part, {key: np.zeros(w.shape, np.float32) for key, w in n.items()})
        for one, part, n in zip(described.layers, parts, needed, strict=True)
    ]
    return _filled(Read(described.name, layers, described.input_shape), weights, version)


def _opened(path: str | os.PathLike[str]) -> tuple[dict[str, Any] | None, bytes, str]:
    """The configuration if there is one, the bytes of the H5 file, and the version of Keras that wrote them."""
    if not is_h5(path):
        return read_archive(path)
    weights = Path(path).read_bytes()
    found = read_config(weights)
    return (None, weights, "") if found is None else (parse_config(found[0]), weights, found[1])


def _filled(model: Read, weights: bytes, version: str) -> Read:
    """The model with the weights of an H5 file."""
    slots = [Slot(n.part, n.weights, f"layer {n.name!r}") for n in model.layers]
    arrays = read_weights(weights, slots, version)
    layers = [
        Named(n.name, n.part, from_keras(n.part, flat, like=n.weights))
        for n, flat in zip(model.layers, arrays, strict=True)
    ]
    return Read(model.name, layers, model.input_shape)


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
    weights = write_layers([(n.part, _as_dense(n) if isinstance(n.part, Unembedding) else n.weights) for n in layers])
    if os.fspath(path).lower().endswith(".keras"):
        write_archive(path, _config(layers, said, input_shape, name), weights)
    else:
        replace_file(os.fspath(path), [weights])


def _as_dense(layer: Named) -> dict[str, Any]:
    """The weights of an unembedding as those of a dense layer."""
    return {"W": layer.weights["table"].T, "b": layer.weights["b"]}


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


def _parts(described: Chain, wheres: Sequence[str]) -> tuple[list[Part], list[dict[str, Any]]]:
    """The formula of each layer, and its weights that exist."""
    parts: list[Part] = []
    needed: list[dict[str, Any]] = []
    shape = described.input_shape
    for one, where in zip(described.layers, wheres, strict=True):
        part, bias = to_part(one.kind, one.config, where, axes=1 + len(shape))
        try:
            all_of_it = part.weights(shape)
            shape = part.out_shape(shape)
        except ValueError as error:
            raise refuse("layers must fit each other", ascii(str(error)[:200])[1:-1], where) from None
        recurrent = isinstance(part, (Recurrent, Bidirectional))
        parts.append(part)
        needed.append({k: w for k, w in all_of_it.items() if bias or not recurrent or not _BIASES.fullmatch(k)})
    return parts, needed
