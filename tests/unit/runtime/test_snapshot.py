"""Snapshots of streams: round trips, and every way to damage them."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import make_dataclass
from typing import Any

import numpy as np
import pytest

from ostinato.cells.lstm import LSTM
from ostinato.errors import SnapshotError
from ostinato.maps.dense import Dense
from ostinato.runtime.snapshot import MAGIC, fingerprint, pack, unpack
from ostinato.scans.recurrent import Recurrent

FACTS = {"steps": 7, "policy": "hold", "at": 0.5, "open": True, "last": None}
ARRAYS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((0, 4)), np.array(-3, np.int64), np.array([np.nan])]
BLOB = pack("abc", "network", FACTS, ARRAYS)


def sealed(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


def with_header(header: bytes, data: bytes = b"") -> bytes:
    return sealed(MAGIC + struct.pack("<I", len(header)) + header + data)


def code(blob: bytes, model: str = "abc", kind: str = "network") -> str:
    with pytest.raises(SnapshotError) as caught:
        unpack(blob, model, kind)
    return caught.value.code


def test_round_trip() -> None:
    facts, arrays = unpack(BLOB, "abc", "network")
    assert facts == FACTS
    for found, given in zip(arrays, ARRAYS, strict=True):
        assert found.dtype == given.dtype
        assert found.shape == given.shape
        assert found.tobytes() == given.tobytes()
        assert found.flags.writeable


def test_every_cut_and_every_flip_is_refused() -> None:
    for n in range(len(BLOB)):
        assert code(BLOB[:n]) in ("damaged", "foreign")
    for bit in range(8 * len(BLOB)):
        changed = bytearray(BLOB)
        changed[bit // 8] ^= 1 << bit % 8
        assert code(bytes(changed)) in ("damaged", "foreign")
    assert code(BLOB + b"\0") == "damaged"


def test_another_model_or_sort_is_refused() -> None:
    assert code(BLOB, model="abd") == "model"
    assert code(BLOB, kind="forecast") == "foreign"
    assert code(b"") == "foreign"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": 2}, "newer"),
        ({"format": "1"}, "damaged"),
        ({"more": 1}, "damaged"),
        ({"arrays": [{"dtype": "object", "shape": [1]}]}, "damaged"),
        ({"arrays": [{"dtype": "float32", "shape": [2**31 - 1] * 4}]}, "damaged"),
        ({"arrays": [{"dtype": "float32", "shape": [-1]}]}, "damaged"),
        ({"arrays": [{"dtype": "float32", "shape": [1] * 5}]}, "damaged"),
        ({"facts": {"x": [1]}}, "damaged"),
    ],
)
def test_hostile_headers_with_right_checksums_are_refused(change: dict[str, object], expected: str) -> None:
    header = {"format": 1, "model": "abc", "kind": "network", "facts": {}, "arrays": []} | change
    assert code(with_header(json.dumps(header).encode(), b"\0" * 16)) == expected


def test_a_header_that_is_no_json_is_refused() -> None:
    for text in (b"", b"{", b"[]", b"\xff", b"9" * 50):
        assert code(with_header(text)) == "damaged"
    assert code(sealed(MAGIC + struct.pack("<I", 2**32 - 1))) == "damaged"


def test_the_fingerprint_tells_models_apart() -> None:
    parts = (Recurrent(LSTM(2)), Dense(1))
    weights = [{"W": np.ones((1, 8), np.float32)}, {"W": np.ones((2, 1), np.float32)}]
    other = [weights[0], {"W": np.array([[1], [1.0000001]], np.float32)}]
    found = {
        fingerprint(parts, weights),
        fingerprint(parts, weights, "bf16"),
        fingerprint(parts, other),
        fingerprint((Recurrent(LSTM(2), reverse=True), Dense(1)), weights),
    }
    assert len(found) == 4
    assert fingerprint(parts, [dict(w) for w in weights]) == fingerprint(parts, weights)


def test_a_model_stays_the_same_when_its_layers_get_more_options() -> None:
    options: list[Any] = [("units", int), ("inner", tuple[Any, ...], ())]
    before = make_dataclass("Dense", options, frozen=True)
    after = make_dataclass("Dense", [*options, ("groups", int, 1)], frozen=True)
    assert fingerprint((), (), after(2, (after(3),))) == fingerprint((), (), before(2, (before(3),)))
    models = [after(2), after(2, (after(3),)), after(2, (after(4),)), after(2, (), 2), after(2, (after(3, (), 2),))]
    assert len({fingerprint((), (), one) for one in models}) == len(models)


def test_the_model_is_the_same_on_a_python_that_knows_other_characters() -> None:
    class Symbols(str):
        def __repr__(self) -> str:  # as older versions of Unicode show a character that came later
            return super().__repr__().replace("\u96e8", "\\u96e8")

    assert fingerprint((), (), Symbols("a\u96e8")) == fingerprint((), (), "a\u96e8")
