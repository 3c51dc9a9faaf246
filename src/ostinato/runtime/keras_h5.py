"""Keras' H5 files of weights. Only what the layers need is looked at: hard links to plain arrays of their shapes.

Keras 3 puts the weights of a layer below "layers", in a group of its class's name, numbered from the second one on; so
did Keras 2.15, and those before under another name. Older files (`keras_legacy`) have a list of layers instead.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ostinato._optional import require
from ostinato.cells.gru import GRU
from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.errors import ConversionError
from ostinato.maps.activity_penalty import ActivityPenalty
from ostinato.maps.base import Part
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.maps.unembedding import Unembedding
from ostinato.runtime.keras_weights import to_keras
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

Array = np.ndarray[Any, Any]

MAGIC = b"\x89HDF\r\n\x1a\n"
"""How an H5 file begins."""

_PURPOSE = "to read and write Keras' H5 files"
_BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError)
"""What h5py raises over damaged files."""

_DEEPEST = 8
_MOST_OBJECTS = 20_000
_LAYERS, _LAYERS_BEFORE = "layers", "_layer_checkpoint_dependencies"
_OWN, _NAME = "vars", "name"
"""The model's own group, and what Keras 3 notes at it."""

_HEAP = b"GCOL\x01\0\0\0"
_NO_WEIGHTS = "seed_generator"
"""The state of a layer's dropout noise, an array of whole numbers."""

_NAMES = {LayerNorm: "LayerNormalization", Unembedding: "Dense", ActivityPenalty: "Activation", GRUResetAfter: "GRU",
          GRU: "GRU"}  # fmt: skip


class Slot(NamedTuple):
    """A layer whose weights lie in a file.

    Args:
        part: Its formula.
        like: Its weights that exist, for names and shapes.
        where: The layer, for messages.
    """

    part: Part
    like: Mapping[str, Array]
    where: str

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of its arrays as Keras' `get_weights` gives them."""
        return [a.shape for a in to_keras(self.part, self.like)]


def is_h5(path: str | os.PathLike[str]) -> bool:
    """Whether it is a regular file that begins as H5 files do."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


@contextmanager
def opened(data: bytes) -> Iterator[tuple[Any, Any]]:
    """The package h5py and an H5 file in memory; what goes wrong within is a `ConversionError`.

    Raises:
        ConversionError: The file is damaged, lacks an array, has another shape there, or leads out of itself.
        MissingDependency: h5py is not installed.
    """
    h5py = require("h5py", purpose=_PURPOSE)
    _check_heaps(data)
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            yield h5py, file
    except ConversionError:
        raise
    except _BROKEN as error:
        raise refuse("the weights must be a whole H5 file", ascii(str(error)[:200])[1:-1]) from None


def read_layers(data: bytes, slots: Sequence[Slot]) -> list[list[Array]]:
    """The arrays of each layer as Keras' `get_weights` gives them, float32; the file must hold no other layers.

    Raises:
        ConversionError: As for `opened`.
        MissingDependency: h5py is not installed.
    """
    with opened(data) as (h5py, file):
        found: list[list[Array]] = []
        taken: set[str] = set()
        root, paths = _found(h5py, file, slots)
        for slot, path in zip(slots, paths, strict=True):
            arrays: list[Array] = []
            for place, shapes in _places(slot, path):
                arrays += _place(h5py, file, place, shapes, slot.where)
                taken |= {f"{place}/{number}" for number in range(len(shapes))}
            found.append(arrays)
        others = [name for name in _arrays_below(h5py, file, root, _DEEPEST) if name not in taken]
        if others:
            raise refuse("the H5 file must hold weights of the model's layers only", ascii(others[0][:80]))
    return found


def write_layers(layers: Sequence[tuple[Part, Mapping[str, Array]]]) -> bytes:
    """An H5 file of weights as Keras 3 reads it.

    Args:
        layers: The formula and the weights of each layer.

    Raises:
        MissingDependency: h5py is not installed.
    """
    h5py = require("h5py", purpose=_PURPOSE)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group(_LAYERS)
        file.create_group(_OWN).attrs[_NAME] = "sequential"
        for (part, own), path in zip(layers, _paths([part for part, _ in layers]), strict=True):
            for place, one, weights in _halves(part, path, own):
                group = file.require_group(place)
                for number, array in enumerate(to_keras(one, weights)):
                    group.create_dataset(str(number), data=np.ascontiguousarray(array, np.float32))
    return buffer.getvalue()


def says_keras_3(h5py: Any, file: Any) -> bool:
    """Whether a file of this layout is of Keras 3 for sure: Keras 2 notes no names there."""
    return _OWN in file and _NAME in reached(h5py, file, [_OWN], "").attrs


def class_of(part: Part) -> str:
    """The name of Keras' class with these weights."""
    kind = type(part.cell) if isinstance(part, Recurrent) else type(part)
    return _NAMES.get(kind, kind.__name__)


def reached(h5py: Any, group: Any, names: Sequence[str], where: str) -> Any:
    """Follow hard links only: soft and external ones could lead anywhere."""
    for name in names:
        link = group.get(name, getlink=True) if isinstance(group, h5py.Group) and name in group else None
        if not isinstance(link, h5py.HardLink):
            got = "none" if link is None else f"a link of class {type(link).__name__}"
            raise refuse(f"the H5 file must hold {'/'.join(names)[:200]!a}", got, where)
        group = group[name]
    return group


