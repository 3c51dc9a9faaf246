"""Builds model files from the description of the format alone: no code is shared with the reader or the writer."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterable
from typing import Any

Tensor = tuple[str, str, list[int], int, int]

Attack = tuple[str, bytes]
"""The code of the error that must refuse a file, and its bytes."""

TENSORS: list[Tensor] = [("layers/0/W", "F32", [2, 3], 0, 24), ("layers/0/b", "F32", [3], 24, 36)]
DATA = struct.pack("<9f", *range(9))
DENSE = {"name": "d", "kind": "dense", "config": {"units": 3, "activation": "tanh", "use_bias": True}}
CELL = {
    "run": {
        "return_sequences": False,
        "reverse": False,
        "start": "zeros",
        "dropout": 0.0,
        "recurrent_dropout": 0.0,
        "weight_drop": 0.0,
        "zoneout": 0.0,
    },
    "kind": "lstm",
    "config": {"units": 3, "activation": "tanh", "recurrent_activation": "sigmoid", "unit_forget_bias": True},
}


def manifest(data: bytes = DATA, **changes: Any) -> dict[str, Any]:
    """A valid manifest for `DATA`, with changes."""
    plain = {"format": 1, "ostinato": "0.1.0", "task": "sequential", "input_shape": [2], "layers": [DENSE]}
    return plain | {"data_sha256": hashlib.sha256(data).hexdigest()} | changes


def entries(tensors: Iterable[Tensor]) -> str:
    """The header's entries as JSON, each with a comma in front."""
    return "".join(
        f',{json.dumps(name)}:{{"dtype":{json.dumps(dtype)},"shape":{json.dumps(shape)},"data_offsets":[{begin},{end}]}}'
        for name, dtype, shape, begin, end in tensors
    )


def sealed(header: str | bytes, data: bytes = DATA) -> bytes:
    """Pad a header that holds 64 zeros, put its digest in their place, and add the data."""
    raw = header if isinstance(header, bytes) else header.encode()
    raw += b" " * (-len(raw) % 8)
    zeros = b"0" * 64
    raw = raw.replace(zeros, hashlib.sha256(raw).hexdigest().encode(), 1)
    return struct.pack("<Q", len(raw)) + raw + data


def model(
    text: str | dict[str, Any] | None = None,
    tensors: Iterable[Tensor] = TENSORS,
    data: bytes = DATA,
    *,
    more: str = "",
    metadata: str = "",
) -> bytes:
    """A model file that is valid but for what the arguments change."""
    text = json.dumps(text if isinstance(text, dict) else manifest(data)) if not isinstance(text, str) else text
    meta = f'{{"header_sha256":"{"0" * 64}","ostinato":{json.dumps(text)}{metadata}}}'
    return sealed(f'{{"__metadata__":{meta}{entries(tensors)}{more}}}', data)


def with_options(**changes: Any) -> bytes:
    """A model file whose dense layer has changed options."""
    return model(manifest(layers=[DENSE | {"config": DENSE["config"] | changes}]))  # type: ignore[operator]


def with_layers(*layers: dict[str, Any], **changes: Any) -> bytes:
    """A model file with other layers."""
    return model(manifest(layers=list(layers), **changes))


Array = tuple[str, list[int], bytes]
"""Type, shape and numbers of a tensor."""

SIZES = {"F64": 8, "I64": 8, "F32": 4, "U8": 1}
LETTERS = {"F64": "d", "I64": "q", "F32": "f"}


def numbers(kind: str, shape: list[int], values: Iterable[float] = ()) -> Array:
    """A tensor of these numbers, or of small ones that all differ."""
    count = math.prod(shape)
    given = list(values) or [(i % 7 - 3) / 8 if kind[0] == "F" else i for i in range(count)]
    return kind, shape, struct.pack(f"<{count}{LETTERS[kind]}", *given)


def raw(data: bytes) -> Array:
    """A tensor of bytes."""
    return "U8", [len(data)], data


def filled(arrays: dict[str, Array], **changes: Any) -> bytes:
    """A model file with these tensors, larger items first."""
    order = sorted(arrays, key=lambda name: (-SIZES[arrays[name][0]], name))
    tensors: list[Tensor] = []
    position = 0
    for name in order:
        kind, shape, data = arrays[name]
        tensors.append((name, kind, shape, position, position + len(data)))
        position += len(data)
    data = b"".join(arrays[name][2] for name in order)
    return model(manifest(data, **changes), tensors, data)


