"""The layout of a model file on disk: limits, number types and entries of the safetensors header."""

from __future__ import annotations

import hashlib
from types import MappingProxyType

import msgspec

MAX_HEADER = 1 << 20
"""Largest header in bytes; safetensors itself allows 100 MB."""

MAX_MANIFEST = 256 << 10
"""Largest manifest in bytes; large tables such as vocabularies are tensors."""

MAX_DEPTH = 8
"""Deepest nesting of JSON; the schema needs 7."""

MAX_KEYS = 16_384
"""Most keys in one JSON object, and so the most tensors in a file."""

MAX_RANK = 4
MAX_DIM = 2**31 - 1

TASK_DTYPES = MappingProxyType({"F64": "<f8", "I64": "<i8", "F32": "<f4", "U8": "|u1"})
"""The number types of a task's tensors, as NumPy writes them."""

DTYPES = MappingProxyType({**TASK_DTYPES, "BF16": "<u2", "I8": "|i1"})
"""All number types of a file. Weights are F32; matrices may be BF16, whose bits NumPy keeps as whole numbers, or I8."""

ITEMSIZE = MappingProxyType({"F64": 8, "I64": 8, "F32": 4, "U8": 1, "BF16": 2, "I8": 1})

METADATA = "__metadata__"
MANIFEST = "ostinato"
HEADER_DIGEST = "header_sha256"

NO_DIGEST = "0" * 64
"""Stands for the header's digest while that digest is computed."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor of the header: its type, its shape, and its first and last-plus-one byte in the data section."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def header_digest(header: bytes, digest: str) -> str:
    """SHA-256 of `header`, in which the digits of `digest` are read as zeros, in hex."""
    return hashlib.sha256(header.replace(digest.encode(), NO_DIGEST.encode(), 1)).hexdigest()
