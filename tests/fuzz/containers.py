"""Feeds small damaged headers to both readers of model files and to the package safetensors, in memory, and compares.

    python -m tests.fuzz.containers --count 10000000 --seed 1              # against safetensors
    python -m tests.fuzz.containers --count 10000000 --seed 1 --manifests  # manifests and layers, our readers alone

Where safetensors refuses we must refuse; where both accept, names, types, shapes and bytes must be the same. What only
we refuse must have a reason in `STRICTER`. Our reader must answer within a second of work, by accepting or by a
`ModelFileError`, and the reader in C++ must give the same code (if there is a compiler). Anything else is a finding,
and the command ends with 1.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import shutil
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import NamedTuple

import safetensors
from tests.attacks.build import forecast, generate, model
from tests.attacks.make_attacks import ATTACKS
from tests.fuzz.work import TooLong, Work
from tests.unit.convert.c_library import reader

from ostinato.errors import ModelFileError
from ostinato.runtime.blueprint import blueprint
from ostinato.runtime.header import Header, parse_header
from ostinato.runtime.reader import _start

STRICTER = MappingProxyType(
    {
        "unsupported_format": "a file without our manifest, or with one under another name",
        "header_digest": "a header that its SHA-256 does not fit",
        "json": "text beside the keys that safetensors reads, such as escapes in keys",
        "duplicate_key": "a key twice; safetensors takes the last one",
        "header": "metadata beside the manifest and the digest, fields of an entry in another form",
        "dtype": "types that no model of ours has: F16, I16, BOOL, …",
        "shape": "more than 4 axes, sizes of 2**31 or more, empty tensors whose other sizes are vast",
        "offsets": "tensors that do not begin at a multiple of their item size",
    }
)  # fmt: skip
"""Codes with which we refuse what safetensors accepts, and why."""

BLOCK = 256
MOST_FINDINGS = 20

_ZEROS = b"0" * 64
_MANIFEST = ('{\\"format\\":1,\\"ostinato\\":\\"0\\",\\"task\\":\\"sequential\\",\\"input_shape\\":[2],\\"layers\\":[],'
             '\\"data_sha256\\":\\"' + "a" * 64 + '\\"}').encode()  # fmt: skip
_BEFORE = b'{"__metadata__":{"header_sha256":"'
_AFTER = b'","ostinato":"' + _MANIFEST + b'"}'
_BEGUN = hashlib.sha256(_BEFORE + _ZEROS + _AFTER)
_DATA = bytes(range(256)) * 2

_NAMES = (
    "a",
    "b",
    "layers/0/W",
    "task/x",
    "",
    "__metadata__",
    "é",
    "a\\\\u0062",
    "\\u0061",
    "x" * 70,
    "a",
    "b",
    "c",
    "d",
)
_TYPES = (("F32", 4),) * 6 + (
    ("F64", 8), ("I64", 8), ("U8", 1), ("I8", 1), ("BF16", 2), ("F16", 2), ("BOOL", 1), ("I16", 2), ("U64", 8),
    ("F8_E4M3", 1), ("f32", 4), ("", 4), ("F32 ", 4), ("I32", 4),
)  # fmt: skip
_SHAPES = (
    ("2", 2), ("3", 3), ("2,3", 6), ("", 1), ("1,1,1,1", 1), ("1,1,1,1,1", 1), ("0", 0), ("2,0", 0), ("1,2,2", 4),
    ("-1", 1), ("2.0", 2), ("1e0", 1), ("2147483648,0", 0), ("4294967296,4294967296,0", 0), ("18446744073709551616", 0),
    ("null", 1), ('"2"', 2), ("2,", 2), ("9223372036854775807,2", 2), ("02", 2), ("true", 1), (" 2 ", 2),
)  # fmt: skip
_TOKENS = (
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b" ", b"\n", b"\0", b"\xff", b"\xc3", b"0", b"-", b"1e9", b"1.5",
    b"null", b"true", b'"dtype"', b'"shape"', b'"data_offsets"', b'"F32"', b"[]", b"{}", b'"__metadata__":{},',
    b"\\u0000", b"NaN", b"99999999999999999999", b'"x":1,', b"\xef\xbb\xbf", b"/", b"4", b"8", b"12",
)  # fmt: skip
_PADS = (b"", b"", b"", b"", b" ", b"\n", b"\t", b"\0", b"}", b" " * 8, b"x")


@dataclass
class Found:
    """What came out.

    Args:
        inputs: How many there were.
        answers: How often each answer was given: "accepted", or a code.
        headers: How many headers were accepted.
        stricter: How often we alone refused, by code.
        faults: What went wrong, and the input.
    """

    inputs: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    headers: int = 0
    stricter: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, bytes]] = field(default_factory=list)


def _file(entries: bytes, data: bytes) -> bytes:
    """A file whose header has these entries and fits its digest."""
    entries += b" " * (-(len(_BEFORE) + 64 + len(_AFTER) + len(entries)) % 8)
    digest = _BEGUN.copy()
    digest.update(entries)
    header = b"%b%b%b%b" % (_BEFORE, digest.hexdigest().encode(), _AFTER, entries)
    return struct.pack("<Q", len(header)) + header + data


def _entries(rng: Random) -> tuple[bytes, int]:
    """Entries that are right but for what chance changes, and how many bytes they span."""
    draw = rng.random
    parts, position = [], 0
    for number in range(int(draw() * 4)):
        name = _NAMES[int(draw() * 14)] if draw() < 0.15 else "abcd"[number]
        kind, size = _TYPES[int(draw() * len(_TYPES))] if draw() < 0.5 else ("F32", 4)
        shape, count = _SHAPES[int(draw() * len(_SHAPES))] if draw() < 0.4 else _SHAPES[int(draw() * 4)]
        begin, end = position, position + count * size
        if draw() < 0.08:
            begin += (-4, -1, 1, 4, 2**63, -(2**64))[int(draw() * 6)]
        if draw() < 0.08:
            end += (-4, -1, 1, 4, 2**63, 2**64)[int(draw() * 6)]
        fields = [f'"dtype":"{kind}"', f'"shape":[{shape}]', f'"data_offsets":[{begin},{end}]']
        if draw() < 0.12:
            act = int(draw() * 5)
            if act == 0:
                fields.reverse()
            elif act == 1:
                fields.pop(int(draw() * 3))
            elif act == 2:
                fields.append('"more":1')
            elif act == 3:
                fields.append(fields[int(draw() * 3)])
            else:
                fields[2] = f'"data_offsets":[{begin}]'
        parts.append(f',"{name}":{{{",".join(fields)}}}')
        position = end
    return "".join(parts).encode("utf-8", "surrogatepass") + b"}", max(0, min(position, 400))


def container(rng: Random) -> bytes:
    """A file with a mutated header: of other entries, of other bytes, or of another length."""
    entries, size = _entries(rng)
    data = _DATA[:size]
    draw = rng.random()
    if draw < 0.5:
        return _file(entries, data)
    if draw < 0.8:
        for _ in range(1 + int(rng.random() * 2)):
            entries = _changed(rng, entries)
        return _file(entries, data)
    if draw < 0.9:
        whole = _file(entries + _PADS[int(rng.random() * len(_PADS))], data)
        act = int(rng.random() * 4)
        if act == 0:
            return whole[: int(rng.random() * len(whole))]
        if act == 1:
            return whole + b"\0" * (1 + int(rng.random() * 8))
        if act == 2:
            length = struct.unpack("<Q", whole[:8])[0] + (-8, -1, 1, 8, 2**32, 2**63)[int(rng.random() * 6)]
            return struct.pack("<Q", length % 2**64) + whole[8:]
        return whole[:-1]
    return _changed(rng, _file(entries, data))


def _changed(rng: Random, text: bytes) -> bytes:
    text = text or b"{"
    at = int(rng.random() * len(text))
    act = rng.random()
    if act < 0.3:
        return b"%b%c%b" % (text[:at], text[at] ^ 1 << int(rng.random() * 8), text[at + 1 :])
    if act < 0.6:
        token = _TOKENS[int(rng.random() * len(_TOKENS))]
        return text[:at] + token + text[at + int(rng.random() * 3) :]
    if act < 0.8:
        return text[:at] + text[at + 1 + int(rng.random() * 6) :]
    other = int(rng.random() * len(text))
    return text[:at] + text[other : other + 1 + int(rng.random() * 40)] + text[at:]


_WORD = re.compile(rb'"[^"\\]*"|-?[0-9.]+|[a-z]+|.', re.DOTALL)
_VALUES = (
    b"0", b"1", b"-1", b"2", b"3", b"8", b"1024", b"2147483647", b"2147483648", b"9223372036854775807", b"1e308",
    b"0.5", b"null", b"true", b"false", b'""', b'"a"', b"[]", b"{}", b"[null]", b'"lstm"', b'"gru"', b'"dense"',
    b'"recurrent"', b'"x"', b'"bidirectional"', b'"time_distributed"', b'"kind"', b'"config"', b'"options"',
    b'"members"', b'"../x"', b'"os"', b"[[[[]]]]",
)  # fmt: skip


class Manifests:
    """Model files with a mutated manifest under right checksums, and at times with other entries."""

    def __init__(self) -> None:
        hostile = [data for data in (make()[1] for make in ATTACKS.values()) if len(data) < 1500]
        self._seeds = [seed for seed in map(_cut, [model()] * 40 + [forecast(), generate()] * 8 + hostile) if seed]

    def __call__(self, rng: Random) -> bytes:
        draw = rng.random
        words, entries, data = self._seeds[int(draw() * len(self._seeds))]
        words = list(words)
        for _ in range(1 + int(draw() * 2.3)):
            at, act = int(draw() * len(words)), draw()
            if act < 0.55:
                words[at] = _VALUES[int(draw() * len(_VALUES))]
            elif act < 0.75:
                words[at] = words[int(draw() * len(words))]
            elif act < 0.85:
                words.insert(at, words[int(draw() * len(words))])
            elif len(words) > 1:
                del words[at]
        text = b"".join(words).replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        if draw() < 0.1:
            entries = _changed(rng, entries)
        header = b'%b%b","ostinato":"%b"}%b' % (_BEFORE, _ZEROS, text, entries)
        header += b" " * (-len(header) % 8)
        header = header.replace(_ZEROS, hashlib.sha256(header).hexdigest().encode(), 1)
        return struct.pack("<Q", len(header)) + header + data


def _cut(raw: bytes) -> tuple[list[bytes], bytes, bytes] | None:
    """The words of a file's manifest, its other entries, and its data."""
    size = int.from_bytes(raw[:8], "little")
    header, data = raw[8 : 8 + size], raw[8 + size :]
    found = re.match(rb'\{"__metadata__":\{"header_sha256":"[0-9a-f]{64}","ostinato":"((?:[^"\\]|\\.)*)"\}', header)
    if found is None:
        return None
    words = _WORD.findall(found[1].replace(b'\\"', b'"').replace(b"\\\\", b"\\"))
    return (words, header[found.end() :].rstrip(b" "), data) if words else None


