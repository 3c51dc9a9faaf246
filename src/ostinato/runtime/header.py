"""From the bytes of a model file's header to checked entries, in the order that the rules of the format give."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import msgspec

from ostinato.errors import NewerFormat, UnsupportedFormat
from ostinato.runtime.layout import (
    DTYPES,
    HEADER_DIGEST,
    ITEMSIZE,
    MANIFEST,
    MAX_DIM,
    MAX_MANIFEST,
    MAX_RANK,
    METADATA,
    Entry,
    header_digest,
)
from ostinato.runtime.manifest import FORMAT, Manifest, Whole
from ostinato.runtime.refusal import quote, reason, refuse
from ostinato.runtime.strict_json import check_json


class Header(NamedTuple):
    """A header whose every number was checked, except against the layers."""

    manifest: Manifest
    tensors: dict[str, Entry]


class _Version(msgspec.Struct):
    """What every format, also a later one, says about itself."""

    format: Whole
    ostinato: str = ""


_HEADER = msgspec.json.Decoder(dict[str, msgspec.Raw])
_METADATA = msgspec.json.Decoder(dict[str, str])
_ENTRY = msgspec.json.Decoder(Entry)
_VERSION = msgspec.json.Decoder(_Version)
_MANIFEST = msgspec.json.Decoder(Manifest)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RELEASE = re.compile(r"\d{1,4}(\.\w{1,8}){0,4}", re.ASCII)


def parse_header(raw: bytes, data_size: int) -> Header:
    """Check a header.

    Args:
        raw: The header's bytes, without the eight that hold its length.
        data_size: Number of bytes behind it.

    Raises:
        ModelFileError: A rule is broken; `code` says which.
    """
    _check_text(raw)
    try:
        values = _HEADER.decode(raw)
        metadata = _METADATA.decode(values.pop(METADATA, b"{}"))
    except msgspec.ValidationError as error:
        raise refuse("header", "the header must be an object of objects", reason(error)) from None
    except msgspec.DecodeError as error:
        raise refuse("json", "the header must be valid JSON", reason(error)) from None
    manifest = _manifest(raw, metadata)
    if any(b"-0" in bytes(value) for value in values.values()):
        raise refuse("header", "whole numbers must have no sign", "-0, which readers of safetensors refuse")
    try:
        tensors = {name: _ENTRY.decode(value) for name, value in values.items()}
    except msgspec.MsgspecError as error:
        raise refuse("header", "a tensor must have dtype, shape and data_offsets only", reason(error)) from None
    _check_types(tensors)
    _check_shapes(tensors)
    _check_offsets(tensors, data_size)
    return Header(manifest, tensors)


def _check_text(raw: bytes) -> None:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refuse("utf8", "the header must be UTF-8 text", f"another byte at {error.start}") from None
    if raw[:1] != b"{":
        raise refuse("json", "the header must begin with '{'", quote(raw[:1].decode(errors="replace")))
    check_json(raw, "header")


def _manifest(raw: bytes, metadata: dict[str, str]) -> Manifest:
    if MANIFEST not in metadata:
        raise UnsupportedFormat(
            "a model file must hold ostinato's manifest",
            got="a plain safetensors file",
            fix="A state_dict of torch can be converted: ostinato convert FILE OUT.safetensors.",
        )
    if len(raw) % 8:
        raise refuse("header_length", "the header's length must be a multiple of 8", str(len(raw)))
    text = metadata[MANIFEST].encode()
    if len(text) > MAX_MANIFEST:
        raise refuse("manifest_size", f"the manifest must be at most {MAX_MANIFEST} bytes", str(len(text)))
    _check_digest(raw, metadata.get(HEADER_DIGEST, ""))
    check_json(text, "manifest")
    try:
        _check_version(_VERSION.decode(text))
        manifest = _MANIFEST.decode(text)
    except msgspec.MsgspecError as error:
        raise refuse("manifest", "the manifest must follow its schema", reason(error)) from None
    if set(metadata) != {MANIFEST, HEADER_DIGEST}:
        others = sorted(set(metadata) - {MANIFEST, HEADER_DIGEST})
        raise refuse("header", "the metadata must hold two entries only", ", ".join(map(quote, others[:5])))
    if not manifest.data_sha256:
        raise refuse("manifest", "the manifest must hold the digest of the data", "none")
    return manifest


def _check_digest(raw: bytes, digest: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise refuse("header_digest", "the header must hold its SHA-256 as 64 digits", quote(digest, most=70))
    found = header_digest(raw, digest)
    if found != digest:
        raise refuse("header_digest", f"the header's SHA-256 must be {digest[:12]}…", f"{found[:12]}…")


def _check_version(version: _Version) -> None:
    if version.format < 1:
        raise refuse("manifest", "the format must be a number of at least 1", str(version.format))
    if version.format > FORMAT:
        known = _RELEASE.fullmatch(version.ostinato)
        raise NewerFormat(
            f"the file's format must be at most {FORMAT} here; it needs ostinato "
            + (f">= {version.ostinato}" if known else "of a later version"),
            got=f"format {version.format}",
            fix='Run: pip install --upgrade "ostinato".',
        )


def _check_types(tensors: dict[str, Entry]) -> None:
    for name, entry in tensors.items():
        if entry.dtype not in DTYPES:
            raise refuse("dtype", f"types must be among {', '.join(DTYPES)}", quote(entry.dtype), where=(quote(name),))


def _check_shapes(tensors: dict[str, Entry]) -> None:
    for name, entry in tensors.items():
        if len(entry.shape) > MAX_RANK:
            got = str(len(entry.shape))
            raise refuse("shape", f"tensors must have at most {MAX_RANK} axes", got, where=(quote(name),))
        if not all(0 <= n <= MAX_DIM for n in entry.shape):
            raise refuse("shape", f"sizes must be in 0 … {MAX_DIM}", "another size", where=(quote(name),))
        if 8 * math.prod(n or 1 for n in entry.shape) >= 2**63:  # an empty array has strides, too
            raise refuse("shape", "sizes other than 0 must multiply to less than 2**60", "more", where=(quote(name),))


def _check_offsets(tensors: dict[str, Entry], data_size: int) -> None:
    """One tensor after the other, each where its numbers are aligned, from byte 0 to the end of the file."""
    position = 0
    for name, entry in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        begin, end = entry.data_offsets
        where, itemsize = (quote(name),), ITEMSIZE[entry.dtype]
        if not 0 <= begin <= end < 2**63:
            raise refuse("offsets", "offsets must be two ordered numbers of at least 0", "others", where=where)
        if end - begin != math.prod(entry.shape) * itemsize:
            raise refuse("offsets", "offsets must span the tensor's shape", f"{end - begin} bytes", where=where)
        if begin != position:
            kind = "an overlap" if begin < position else "a gap"
            raise refuse("offsets", "tensors must follow each other", f"{kind} at byte {begin}", where=where)
        if begin % itemsize:
            raise refuse("offsets", "tensors must begin at a multiple of their item size", f"byte {begin}", where=where)
        position = end
    if position > data_size:
        raise refuse("truncated", f"the data section must have {position} bytes", str(data_size))
    if position < data_size:
        raise refuse("trailing", f"the data section must have {position} bytes", f"{data_size}")
