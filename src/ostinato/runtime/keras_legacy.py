"""Keras' older H5 files (`.h5`): lists of layers and of their arrays, and in a whole model its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ostinato.errors import ConversionError
from ostinato.maps.base import Part
from ostinato.runtime.keras_h5 import Array, Slot, array_of, opened, reached, read_layers, refuse, says_keras_3

_WEIGHTS, _CONFIG, _LAYER_NAMES, _NAMES = "model_weights", "model_config", "layer_names", "weight_names"
_BESIDE = "top_level_model_weights"
_UNNAMED = "2, or perhaps 3"
"""What a file of weights says of the version if Keras 2 could have written it."""

_PADDINGS = (0, 1, 2)
_MOST_NAMES = 1000
_MOST_LOOSE_NAMES = 64
"""Names that may be as long as the file each, since many may share one text."""


def read_weights(data: bytes, slots: Sequence[Slot], version: str = "") -> list[list[Array]]:
    """The arrays of each layer out of an H5 file of any layout, in the order of Keras' `get_weights`.

    Args:
        data: The file.
        slots: The layers.
        version: That of Keras, if it is known from elsewhere.

    Raises:
        ConversionError: The file is damaged, has other layers, or leads out of itself; or a name meant another function
            in the version of Keras that wrote it, or may have.
        MissingDependency: h5py is not installed.
    """
    parts = [(s.part, s.where) for s in slots]
    with opened(data) as (h5py, file):
        group = reached(h5py, file, [_WEIGHTS], "") if _WEIGHTS in file else file
        if _has(group, _LAYER_NAMES):
            check_version(_version(h5py, group) or _version(h5py, file) or version, parts)
            return _read(h5py, group, slots)
        check_version(version or ("" if says_keras_3(h5py, file) else _UNNAMED), parts)
    return read_layers(data, slots)


def read_config(data: bytes) -> tuple[bytes, str] | None:
    """The configuration of a whole model as JSON text, and the version of Keras that wrote it; None if there is none.

    Raises:
        ConversionError: The file is damaged.
        MissingDependency: h5py is not installed.
    """
    with opened(data) as (h5py, file):
        if _CONFIG not in file.attrs:
            return None
        return _text(h5py, file, _CONFIG).encode(), _version(h5py, file)


def check_version(version: str, parts: Sequence[tuple[Part, str]]) -> None:
    """Raise `ConversionError` if a name meant another function in that version of Keras.

    Args:
        version: Such as "2.15.0"; empty if it does not matter.
        parts: Each layer, and what to call it in messages.
    """
    if version[:2] not in ("1.", "2.") and version != _UNNAMED:
        return
    for part, where in parts:
        if _says(part, "hard_sigmoid"):
            raise ConversionError(
                "hard_sigmoid must be that of Keras 3, x / 6 + 1/2",
                got=f"a file of Keras {ascii(version[:15])[1:-1]}, where it was 0.2 x + 1/2",
                where=where,
                fix="Train the layer with sigmoid, or go on training after setting the weights by hand.",
            )


def _says(value: Any, name: str) -> bool:
    """Whether a field of a formula, or of one in it, is this name."""
    return value == name or (is_dataclass(value) and any(_says(getattr(value, f.name), name) for f in fields(value)))


def _read(h5py: Any, group: Any, slots: Sequence[Slot]) -> list[list[Array]]:
    """By order, as Keras does it: the n-th layer with weights in the file is the n-th one of the model."""
    held = [(name, own) for name in _texts(h5py, group, _LAYER_NAMES)
            if (own := _texts(h5py, reached(h5py, group, _parts(name), ""), _NAMES))]  # fmt: skip
    wanted = [slot for slot in slots if slot.like]
    if len(held) != len(wanted):
        got = f"{len(held)}: {', '.join(ascii(name[:40]) for name, _ in held[:8])}"
        raise refuse(f"the file must hold weights of {len(wanted)} layers", got)
    if _BESIDE in group and _texts(h5py, reached(h5py, group, [_BESIDE], ""), _NAMES):
        raise refuse("the file must hold weights of layers only", "weights of the model itself")
    by_slot = dict(zip(map(id, wanted), held, strict=True))
    return [_layer(h5py, group, slot, *by_slot.get(id(slot), ("", []))) for slot in slots]


def _layer(h5py: Any, group: Any, slot: Slot, name: str, names: Sequence[str]) -> list[Array]:
    shapes = slot.shapes
    if len(names) != len(shapes):
        raise refuse(f"the layer must have {len(shapes)} arrays", f"{len(names)} in {name[:40]!a}", slot.where)
    if len(set(names)) < len(names):  # Keras 3.0 wrote the two directions of a Bidirectional over each other
        raise refuse(
            "each array must have a name of its own", f"{max(names, key=names.count)[:40]!a} twice", slot.where
        )
    return [
        array_of(h5py, reached(h5py, group, [*_parts(name), *_parts(one)], slot.where), shape, slot.where)
        for one, shape in zip(names, shapes, strict=True)
    ]


def _parts(path: str) -> list[str]:
    parts = path.split("/")
    if len(path) > 500 or len(parts) > 12 or not all(parts) or "." in parts:
        raise refuse("names in the file must be short paths", ascii(path[:60]))
    return parts


def _has(group: Any, name: str) -> bool:
    return name in group.attrs or f"{name}0" in group.attrs


def _texts(h5py: Any, group: Any, name: str) -> list[str]:
    """A list of texts, which Keras cuts into "name0", "name1", … if it is long."""
    if not _has(group, name):
        raise refuse(f"each layer must have {name}", "none")
    keys = [name] if name in group.attrs else _numbered(group, name)
    found: list[str] = []
    for key in keys:
        about = group.attrs.get_id(key)
        most = _MOST_LOOSE_NAMES if about.dtype.kind == "O" else _MOST_NAMES
        if len(about.shape) != 1 or len(found) + about.shape[0] > most:
            raise refuse(f"{name} must be a list of at most {most} names", f"shape {about.shape}")
        found += _strings(h5py, group, key) if about.shape[0] else []
    return found


def _numbered(group: Any, name: str) -> list[str]:
    keys: list[str] = []
    while f"{name}{len(keys)}" in group.attrs and len(keys) < _MOST_NAMES:
        keys.append(f"{name}{len(keys)}")
    return keys


def _text(h5py: Any, group: Any, name: str) -> str:
    if group.attrs.get_id(name).shape != ():
        raise refuse(f"{name} must be one text", "several")
    return _strings(h5py, group, name)[0]


def _strings(h5py: Any, group: Any, name: str) -> list[str]:
    """Texts of an attribute. Its type is looked at first: the C library does not outlive some that are none."""
    kind = group.attrs.get_id(name).get_type()
    if not isinstance(kind, h5py.h5t.TypeStringID) or kind.get_strpad() not in _PADDINGS:
        raise refuse(f"{name} must be text", "something else")
    values = np.ravel(group.attrs[name]).tolist()
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]


def _version(h5py: Any, group: Any) -> str:
    return _text(h5py, group, "keras_version")[:40] if "keras_version" in group.attrs else ""
