"""The state of a stream as bytes: what it is of, a few facts, arrays, and a checksum.

Layout: `OSTINATO-STREAM\\n`, the length of the header (u32, little-endian), the header (JSON), the arrays one after the
other (little-endian, C order), SHA-256 of all that. Nothing in it can name code; all is checked first.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from ostinato.errors import ModelFileError, SnapshotError
from ostinato.maps.base import Part, Weights
from ostinato.runtime.refusal import quote
from ostinato.runtime.strict_json import check_json

MAGIC = b"OSTINATO-STREAM\n"
MAX_HEADER = 1 << 16
MAX_ARRAYS = 1 << 10

Fact = int | float | str | bool | None
"""What a stream may remember beside arrays."""

_DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"), "float64": np.dtype("<f8"), "int64": np.dtype("<i8"), "uint8": np.dtype("u1"),
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
"""`dtype.name` is slow, and pools of streams write many snapshots."""
_DIGEST = hashlib.sha256().digest_size
_FRESH = "Start a fresh stream, or take the snapshot again."


class _Array(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    dtype: Literal["float32", "float64", "int64", "uint8"]
    shape: Annotated[list[Annotated[int, Meta(ge=0, le=2**31 - 1)]], Meta(max_length=4)]


class _Header(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    format: int
    model: str
    kind: str
    facts: dict[str, Fact]
    arrays: Annotated[list[_Array], Meta(max_length=MAX_ARRAYS)]


def fingerprint(parts: Sequence[Part], weights: Sequence[Weights], *more: object) -> str:
    """Digest in hex of layers and weights, and of whatever else decides what a stream's numbers mean."""
    digest = hashlib.sha256(_said((tuple(parts), more)).encode())
    for layer in weights:
        for name in sorted(layer):
            value = np.ascontiguousarray(layer[name])
            digest.update(f"{name} {value.dtype} {value.shape}".encode())
            digest.update(value.data)
    return digest.hexdigest()


def _said(value: object) -> str:
    """`value` as text, without options at their defaults, so that a version with more of them knows the same model."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_said, value))})"
    if is_dataclass(value) and not isinstance(value, type):
        given = {f.name: getattr(value, f.name) for f in fields(value) if getattr(value, f.name) != f.default}
        return f"{type(value).__name__}({', '.join(f'{name}={_said(one)}' for name, one in given.items())})"
    return ascii(value)  # repr asks which Unicode this Python knows


def pack(model: str, kind: str, facts: Mapping[str, Fact], arrays: Sequence[NDArray[Any]]) -> bytes:
    """Write a snapshot.

    Args:
        model: The model's `fingerprint`.
        kind: What sort of stream it is, one word.
        facts: A few numbers and words.
        arrays: Of float32, float64, int64 or uint8, with at most four axes.
    """
    names: list[Any] = [_NAMES.get(a.dtype) or a.dtype.name for a in arrays]
    text = msgspec.json.encode(
        _Header(1, model, kind, dict(facts), [_Array(n, list(a.shape)) for n, a in zip(names, arrays, strict=True)])
    )
    data = [a.astype(_DTYPES[n], copy=False).tobytes() for n, a in zip(names, arrays, strict=True)]
    body = b"".join([MAGIC, struct.pack("<I", len(text)), text, *data])
    return body + hashlib.sha256(body).digest()


def unpack(blob: bytes, model: str, kind: str) -> tuple[dict[str, Fact], list[NDArray[Any]]]:
    """Read a snapshot; the arrays are new ones.

    Raises:
        SnapshotError: `foreign`, it is no snapshot, or of another sort of stream; `newer`, a later version wrote it;
            `model`, it is of another model, or of the same one in another precision; `damaged`, it was changed or cut.
    """
    header, data = _read(bytes(blob))
    if header.kind != kind:
        raise SnapshotError(
            f"the snapshot must be of a {kind} stream", got=quote(header.kind), fix="Restore it where it was taken.",
            code="foreign",
        )  # fmt: skip
    if header.model != model:
        raise SnapshotError(
            "the snapshot must be of this model", got="one of another model, or of another precision of it",
            fix="Load the model file that the stream was of, in the same precision.", code="model",
        )  # fmt: skip
    arrays, at = [], 0
    for one in header.arrays:
        count = math.prod(one.shape)
        array = np.frombuffer(data, _DTYPES[one.dtype], count, at).reshape(one.shape)
        arrays.append(array.astype(one.dtype))
        at += array.nbytes
    return header.facts, arrays


def _read(blob: bytes) -> tuple[_Header, memoryview]:
    begin = len(MAGIC) + 4
    if not blob.startswith(MAGIC):
        got = quote(blob[:16].decode("latin-1")) if blob else "nothing"
        raise SnapshotError(
            "a snapshot must begin with OSTINATO-STREAM", got=got, fix="Pass what snapshot() gave.", code="foreign"
        )
    if len(blob) < begin + _DIGEST:
        raise _damaged(f"{len(blob)} bytes")
    if hashlib.sha256(memoryview(blob)[:-_DIGEST]).digest() != blob[-_DIGEST:]:
        raise _damaged("another checksum")
    length = int.from_bytes(blob[len(MAGIC) : begin], "little")
    if length > min(MAX_HEADER, len(blob) - begin - _DIGEST):
        raise _damaged(f"a header of {length} bytes")
    text = blob[begin : begin + length]
    _check_format(text)
    try:
        header = msgspec.json.decode(text, type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _damaged("another header") from None
    if any(8 * math.prod(n or 1 for n in a.shape) >= 2**63 for a in header.arrays):
        raise _damaged("an array of more than 2**60 numbers")
    size = sum(_DTYPES[a.dtype].itemsize * math.prod(a.shape) for a in header.arrays)
    if size != len(blob) - begin - length - _DIGEST:
        raise _damaged(f"{len(blob) - begin - length - _DIGEST} bytes of arrays instead of {size}")
    return header, memoryview(blob)[begin + length : len(blob) - _DIGEST]


class _Format(msgspec.Struct):
    format: int


def _check_format(text: bytes) -> None:
    try:
        check_json(text, "header")
        number = msgspec.json.decode(text, type=_Format).format
    except (ModelFileError, msgspec.DecodeError, UnicodeDecodeError):
        raise _damaged("another header") from None
    if number != 1:
        raise SnapshotError(
            "the snapshot must be of format 1", got=str(number), fix="Install the ostinato that wrote it.", code="newer"
        )


def _damaged(got: str) -> SnapshotError:
    return SnapshotError("a snapshot must be whole", got=got, fix=_FRESH, code="damaged")
