"""Plain safetensors files, which hold numbers and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
import safetensors
from safetensors.numpy import save

from ostinato.errors import ConversionError
from ostinato.runtime.atomic import replace_file

Array = np.ndarray[Any, Any]

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


class Plain(NamedTuple):
    """A safetensors file without a manifest.

    Args:
        arrays: By name, in the order of names, float32.
        modules: Names of the modules in order, if ostinato wrote the file; else none.
    """

    arrays: dict[str, Array]
    modules: list[str]


def read_tensors(path: str | os.PathLike[str]) -> Plain:
    """All tensors of a safetensors file.

    Raises:
        ConversionError: It is no such file, a tensor is not of floating-point numbers, or not finite.
    """
    if not os.path.isfile(path):
        raise _refuse("the path must lead to a file", repr(os.fspath(path)), fix="Check the path.")
    with open(path, "rb") as file:
        raw = file.read()
    try:
        found = safetensors.deserialize(raw)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise _refuse("the file must be a safetensors file", ascii(str(error)[:200])[1:-1]) from None
    arrays = {ascii(name)[1:-1]: _array(name, entry) for name, entry in sorted(found, key=lambda item: item[0])}
    bad = [name for name, a in arrays.items() if not np.isfinite(a).all()]
    if bad:
        raise _refuse("all numbers must be finite in float32", f"others in {bad[0]!r}")
    return Plain(arrays, _modules(raw))


def write_tensors(path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: dict[str, str]) -> None:
    """Write a safetensors file, all at once; texts of `metadata` go into its header."""
    replace_file(os.fspath(path), [save(dict(arrays), metadata)])


class _Module(msgspec.Struct):
    name: str


class _Texts(msgspec.Struct):
    modules: str = "[]"


class _Header(msgspec.Struct):
    texts: _Texts = msgspec.field(default_factory=_Texts, name="__metadata__")


def _modules(raw: bytes) -> list[str]:
    """The names in the header's text "modules", if there is one."""
    length = int.from_bytes(raw[:8], "little")
    try:
        header = msgspec.json.decode(raw[8 : 8 + length], type=_Header)
        return [m.name for m in msgspec.json.decode(header.texts.modules, type=list[_Module])]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _refuse("the header's list of modules must be valid", ascii(str(error)[:200])[1:-1]) from None


def _array(name: str, entry: Mapping[str, Any]) -> Array:
    if entry["dtype"] == "BF16":
        wide = np.frombuffer(entry["data"], "<u2").astype(np.uint32) << 16
        return wide.view(np.float32).reshape(entry["shape"])
    if entry["dtype"] not in _TYPES:
        raise _refuse("tensors must be of F32, F64, F16 or BF16", f"{entry['dtype']} in {name[:60]!a}")
    with np.errstate(over="ignore"):
        return np.frombuffer(entry["data"], _TYPES[entry["dtype"]]).astype(np.float32).reshape(entry["shape"])


def _refuse(
    rule: str, got: str, *, fix: str = "Save the state_dict with safetensors.torch.save_file."
) -> ConversionError:
    return ConversionError(rule, got=got, fix=fix)