class Answer(NamedTuple):
    """What `ostinato.runtime.load` says of a file before it looks at numbers.

    Args:
        header: Its header, if that is accepted.
        code: "accepted", or the code with which it is refused.
        why: The sentence for it.
    """

    header: Header | None
    code: str = "accepted"
    why: str = ""


def ours(raw: bytes) -> Answer:
    """Read a file up to its layers and the list of its tensors."""
    header = None
    try:
        start = _start(io.BytesIO(raw), len(raw))
        header = parse_header(start[8:], len(raw) - len(start))
        blueprint(header)
    except ModelFileError as error:
        return Answer(header, error.code, str(error))
    return Answer(header)


Second = Callable[[bytes], str]
"""The reader in C++ likewise: "accepted", or a code."""


def second() -> Second | None:
    """The reader in C++; None if there is no compiler."""
    if not (shutil.which("cc") and shutil.which("c++")):
        return None
    answer = reader()
    return lambda raw: answer(raw, numbers=False)


def differing(raw: bytes, answer: Answer, found: Found) -> str:
    """Read a file's header with safetensors, and say where that differs; empty if nowhere that is not allowed."""
    try:
        theirs = safetensors.deserialize(raw)
    except (safetensors.SafetensorError, UnicodeDecodeError):
        return "" if answer.header is None else "only we accept"
    if answer.header is None:
        found.stricter[answer.code] += 1
        return "" if answer.code in STRICTER else f"only we refuse, with {answer.code}: {answer.why}"
    tensors = dict(theirs)
    if tensors.keys() != answer.header.tensors.keys():
        return "other names"
    begin = 8 + int.from_bytes(raw[:8], "little")
    for name, entry in answer.header.tensors.items():
        other, (first, last) = tensors[name], entry.data_offsets
        same = other["dtype"] == entry.dtype and tuple(other["shape"]) == entry.shape
        if not same or bytes(other["data"]) != raw[begin + first : begin + last]:
            return f"another tensor {name!r}"
    return ""