def recurrent(units: int, kind: str = "lstm", *, every: bool = False, **changes: Any) -> dict[str, Any]:
    """A recurrent layer; `every` returns the output of each step."""
    config: dict[str, Any] = CELL["config"] | {"units": units}  # type: ignore[operator]
    if kind != "lstm":
        del config["unit_forget_bias"]
    run = CELL["run"] | {"return_sequences": every} | changes  # type: ignore[operator]
    return {"name": "r", "kind": "recurrent", "cells": [{"run": run, "kind": kind, "config": config}]}


def dense(units: int) -> dict[str, Any]:
    """A dense layer without activation."""
    return {"name": "d", "kind": "dense", "config": {"units": units, "activation": "linear", "use_bias": True}}


def lstm_weights(index: int, inputs: int, units: int) -> dict[str, Array]:
    """The weights of an LSTM."""
    shapes = {"W": [inputs, 4 * units], "U": [units, 4 * units], "b": [4 * units]}
    return {f"layers/{index}/{name}": numbers("F32", shape) for name, shape in shapes.items()}


def dense_weights(index: int, inputs: int, units: int) -> dict[str, Array]:
    """The weights of a dense layer."""
    shapes = {"W": [inputs, units], "b": [units]}
    return {f"layers/{index}/{name}": numbers("F32", shape) for name, shape in shapes.items()}


FORECAST: dict[str, Any] = {
    "horizon": 2, "length": 3, "season": 1, "log": False, "anchor": "last", "level": [80.0], "label": "LSTM",
    "freq": "s", "timed": True, "id": "unique_id", "time": "ds", "target": "y", "time_format": None,
    "missing": "raise", "duplicates": "raise", "gaps": "raise", "delimiter": None, "decimal": ".",
    "training_epochs": 1, "training_batch_size": 1, "training_learning_rate": 0.1, "training_weight_decay": 0.0,
    "training_clip_norm": 1.0, "training_patience": 1, "training_members": 1, "training_seed": 0, "windows_length": 0,
    "windows_season": 0, "windows_test": 0, "windows_step": 0, "windows_log": "auto", "windows_anchor": "auto",
}  # fmt: skip
"""The settings of a forecaster of two series."""

NETWORK = [recurrent(2), dense(6)]


def forecast(
    options: dict[str, Any] | None = None, tensors: dict[str, Array | None] | None = None, **changes: Any
) -> bytes:
    """A model file of a forecaster that is valid but for what the arguments change; None takes an entry out."""
    arrays: dict[str, Array | None] = {
        "task/ids": raw(b'["a","b"]'), "task/last": numbers("I64", [2], [1_577_836_800_000_000] * 2),
        "task/spreads": numbers("F64", [2], [1.0, 2.0]), "task/tails": numbers("F64", [2, 3], range(1, 7)),
        "task/widening": numbers("F64", [1], [0.0]), **lstm_weights(0, 1, 2), **dense_weights(1, 2, 6),
        **(tensors or {}),
    }  # fmt: skip
    settings = {name: value for name, value in (FORECAST | (options or {})).items() if value is not ABSENT}
    given = {"task": "forecast", "input_shape": [3, 1], "layers": NETWORK, "options": settings} | changes
    return filled({name: array for name, array in arrays.items() if array is not None}, **given)


ABSENT: Any = object()
"""Takes a setting out."""


def embedding(symbols: int, width: int = 2) -> dict[str, Any]:
    """A table of one row a symbol."""
    return {"name": "e", "kind": "embedding", "config": {"input_dim": symbols, "output_dim": width, "mask_zero": False}}


def generate(
    options: dict[str, Any] | None = None,
    tensors: dict[str, Array | None] | None = None,
    *,
    symbols: int = 3,
    **changes: Any,
) -> bytes:
    """A model file of a generator of so many symbols, of the characters a, b, c, but for what the arguments change."""
    arrays: dict[str, Array | None] = {
        "task/vocabulary/codes": numbers("I64", [3], [97, 98, 99]),
        "layers/0/table": numbers("F32", [symbols, 2]), **lstm_weights(1, 2, 2), **dense_weights(2, 2, symbols),
        **(tensors or {}),
    }  # fmt: skip
    settings = {"symbols": "characters", "opening": 2, "vocabulary_unknown": "error", "vocabulary_items": False}
    settings = {name: value for name, value in (settings | (options or {})).items() if value is not ABSENT}
    layers = [embedding(symbols), recurrent(2, every=True), dense(symbols)]
    given = {"task": "generate", "input_shape": [None], "layers": layers, "options": settings} | changes
    return filled({name: array for name, array in arrays.items() if array is not None}, **given)
