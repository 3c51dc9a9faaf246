"""Reads a model file: everything is checked before anything is allocated, and nothing in the file can name code."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from types import MappingProxyType
from typing import IO, NamedTuple

import numpy as np

from ostinato.data.foreign import NEEDED, identify
from ostinato.errors import ArgumentError, ModelFileError, UnsupportedFormat
from ostinato.maps.base import Part
from ostinato.runtime.blueprint import LAYERS, TASK, blueprint
from ostinato.runtime.header import parse_header
from ostinato.runtime.layout import DTYPES, MAX_HEADER, Entry
from ostinato.runtime.manifest import Manifest
from ostinato.runtime.refusal import DAMAGED, located, quote, refuse
from ostinato.runtime.small_weights import count_nonfinite, unpacked

_CHUNK = 1 << 20
_CONVERT = "Convert it first: ostinato convert FILE OUT.safetensors."
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
# Opening must not wait for the other end of a pipe, nor make a terminal the process's own.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


class Contents(NamedTuple):
    """What a model file holds, in the order of `bundle.Bundle`."""

    manifest: Manifest
    parts: tuple[Part, ...]
    weights: list[dict[str, np.ndarray]]
    extra: dict[str, np.ndarray]


def read(
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    allow_nonfinite: bool = False,
    task_tensors: Mapping[str, int] | None = None,
) -> Contents:
    """Read and check a model file; see `bundle.load`."""
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise ArgumentError(
            "sha256 must be 64 hexadecimal digits", got=quote(sha256), fix="Pass what `sha256sum FILE` prints."
        )
    name = checked_path(path)
    try:
        with _open(name) as file:
            return _read(file, sha256=sha256, allow_nonfinite=allow_nonfinite, task_tensors=task_tensors)
    except ModelFileError as error:
        raise located(error, name) from None
    except OSError as error:
        raise refuse(
            "read", "the model file must be readable", error.strerror or type(error).__name__,
            where=(quote(name, most=200),), fix="Check the path and the permissions.",
        ) from None  # fmt: skip


def checked_path(path: str | os.PathLike[str]) -> str:
    """The path as text, if it is one that a file can have."""
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError("path must be a string or a Path", got=type(path).__name__, fix="Pass the file's path.")
    name = os.fsdecode(path)
    try:
        known = b"\x00" not in os.fsencode(name)
    except UnicodeEncodeError:
        known = False
    if not known:
        raise ArgumentError("path must be one that a file can have", got=quote(name), fix="Pass the file's path.")
    return name


def _open(name: str) -> IO[bytes]:
    # Asked before opening as well, since opening a device can already have effects.
    _check_regular(os.stat(name).st_mode)
    descriptor = os.open(name, _FLAGS)
    file = os.fdopen(descriptor, "rb", buffering=0)
    try:
        _check_regular(os.fstat(descriptor).st_mode)
    except ModelFileError:
        file.close()
        raise
    return file


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise refuse("not_a_file", "the path must lead to a regular file", kind_of(mode), fix="Pass the file's path.")


def kind_of(mode: int) -> str:
    """What `mode` of `os.stat` says a path is."""
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def _read(
    file: IO[bytes], *, sha256: str | None, allow_nonfinite: bool, task_tensors: Mapping[str, int] | None
) -> Contents:
    size = os.fstat(file.fileno()).st_size
    start = _start(file, size)
    data_size = size - len(start)
    header = parse_header(start[8:], data_size)
    parts = blueprint(header, task_tensors=task_tensors)
    data = _data(file, data_size, start, header.manifest.data_sha256, sha256)
    arrays = {name: _array(data, entry) for name, entry in header.tensors.items()}
    types = {name: entry.dtype for name, entry in header.tensors.items()}
    if not allow_nonfinite:
        check_finite(arrays, small=count_nonfinite(arrays, types))
    arrays = _expanded(arrays, types, header.manifest.members)
    weights: list[dict[str, np.ndarray]] = [{} for _ in parts]
    for name in sorted(arrays):
        if name.startswith(LAYERS):
            index, _, weight = name.removeprefix(LAYERS).partition("/")
            weights[int(index)][weight] = arrays[name]
    extra = {name.removeprefix(TASK): arrays[name] for name in sorted(arrays) if name.startswith(TASK)}
    return Contents(header.manifest, parts, weights, extra)


def _start(file: IO[bytes], size: int) -> bytes:
    """The length and the header, or an error that says what the file is instead."""
    head = _exactly(file, min(size, NEEDED))
    length = int.from_bytes(head[:8], "little")
    if size < 9 or length > MAX_HEADER or head[8:9] != b"{":
        foreign = identify(head)
        if foreign is not None:
            raise UnsupportedFormat(
                "a model file must be a safetensors file with ostinato's manifest",
                got=foreign,
                fix=_CONVERT if "eras" in foreign else "Pass a file that ostinato saved.",
            )
        if size < 9:
            raise refuse("truncated", "a model file must have at least 9 bytes", str(size))
        if length > MAX_HEADER:
            raise refuse("header_length", f"the header must be at most {MAX_HEADER} bytes", str(length))
    if length < 2:
        raise refuse("header_length", "the header must be at least 2 bytes", str(length))
    if 8 + length > size:
        raise refuse("truncated", f"the file must hold its header of {length} bytes", f"{size} bytes in all")
    if len(head) >= 8 + length:
        file.seek(8 + length)
        return head[: 8 + length]
    return head + _exactly(file, 8 + length - len(head))


def _exactly(file: IO[bytes], size: int) -> bytes:
    buffer = bytearray(size)
    _fill(file, memoryview(buffer))
    return bytes(buffer)


def _fill(file: IO[bytes], view: memoryview) -> None:
    done = 0
    while done < len(view):
        count = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            raise refuse("truncated", "the file must not shrink while it is read", "its end")
        done += count


def _data(file: IO[bytes], size: int, start: bytes, expected: str, pin: str | None) -> np.ndarray:
    """The data section, hashed while it is read."""
    try:
        data = np.empty(size, np.uint8)
    except MemoryError:
        raise refuse(
            "memory", "the model must fit into memory", f"{size} bytes", fix="Load it on a larger machine."
        ) from None
    view, digest = data.data, hashlib.sha256()
    whole = hashlib.sha256(start) if pin is not None else None
    for begin in range(0, size, _CHUNK):
        part = view[begin : begin + _CHUNK]
        _fill(file, part)
        digest.update(part)
        if whole is not None:
            whole.update(part)
    if digest.hexdigest() != expected:
        raise refuse("digest", f"the data's SHA-256 must be {expected[:12]}…", f"{digest.hexdigest()[:12]}…")
    if whole is not None and pin is not None and whole.hexdigest() != pin.lower():
        raise refuse(
            "pin", f"the file's SHA-256 must be {pin.lower()[:12]}…", f"{whole.hexdigest()[:12]}…",
            fix="This is another file than the one you asked for: do not use it.",
        )  # fmt: skip
    return data


def _expanded(arrays: dict[str, np.ndarray], types: dict[str, str], members: int) -> dict[str, np.ndarray]:
    """All weights as float32, up to four times as large as they lie in the file."""
    try:
        return unpacked(arrays, types, members=members) if {"BF16", "I8"} & set(types.values()) else arrays
    except MemoryError:
        raise refuse(
            "memory", "the model must fit into memory", "weights that are larger there than in the file",
            fix="Load it on a larger machine.",
        ) from None  # fmt: skip


def _array(data: np.ndarray, entry: Entry) -> np.ndarray:
    begin, end = entry.data_offsets
    values = data[begin:end].view(DTYPES[entry.dtype]).reshape(entry.shape)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def check_finite(
    arrays: Mapping[str, np.ndarray], *, fix: str = "", small: Mapping[str, int] = MappingProxyType({})
) -> None:
    """Refuse NaN and infinite numbers, in pieces, so that the check needs next to no memory.

    Args:
        arrays: By name; whole numbers are passed over.
        fix: What to do about it.
        small: How many there are in weights of fewer bits, by name.
    """
    bad = dict(small)
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            flat = array.reshape(-1)
            pieces = (flat[i : i + _CHUNK] for i in range(0, flat.size, _CHUNK))
            count = sum(piece.size - int(np.count_nonzero(np.isfinite(piece))) for piece in pieces)
            if count:
                bad[name] = count
    if bad:
        raise ModelFileError(
            "all numbers of a model must be finite",
            got="NaN or infinite ones",
            where=tuple(quote(name) for name in bad),
            count=sum(bad.values()),
            fix=fix or f"Pass allow_nonfinite=True if they are meant. {DAMAGED}",
            code="nonfinite",
        )
