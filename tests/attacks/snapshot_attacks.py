"""Hostile and damaged snapshots of streams, for a model with the fingerprint "abc" and the kind "network"."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from typing import Any

from tests.attacks.build import Attack

MAGIC = b"OSTINATO-STREAM\n"
MODEL, KIND = "abc", "network"
ONE = {"dtype": "float32", "shape": [2]}
HEADER: dict[str, Any] = {"format": 1, "model": MODEL, "kind": KIND, "facts": {"steps": 3}, "arrays": [ONE]}
DATA = struct.pack("<2f", 0.5, -0.5)


def sealed(body: bytes) -> bytes:
    """A body with its digest."""
    return body + hashlib.sha256(body).digest()


def snapshot(header: dict[str, Any] | bytes | None = None, data: bytes = DATA, **changes: Any) -> bytes:
    """A snapshot that is valid but for what the arguments change."""
    text = header if isinstance(header, bytes) else json.dumps((header or HEADER) | changes).encode()
    return sealed(MAGIC + struct.pack("<I", len(text)) + text + data)


def _header(code: str = "damaged", **changes: Any) -> Callable[[], Attack]:
    return lambda: (code, snapshot(**changes))


def _text(text: bytes, code: str = "damaged") -> Callable[[], Attack]:
    return lambda: (code, snapshot(text))


def _array(**changes: Any) -> Callable[[], Attack]:
    return _header(arrays=[ONE | changes])


ATTACKS: dict[str, Callable[[], Attack]] = {
    "empty": lambda: ("foreign", b""),
    "pickle": lambda: ("foreign", b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R."),
    "numpy_archive": lambda: ("foreign", b"PK\x03\x04" + bytes(60)),
    "magic_alone": lambda: ("damaged", MAGIC),
    "magic_of_windows": lambda: ("foreign", snapshot().replace(b"\n", b"\r\n", 1)),
    "cut": lambda: ("damaged", snapshot()[:-1]),
    "cut_in_the_header": lambda: ("damaged", snapshot()[:30]),
    "appended": lambda: ("damaged", snapshot() + b"\0"),
    "twice": lambda: ("damaged", snapshot() * 2),
    "another_digest": lambda: ("damaged", snapshot()[:-32] + bytes(32)),
    "length_2_32": lambda: ("damaged", sealed(MAGIC + b"\xff" * 4 + b"{}")),
    "length_beyond": lambda: ("damaged", sealed(MAGIC + struct.pack("<I", 10_000) + b"{}")),
    "length_over_the_limit": _text(b" " * 70_000 + json.dumps(HEADER).encode()),
    "header_is_empty": _text(b""),
    "header_is_a_list": _text(b"[]"),
    "header_is_not_utf8": _text(b'{"\xff":1}'),
    "header_is_deep": _text(b'{"format":1,"facts":' + b"[" * 60_000),
    "header_is_deep_and_unknown": _text(b'{"x":' * 13_000),
    "header_with_a_huge_number": _text(b'{"format":' + b"9" * 60_000 + b"}"),
    "header_unknown_field": _header(code="damaged", module="os"),
    "header_twice_a_key": _text(json.dumps(HEADER).encode()[:-1] + b',"kind":"other"}'),
    "format_2": _header("newer", format=2, extra=[1]),
    "format_0": _header("newer", format=0),
    "format_text": _header(format="1"),
    "format_huge": _header("newer", format=2**63 - 1),
    "model_of_another": _header("model", model="abd"),
    "model_is_long": _header("model", model="a" * 60_000),
    "model_is_a_number": _header(model=1),
    "kind_of_another": _header("foreign", kind="forecast"),
    "kind_with_controls": _header("foreign", kind="\x1b[2J\nForged line"),
    "kind_is_long": _header("foreign", kind="x" * 60_000),
    "facts_nested": _header(facts={"a": {"b": 1}}),
    "facts_a_list": _header(facts={"a": [1]}),
    "facts_huge_number": _text(json.dumps(HEADER).encode().replace(b"3}", b"9" * 5000 + b"}")),
    "dtype_object": _array(dtype="object"),
    "dtype_of_another_order": _array(dtype=">f4"),
    "shape_below_zero": _array(shape=[-2]),
    "shape_2_63": _array(shape=[2**63]),
    "shape_of_five_axes": _array(shape=[1, 1, 1, 1, 2]),
    "shape_that_wraps_to_eight": _array(shape=[2**31 - 1, 2**31 - 1, 4, 2]),
    "shape_of_a_terabyte": _array(shape=[2**20, 2**18]),
    "shape_of_zero_times_2_93": _header(arrays=[ONE | {"shape": [2**31 - 1, 2**31 - 1, 2**31 - 1, 0]}], data=b""),
    "shape_is_a_float": _array(shape=[2.0]),
    "arrays_by_the_thousand": _header(arrays=[{"dtype": "float32", "shape": []}] * 1025, data=bytes(4100)),
    "arrays_absent": _text(json.dumps({k: v for k, v in HEADER.items() if k != "arrays"}).encode()),
    "arrays_without_data": _header(arrays=[ONE, ONE]),
    "data_without_arrays": _header(arrays=[]),
}  # fmt: skip
