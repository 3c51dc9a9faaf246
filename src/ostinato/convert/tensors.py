"""Plain safetensors files, which hold numbers and nothing else: an eight-byte length, a JSON header, the numbers."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ostinato.errors import ConversionError
from ostinato.runtime.atomic import replace_file
from ostinato.runtime.layout import METADATA, Entry

Array = np.ndarray[Any, Any]

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_LARGEST_HEADER = 16 << 20
_SAVE = "Save the state_dict with safetensors.torch.save_file."


class Plain(NamedTuple):
    """A safetensors file without a manifest.

    Args:
        arrays: By name, in the order of names, float32.
        modules: Names of the modules in order, if ostinato wrote the file; else none.
    """

    arrays: dict[str, Array]
    modules: list[str]


class _Module(msgspec.Struct):
    name: str


_HEADER = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXTS = msgspec.json.Decoder(dict[str, str])
_ENTRY = msgspec.json.Decoder(Entry)
_MODULES = msgspec.json.Decoder(list[_Module])


def read_tensors(path: str | os.PathLike[str]) -> Plain:
    """All tensors of a safetensors file.

    Raises:
        ConversionError: It is no such file, a tensor is not of floating-point numbers, or not finite.
    """
    if not os.path.isfile(path):
        raise _refuse("the path must lead to a file", ascii(os.fspath(path))[:200], fix="Check the path.")
    with open(path, "rb") as file:
        raw = file.read()
    length = int.from_bytes(raw[:8], "little")
    if length > min(_LARGEST_HEADER, len(raw) - 8):
        raise _refuse("the file must be a safetensors file", "another one, or one that is cut off")
    data = memoryview(raw)[8 + length :]
    try:
        entries = _HEADER.decode(raw[8 : 8 + length])
        texts = _TEXTS.decode(entries.pop(METADATA, b"{}"))
        modules = [m.name for m in _MODULES.decode(texts.get("modules", "[]"))]
        found = {name: _ENTRY.decode(entries[name]) for name in sorted(entries)}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _refuse("the header must be that of a safetensors file", ascii(str(error)[:200])[1:-1]) from None
    return Plain({ascii(name)[1:-1]: _array(data, name, entry) for name, entry in found.items()}, modules)


def write_tensors(path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: dict[str, str]) -> None:
    """Write float32 arrays as a safetensors file, all at once; texts of `metadata` go into its header."""
    header: dict[str, Any] = {METADATA: metadata}
    position = 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": (position, position + array.nbytes)}
        position += array.nbytes
    text = msgspec.json.encode(header)
    text += b" " * (-len(text) % 8)
    chunks = [np.ascontiguousarray(a, "<f4").tobytes() for a in arrays.values()]
    replace_file(os.fspath(path), [len(text).to_bytes(8, "little"), text, *chunks])


def _array(data: memoryview, name: str, entry: Entry) -> Array:
    where, (begin, end) = ascii(name[:60]), entry.data_offsets
    if entry.dtype not in _TYPES:
        raise _refuse(f"tensors must be of {', '.join(_TYPES)}", f"{entry.dtype[:20]!a} in {where}")
    size = math.prod(entry.shape) * np.dtype(_TYPES[entry.dtype]).itemsize
    if min(entry.shape, default=0) < 0 or not 0 <= begin <= end <= len(data) or end - begin != size:
        raise _refuse("tensors must lie in the file, with as many bytes as their shapes need", f"others in {where}")
    values = np.frombuffer(data[begin:end], _TYPES[entry.dtype]).reshape(entry.shape)
    with np.errstate(over="ignore"):
        wide = entry.dtype != "BF16"  # whose 16 bits are the upper ones of a float32
        array = values.astype(np.float32) if wide else (values.astype(np.uint32) << 16).view(np.float32)
    if not np.isfinite(array).all():
        raise _refuse("all numbers must be finite in float32", f"others in {where}")
    return array


def _refuse(rule: str, got: str, *, fix: str = _SAVE) -> ConversionError:
    return ConversionError(rule, got=got, fix=fix)
