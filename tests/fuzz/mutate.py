"""Mutators: any bytes, and model files and snapshots whose checksums are right again afterwards.

A mutant depends on the generator and its seeds alone, so that a finding can be had again.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import struct
import zipfile
import zlib
from random import Random
from typing import Any

from tests.attacks.build import sealed
from tests.attacks.snapshot_attacks import MAGIC
from tests.attacks.snapshot_attacks import sealed as sealed_snapshot

WHOLE = (0, 1, -1, 2, 3, 7, 8, 255, 256, 1000, 2**15, 2**16, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, -(2**63))
ODD: tuple[Any, ...] = (
    None, True, False, 0.0, -0.0, 0.5, 1e308, -1e308, 1e-320, "", "a", "é", "\ud7ff", "\x00", "\x1b[2J", "x" * 300,
    "../x", "__import__('os')", [], {}, [[]], [None], [0] * 9, {"a": 1}, "lstm", "dense", "recurrent", "D", "1", "tanh",
)  # fmt: skip
BYTES = (0x00, 0x01, 0x09, 0x0A, 0x0D, 0x20, 0x22, 0x2C, 0x5C, 0x7B, 0x7F, 0x80, 0xC0, 0xE2, 0xFE, 0xFF)
MOST = 1 << 16
"""Mutants do not grow beyond this, so that many can be tried."""


def raw(rng: Random, data: bytes, other: bytes) -> bytes:
    """Some bytes changed, cut, repeated, moved, or taken from another input."""
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        begin = rng.randrange(len(data) + 1)
        end = min(len(data), begin + rng.choice((1, 1, 2, 4, 8, 64, 1024)))
        piece = data[begin:end]
        kind = rng.randrange(8)
        if kind == 0 and piece:
            new = bytes([piece[0] ^ 1 << rng.randrange(8)]) + piece[1:]
        elif kind == 1:
            new = bytes(rng.choice(BYTES) for _ in piece)
        elif kind == 2:
            new = rng.randbytes(len(piece))
        elif kind == 3:
            new = b""
        elif kind == 4:
            new = piece * rng.choice((2, 3, 17))
        elif kind == 5:
            at = rng.randrange(len(other) + 1)
            new = other[at : at + rng.choice((1, 4, 16, 256))]
        elif kind == 6:
            new = str(rng.choice(WHOLE)).encode()
        else:
            return data[: rng.randrange(len(data) + 1)]
        data = (data[:begin] + new + data[end:])[:MOST]
    return data


def value(rng: Random, old: Any) -> Any:
    """Something in the place of a JSON value: a neighbour, an extreme, or something of another type."""
    if isinstance(old, bool):
        return rng.choice((not old, int(old), str(old)))
    if isinstance(old, int) and rng.random() < 0.6:
        return rng.choice((old + 1, old - 1, old * 2, -old, float(old), rng.choice(WHOLE)))
    if isinstance(old, float) and old == old and rng.random() < 0.6:
        return rng.choice((old * 2, -old, round(min(max(old, -9.0), 9.0)), old + 1e-9, rng.choice((1e308, 1e-320))))
    if isinstance(old, str) and rng.random() < 0.6:
        at = rng.randrange(len(old) + 1)
        return rng.choice((old[:at], old + old, old.upper(), old[:at] + rng.choice("\x00/ é_.9") + old[at:]))
    if isinstance(old, list) and old and rng.random() < 0.6:
        return rng.choice((old * 2, old[:-1], old[::-1], [*old, old[0]], [value(rng, old[0]), *old[1:]]))
    return _odd(rng)


def _odd(rng: Random) -> Any:
    return copy.deepcopy(rng.choice((*ODD, *WHOLE)))


def tree(rng: Random, root: Any) -> Any:
    """A JSON value with one place changed, removed or added."""
    places: list[tuple[Any, Any]] = []
    _collect(root, places)
    if not places:
        return value(rng, root)
    owner, key = rng.choice(places)
    act = rng.random()
    if act < 0.1:
        del owner[key]
    elif act < 0.2 and isinstance(owner, dict):
        owner[rng.choice(("x", key + "x", "kind", "config", "options", "__class__"))] = _odd(rng)
    elif act < 0.3:
        owner[key] = copy.deepcopy(rng.choice(places)[0])
    else:
        owner[key] = value(rng, owner[key])
    return root


def _collect(node: Any, places: list[tuple[Any, Any]]) -> None:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in pairs:
        places.append((node, key))
        _collect(child, places)


def model_file(rng: Random, data: bytes, other: bytes) -> bytes:
    """A model file with another manifest, other entries or other numbers, under right checksums."""
    try:
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + size])
        manifest = json.loads(header["__metadata__"]["ostinato"])
    except (struct.error, ValueError, KeyError, TypeError, RecursionError):
        return raw(rng, data, other)
    body = data[8 + size :]
    if not isinstance(header, dict) or not isinstance(manifest, dict):
        return raw(rng, data, other)
    act = rng.random()
    if act < 0.55:
        for _ in range(rng.choice((1, 1, 2, 3))):
            manifest = tree(rng, manifest)
    elif act < 0.75:
        tree(rng, header.setdefault("entries", {key: e for key, e in header.items() if key != "__metadata__"}))
        header = {"__metadata__": {}, **header["entries"]}
    elif act < 0.9:
        body = numbers(rng, body)
    else:
        body = raw(rng, body, other)
    if isinstance(manifest, dict) and rng.random() < 0.98:
        manifest["data_sha256"] = hashlib.sha256(body).hexdigest()
    header["__metadata__"] = {"header_sha256": "0" * 64, "ostinato": json.dumps(manifest)}
    return sealed(json.dumps(header), body)


def numbers(rng: Random, body: bytes) -> bytes:
    """Data of the same size in which some numbers are extreme or swapped."""
    changed = bytearray(body)
    for _ in range(rng.choice((1, 1, 3, 10))):
        kind = rng.choice("dqfB")
        size = struct.calcsize(kind)
        if len(body) < size:
            break
        at = rng.randrange(len(body) // size) * size
        if kind in "df":
            new: Any = rng.choice((0.0, -0.0, -1.0, 1e30, 1e-40, float("nan"), float("inf")))
        else:
            new = (
                rng.choice([n for n in WHOLE if -(2 ** (8 * size - 1)) <= n < 2 ** (8 * size - 1)]) if size > 1 else 34
            )
        struct.pack_into("<" + kind, changed, at, new)
    return bytes(changed)


def snapshot(rng: Random, data: bytes, other: bytes) -> bytes:
    """A snapshot with another header or other numbers, under a right checksum."""
    begin = len(MAGIC) + 4
    try:
        size = struct.unpack("<I", data[len(MAGIC) : begin])[0]
        header = json.loads(data[begin : begin + size])
    except (struct.error, ValueError, RecursionError):
        return raw(rng, data, other)
    body = data[begin + size : -32]
    if rng.random() < 0.8:
        header = tree(rng, header)
    else:
        body = raw(rng, body, other)
    text = json.dumps(header).encode()
    return sealed_snapshot(MAGIC + struct.pack("<I", len(text)) + text + body)


def plain_tensors(rng: Random, data: bytes, other: bytes) -> bytes:
    """A safetensors file without checksums, with other entries or other numbers."""
    try:
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + size])
    except (struct.error, ValueError, RecursionError):
        return raw(rng, data, other)
    body = data[8 + size :]
    if rng.random() < 0.8:
        header = tree(rng, header)
    else:
        body = numbers(rng, body)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def archive(rng: Random, data: bytes, other: bytes) -> bytes:
    """A zip archive in which a JSON file has another value, or another file has other bytes."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as given:
            members = {name: given.read(name) for name in given.namelist()}
        name = rng.choice([name for name in members if name.endswith(".json")] * 3 + list(members))
        members[name] = _json(rng, members[name]) if name.endswith(".json") else raw(rng, members[name], other)
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        OSError,
        EOFError,
        RuntimeError,
        ValueError,
        IndexError,
    ):
        return raw(rng, data, other)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in members.items():
            made.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def _json(rng: Random, text: bytes) -> bytes:
    root = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 3))):
        root = tree(rng, root)
    return json.dumps(root).encode()