def array_of(h5py: Any, data: Any, shape: tuple[int, ...], where: str) -> Array:
    """A plain array of this shape, as float32."""
    if not isinstance(data, h5py.Dataset) or data.dtype.kind != "f" or data.dtype.itemsize not in (2, 4, 8):
        raise refuse("weights must be arrays of floating-point numbers", "others", where)
    if data.shape != shape:
        raise refuse(f"the layer needs shape {shape}", str(data.shape), where)
    if data.is_virtual or data.external or data.id.get_create_plist().get_nfilters():
        raise refuse("weights must lie plainly in the file", "compressed, virtual or external ones", where)
    with np.errstate(over="ignore"):
        array = np.asarray(data[()], np.float32)
    if not np.isfinite(array).all():
        raise refuse("weights must be finite in float32", "NaN or infinite ones", where)
    return array


def refuse(rule: str, got: str, where: str = "") -> ConversionError:
    """The error for a broken rule."""
    return ConversionError(
        rule, got=got, where=(where,) if where else (), fix="Save the model in Keras 3 again: model.save('name.keras')."
    )


def _check_heaps(data: bytes) -> None:
    """Texts lie in heaps, objects one after the other; one of size 0 would let the C library run in circles."""
    at, left = data.find(_HEAP), len(data)
    while at >= 0:
        end = at + int.from_bytes(data[at + 8 : at + 16], "little")
        position = at + 16
        while position + 16 <= min(end, len(data)):
            index = int.from_bytes(data[position : position + 2], "little")
            size = int.from_bytes(data[position + 8 : position + 16], "little")
            step = 16 + size + -size % 8 if index else size  # object 0 is the free rest, with its own head
            left -= 16
            if step < 16 or position + step > end or left < 0:
                raise refuse("objects in a heap must follow each other", f"{size} bytes at {position}")
            position += step
        at = data.find(_HEAP, at + 8)


def _place(h5py: Any, file: Any, path: str, shapes: Sequence[tuple[int, ...]], where: str) -> list[Array]:
    if not shapes:
        return []
    group = reached(h5py, file, path.split("/"), where)
    if not isinstance(group, h5py.Group) or set(group) != {str(i) for i in range(len(shapes))}:
        got = f"{len(group)}" if isinstance(group, h5py.Group) else "an array in their place"
        raise refuse(f"{path} must hold {len(shapes)} arrays", got, where)
    return [
        array_of(h5py, reached(h5py, group, [str(number)], where), shape, f"{where}, {path}/{number}")
        for number, shape in enumerate(shapes)
    ]


def _arrays_below(h5py: Any, file: Any, path: str, deep: int, count: int = 0) -> list[str]:
    """Paths of the arrays of a group and of the groups in it, without those that hold no weights."""
    if file.get(path, getlink=True) is None:
        return []
    found, below = [], [path]
    for _ in range(deep):
        groups, below = below, []
        for name in groups:
            group = reached(h5py, file, name.split("/"), "")
            if isinstance(group, h5py.Dataset):
                found.append(name)
            elif isinstance(group, h5py.Group):
                below += [f"{name}/{one}" for one in group if one != _NO_WEIGHTS]
            count += 1
            if count + len(below) > _MOST_OBJECTS:
                raise refuse(f"the H5 file must hold at most {_MOST_OBJECTS} groups and arrays", "more")
    if below:
        raise refuse(f"groups of the H5 file must nest at most {deep} deep", "deeper ones")
    return found


def _found(h5py: Any, file: Any, slots: Sequence[Slot]) -> tuple[str, list[str]]:
    """The group of all layers, and that of each."""
    parts = [slot.part for slot in slots]
    if _LAYERS in file or _LAYERS_BEFORE not in file:
        return _LAYERS, _paths(parts)
    # Keras 2.14 counts as later versions do; before, the list had each layer with weights twice.
    once, twice = (_paths(parts, _LAYERS_BEFORE, [n if slot.like else 1 for slot in slots]) for n in (1, 2))
    around = reached(h5py, file, [_LAYERS_BEFORE], "")
    there = all(path.rpartition("/")[2] in around for path, slot in zip(once, slots, strict=True) if slot.like)
    return _LAYERS_BEFORE, once if there else twice


def _paths(parts: Sequence[Part], root: str = _LAYERS, places: Sequence[int] = ()) -> list[str]:
    """The groups of layers: the class's name, numbered from the second on.

    Args:
        parts: The layers.
        root: The group around them.
        places: How many numbers each takes, 1 by default.
    """
    counts: dict[str, int] = {}
    paths = []
    for part, taken in zip(parts, places or [1] * len(parts), strict=True):
        text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_of(part)).lower()
        number = counts.get(text, 0)
        counts[text] = number + taken
        paths.append(f"{root}/{text}" + (f"_{number}" if number else ""))
    return paths


def _places(slot: Slot, path: str) -> list[tuple[str, list[tuple[int, ...]]]]:
    return [(at, [a.shape for a in to_keras(one, w)]) for at, one, w in _halves(slot.part, path, slot.like)]


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
