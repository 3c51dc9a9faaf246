"""Writes a model file: the same bundle always gives the same bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from ostinato.errors import ModelFileError
from ostinato.maps.base import Part
from ostinato.runtime.atomic import replace_file
from ostinato.runtime.blueprint import LAYERS, TASK, blueprint, check_task_tensor
from ostinato.runtime.header import parse_header
from ostinato.runtime.layout import (
    HEADER_DIGEST,
    ITEMSIZE,
    MANIFEST,
    MAX_HEADER,
    METADATA,
    NO_DIGEST,
    TASK_DTYPES,
    header_digest,
)
from ostinato.runtime.manifest import FORMAT, Manifest, to_part, to_spec
from ostinato.runtime.reader import check_finite, checked_path
from ostinato.runtime.refusal import quote, reason, refuse
from ostinato.runtime.small_weights import check_store, packed

_CHUNK = 1 << 20
_NAMES = {np.dtype(code): name for name, code in TASK_DTYPES.items()}
_REBUILD = "Change what is named here, then save again; no file was written."


def write(
    path: str | os.PathLike[str],
    manifest: Manifest,
    parts: Sequence[Part],
    weights: Sequence[Mapping[str, np.ndarray]],
    extra: Mapping[str, np.ndarray],
    *,
    allow_nonfinite: bool = False,
    store: str = "float32",
) -> None:
    """Write a model file; see `bundle.save`."""
    name = checked_path(path)
    try:
        check_store(store)
        header, arrays = _pack(manifest, parts, weights, extra, allow_nonfinite=allow_nonfinite, store=store)
    except ModelFileError as error:
        raise type(error)(
            error.rule, got=error.got, fix=_REBUILD, where=error.where, count=error.count, code=error.code
        ) from None
    try:
        replace_file(name, _chunks(header, arrays))
    except OSError as error:
        raise refuse(
            "write", "the model file must be writable", error.strerror or type(error).__name__,
            where=(quote(name, most=200),),
            fix="See that the folder exists, may be written to and has room, or save elsewhere: the model is still in "
            "memory, and an older file there is unchanged.",
        ) from None  # fmt: skip


def _pack(
    manifest: Manifest,
    parts: Sequence[Part],
    weights: Sequence[Mapping[str, np.ndarray]],
    extra: Mapping[str, np.ndarray],
    *,
    allow_nonfinite: bool,
    store: str,
) -> tuple[bytes, list[np.ndarray]]:
    """The file's first bytes, and the arrays that follow them."""
    named = _named(weights, extra)
    if not allow_nonfinite:
        check_finite(named)
    stored = _stored(named, store, manifest.members)
    # The largest items first, so that each tensor is aligned although no byte lies between them.
    order = sorted(stored, key=lambda key: (-ITEMSIZE[stored[key][0]], key))
    arrays = [np.ascontiguousarray(a, a.dtype.newbyteorder("<")) for _, a in (stored[key] for key in order)]
    digest = hashlib.sha256()
    for chunk in _data(arrays):
        digest.update(chunk)
    manifest = msgspec.structs.replace(
        manifest, format=FORMAT, layers=_layers(manifest, parts, weights), data_sha256=digest.hexdigest()
    )
    entries, position = {}, 0
    for key in order:
        dtype, array = stored[key]
        end = position + array.size * ITEMSIZE[dtype]
        entries[key] = {"dtype": dtype, "shape": array.shape, "data_offsets": (position, end)}
        position = end
    header = _header(manifest, entries)
    # A file that is written is a file that can be read: the reader's own checks run before anything is.
    parsed = parse_header(header[8:], position)
    if parsed.manifest != manifest:
        raise refuse("manifest", "options must be plain finite values or lists of them", "others (NaN, a tuple …)")
    blueprint(parsed)
    return header, arrays


def _layers(manifest: Manifest, parts: Sequence[Part], weights: Sequence[Any]) -> list[Any]:
    if not len(manifest.layers) == len(parts) == len(weights):
        got = f"{len(manifest.layers)} layers in the manifest, {len(parts)} parts and {len(weights)} sets of weights"
        raise refuse("bundle", "manifest, parts and weights must have one entry a layer", got)
    made = tuple(to_part(spec) for spec in manifest.layers)
    for spec, one, other in zip(manifest.layers, made, parts, strict=True):
        if one != other:
            raise refuse("bundle", "the manifest must describe the parts", "another layer", where=(quote(spec.name),))
    # Written from what was read back, so that 0 and 0.0 give the same bytes.
    return [to_spec(spec.name, part) for spec, part in zip(manifest.layers, made, strict=True)]


def _named(weights: Sequence[Mapping[str, np.ndarray]], extra: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    named = {f"{LAYERS}{i}/{name}": _checked(name, array) for i, w in enumerate(weights) for name, array in w.items()}
    for name, array in named.items():
        if array.dtype.newbyteorder("<") != np.dtype("<f4"):
            raise refuse("dtype", "weights must be float32; convert them with .astype('float32')", str(array.dtype),
                         where=(quote(name),))  # fmt: skip
    for name, array in extra.items():
        check_task_tensor(str(name), _checked(name, array).ndim, None)
    return named | {f"{TASK}{name}": array for name, array in extra.items()}


def _stored(named: Mapping[str, np.ndarray], store: str, members: int) -> dict[str, tuple[str, np.ndarray]]:
    """Each tensor with its type in the file; the layers' matrices as `store` says."""
    found: dict[str, tuple[str, np.ndarray]] = {}
    for name, array in named.items():
        if name.startswith(LAYERS):
            found |= packed(name, array, store, members=members)
        else:
            found[name] = (_NAMES[array.dtype.newbyteorder("<")], array)
    return found


def _checked(name: str, array: np.ndarray) -> np.ndarray:
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise refuse("dtype", "tensors must be plain NumPy arrays", type(array).__name__, where=(quote(str(name)),))
    if array.dtype.newbyteorder("<") not in _NAMES:
        types = ", ".join(str(np.dtype(code)) for code in TASK_DTYPES.values())
        raise refuse("dtype", f"tensors must be of {types}", str(array.dtype), where=(quote(str(name)),))
    return array


def _header(manifest: Manifest, entries: dict[str, Any]) -> bytes:
    try:
        text = msgspec.json.encode(manifest).decode()
        metadata = {HEADER_DIGEST: NO_DIGEST, MANIFEST: text}
        header = msgspec.json.encode({METADATA: metadata, **entries})
    except (TypeError, ValueError) as error:
        raise refuse("manifest", "options must be plain values or lists of them", reason(error)) from None
    header += b" " * (-len(header) % 8)
    if len(header) > MAX_HEADER:
        raise refuse("header_length", f"the header must be at most {MAX_HEADER} bytes", str(len(header)))
    digest = header_digest(header, NO_DIGEST)
    return len(header).to_bytes(8, "little") + header.replace(NO_DIGEST.encode(), digest.encode(), 1)


def _data(arrays: Sequence[np.ndarray]) -> Iterator[memoryview]:
    for array in arrays:
        view = array.reshape(-1).view(np.uint8).data
        for begin in range(0, len(view), _CHUNK):
            yield view[begin : begin + _CHUNK]


def _chunks(header: bytes, arrays: Sequence[np.ndarray]) -> Iterator[bytes | memoryview]:
    yield header
    yield from _data(arrays)