def fault(raw: bytes, other: Second | None, found: Found, *, manifests: bool) -> str:
    """Read a file with all readers, and say what is wrong with their answers; empty if nothing is."""
    answer = ours(raw)
    found.answers[answer.code] += 1
    found.headers += answer.header is not None
    wrong = "" if manifests else differing(raw, answer, found)
    code = answer.code if other is None else other(raw)
    return wrong or ("" if code == answer.code else f"{answer.code}, but the reader in C++ says {code}")


def compare(*, count: int, seed: int, manifests: bool = False) -> Found:
    """Read so many mutants; the same seed gives the same ones."""
    rng, found = Random(seed), Found()
    make: Callable[[Random], bytes] = Manifests() if manifests else container
    other = second()
    with Work() as work:
        while found.inputs < count and len(found.faults) < MOST_FINDINGS:
            work.grant()  # the rest of a block takes next to nothing of it
            for _ in range(min(BLOCK, count - found.inputs)):
                raw = make(rng)
                found.inputs += 1
                try:
                    wrong = fault(raw, other, found, manifests=manifests)
                except (Exception, TooLong, RecursionError):
                    wrong = traceback.format_exc(limit=-4)
                if wrong:
                    found.faults.append((wrong, raw))
    return found


def main(arguments: Sequence[str]) -> int:
    """Compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--manifests", action="store_true", help="mutate manifests, up to the layers")
    given = parser.parse_args(arguments)
    begin, work = time.monotonic(), time.process_time()
    found = compare(count=given.count, seed=given.seed, manifests=given.manifests)
    seconds, work = time.monotonic() - begin, time.process_time() - work
    print(f"{found.inputs} inputs, {found.inputs / seconds:.0f} a second, {found.inputs / work:.0f} a second of work, "
          f"{found.headers} headers accepted, {len(found.faults)} findings")  # fmt: skip
    print("answers:", ", ".join(f"{code} {n}" for code, n in found.answers.most_common()))
    if not given.manifests:
        print("only we refuse:", ", ".join(f"{code} {n}" for code, n in found.stricter.most_common()))
    for fault, raw in found.faults:
        print(f"--- {raw!r}\n{fault}")
    return int(bool(found.faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
