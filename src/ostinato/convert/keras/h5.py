"""Keras 3's H5 files of weights. Only what the layers need is looked at: hard links to plain arrays of their shapes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ostinato._optional import require
from ostinato.errors import ConversionError

Array = np.ndarray[Any, Any]

_PURPOSE = "to read and write Keras' H5 files"
_DEEPEST = 8


class Place(NamedTuple):
    """Where the arrays of one layer lie.

    Args:
        path: The group, such as "layers/lstm/cell/vars".
        shapes: Of its arrays 0, 1, ….
        where: The layer, for messages.
    """

    path: str
    shapes: Sequence[tuple[int, ...]]
    where: str


def read_weights(data: bytes, places: Sequence[Place]) -> list[list[Array]]:
    """The arrays of each place, as float32.

    Raises:
        ConversionError: The file is damaged, lacks an array, has another shape there, or leads out of itself.
        MissingDependency: h5py is not installed.
    """
    h5py = require("h5py", purpose=_PURPOSE)
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            return [_place(h5py, file, place) for place in places]
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, ConversionError):
            raise
        raise _refuse("the weights must be a whole H5 file", ascii(str(error)[:200])[1:-1]) from None


def write_weights(places: Sequence[tuple[Place, Sequence[Array]]]) -> bytes:
    """An H5 file as Keras 3 reads it; errors as for `read_weights`."""
    h5py = require("h5py", purpose=_PURPOSE)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group("layers")
        file.create_group("vars")
        for place, arrays in places:
            group = file.require_group(place.path)
            for number, array in enumerate(arrays):
                group.create_dataset(str(number), data=np.ascontiguousarray(array, np.float32))
    return buffer.getvalue()


def _place(h5py: Any, file: Any, place: Place) -> list[Array]:
    if not place.shapes:
        return []
    group = _reached(h5py, file, place.path.split("/"), place.where)
    if not isinstance(group, h5py.Group) or set(group) != {str(i) for i in range(len(place.shapes))}:
        got = f"{len(group)}" if isinstance(group, h5py.Group) else "an array in their place"
        raise _refuse(f"{place.path} must hold {len(place.shapes)} arrays", got, place.where)
    return [
        _array(h5py, _reached(h5py, group, [str(number)], place.where), shape, f"{place.path}/{number}")
        for number, shape in enumerate(place.shapes)
    ]


def _reached(h5py: Any, group: Any, names: Sequence[str], where: str) -> Any:
    """Follow hard links only: soft and external ones could lead anywhere."""
    for name in names:
        link = group.get(name, getlink=True) if isinstance(group, h5py.Group) and name in group else None
        if not isinstance(link, h5py.HardLink):
            got = "none" if link is None else f"a link of class {type(link).__name__}"
            raise _refuse(f"the H5 file must hold {'/'.join(names)}", got, where)
        group = group[name]
    return group


def _array(h5py: Any, data: Any, shape: tuple[int, ...], where: str) -> Array:
    if not isinstance(data, h5py.Dataset) or data.dtype.kind != "f" or data.dtype.itemsize not in (2, 4, 8):
        raise _refuse("weights must be arrays of floating-point numbers", "others", where)
    if data.shape != shape:
        raise _refuse(f"the layer needs shape {shape}", str(data.shape), where)
    if data.is_virtual or data.external or data.id.get_create_plist().get_nfilters():
        raise _refuse("weights must lie plainly in the file", "compressed, virtual or external ones", where)
    with np.errstate(over="ignore"):
        array = np.asarray(data[()], np.float32)
    if not np.isfinite(array).all():
        raise _refuse("weights must be finite in float32", "NaN or infinite ones", where)
    return array


def _refuse(rule: str, got: str, where: str = "") -> ConversionError:
    return ConversionError(
        rule, got=got, where=where, fix="Save the model in Keras 3 again with model.save('name.keras')."
    )