CELLS = (
    "", " ", "NaN", "NA", "null", "inf", "-Infinity", "1e400", "-1e39", "1e-400", "0x10", "1_000", "1,5", "+5",
    "9" * 400, "--5",
    "\uff11\uff12", "\u0663", "\u2212" + "5", "1e", "True", "2024-13-01", "2024-02-30", "9999-12-31", "0000-01-01",
    "10000-01-01", "-5000-01-01", "2024-01-01T25:00", "2024-01-01T00:00:00+99:00", "2024-01-01T00:00:00.123456789Z",
    "2024-W01",
    "2020Q5", "1/2/3", "31/12/1999", "1e9", "1700000000", "12:00", "=1+1", "\u202e1", "a\u0301", "\x0b1", "\x1c", "'",
)  # fmt: skip


def table(rng: Random, data: bytes, other: bytes) -> bytes:
    """A CSV file with another cell, row, column or delimiter."""
    text = data.decode(errors="replace")
    mark = next((mark for mark in ("\t", ";", ",") if mark in text), ",")
    rows = [line.split(mark) for line in text.split("\n")]
    for _ in range(rng.choice((1, 1, 2, 4))):
        row = rng.choice(rows)
        column = rng.randrange(len(row))
        act = rng.randrange(8)
        if act < 4:
            row[column] = rng.choice((*CELLS, str(rng.choice(WHOLE)), row[column] * 2, '"' + row[column] + '"'))
        elif act == 4:
            rows.insert(rng.randrange(len(rows)), list(rng.choice(rows)))
        elif act == 5:
            rows.reverse()
        elif act == 6:
            row.insert(column, rng.choice(CELLS))
        else:
            for one in rows:
                one.insert(min(column, len(one)), rng.choice(one) if one else "x")
    mark = rng.choice((mark, mark, mark, ",", ";", "|"))
    return "\n".join(mark.join(row) for row in rows).encode(errors="replace")[:MOST]
