"""A damaged file is always refused, and loading does nothing but read."""

from __future__ import annotations

import os
import random
import socket
import stat
import struct
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.attacks.build import manifest, model
from tests.attacks.make_attacks import ATTACKS
from tests.unit.runtime.bundle_samples import small

from ostinato.cells import CELLS
from ostinato.errors import ModelFileError
from ostinato.maps import MAPS
from ostinato.runtime.bundle import load, save
from ostinato.runtime.strict_json import check_json
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent


@pytest.fixture
def real(tmp_path: Path) -> bytes:
    save(tmp_path / "real", small())
    raw = (tmp_path / "real").read_bytes()
    assert 4_000 < len(raw) < 7_000
    return raw


def code_of(raw: bytes, path: Path) -> str:
    """How the file is refused; an exception of another kind, or none, fails the test."""
    path.write_bytes(raw)
    return code_of_file(path)


def code_of_file(path: Path) -> str:
    try:  # many times as fast as pytest.raises
        load(path)
    except ModelFileError as error:
        return error.code
    pytest.fail("a damaged file was loaded")


def test_every_truncation(real: bytes, tmp_path: Path) -> None:
    path, codes = tmp_path / "real", set()
    for length in reversed(range(len(real))):
        os.truncate(path, length)
        codes.add(code_of_file(path))
    assert codes == {"truncated", "unsupported_format"}  # the second one for the empty file only


def test_every_bit_of_the_header(real: bytes, tmp_path: Path) -> None:
    header = 8 + struct.unpack("<Q", real[:8])[0]
    path = tmp_path / "real"
    file = os.open(path, os.O_WRONLY)
    for position in range(header):
        for bit in range(8):
            os.pwrite(file, bytes([real[position] ^ 1 << bit]), position)
            code_of_file(path)
        os.pwrite(file, real[position : position + 1], position)
    os.close(file)
    assert path.read_bytes() == real


def test_bits_of_the_data(real: bytes, tmp_path: Path) -> None:
    header = 8 + struct.unpack("<Q", real[:8])[0]
    rng = random.Random(0)
    for _ in range(600):
        damaged = bytearray(real)
        damaged[rng.randrange(header, len(real))] ^= 1 << rng.randrange(8)
        assert code_of(bytes(damaged), tmp_path / "m") == "digest"


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_pieces_cut_repeated_and_replaced(data: st.DataObject, real: bytes, tmp_path: Path) -> None:
    begin = data.draw(st.integers(0, len(real)))
    end = data.draw(st.integers(begin, min(len(real), begin + 200)))
    piece = data.draw(st.one_of(st.binary(max_size=50), st.just(real[begin:end] * 2), st.just(real[end:begin:-1])))
    damaged = real[:begin] + piece + real[end:]
    if damaged != real:
        code_of(damaged, tmp_path / "m")


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_sealed_nonsense_is_refused_or_loaded(data: st.DataObject, tmp_path: Path) -> None:
    """Files with right digests but changed manifests: `ModelFileError` or a model, and nothing else."""
    plain = st.one_of(
        st.none(), st.booleans(), st.integers(-3, 3), st.integers(), st.floats(), st.text(max_size=5),
        st.lists(st.integers(-1, 2**33), max_size=3), st.sampled_from(["dense", "lstm", "tanh", "zeros", "learned"]),
    )  # fmt: skip
    parts = [*MAPS.values(), *CELLS.values(), Recurrent, Bidirectional]
    keys = st.sampled_from(sorted({field.name for cls in parts for field in fields(cls)}))
    kinds = [*MAPS, "recurrent", "bidirectional", "lstm", "x"]
    known = [spec for make in LAYERS for spec in make]
    options = st.dictionaries(keys, plain, max_size=3)
    cell = st.fixed_dictionaries({"run": options, "kind": st.sampled_from(list(CELLS)), "config": options})
    layer = st.one_of(
        st.sampled_from(known),
        st.fixed_dictionaries(
            {"name": st.text(max_size=3), "kind": st.sampled_from(kinds), "config": options},
            optional={"cells": st.lists(cell, max_size=3), "inner": st.sampled_from(kinds)},
        ),
        st.tuples(st.sampled_from(known), keys, plain).map(
            lambda t: {**t[0], "config": {**t[0].get("config", {}), t[1]: t[2]}}
        ),
    )
    changes = data.draw(
        st.fixed_dictionaries(
            {"layers": st.lists(layer, max_size=5)},
            optional={"input_shape": st.lists(st.one_of(st.none(), st.integers(-1, 9)), max_size=5), "x": plain},
        )
    )
    path = tmp_path / "m"
    path.write_bytes(model(manifest(**changes)))
    code = ""
    try:
        load(path)
    except ModelFileError as error:
        code = error.code
    assert code not in ("model_file", "read")


LAYERS = [
    [{"name": "a", "kind": "flatten"}, {"name": "a", "kind": "masking", "config": {"mask_value": 0.0}}],
    [{"name": "b", "kind": "reshape", "config": {"target_shape": [2, 1]}}],
    [{"name": "b", "kind": "reshape", "config": {"target_shape": []}}],
    [{"name": "c", "kind": "embedding", "config": {"input_dim": 3, "output_dim": 2, "mask_zero": False}}],
    [{"name": "d", "kind": "max_pooling1d", "config": {"pool_size": 9}}],
    [{"name": "e", "kind": "global_average_pooling1d"}],
    [{"name": "f", "kind": "attention", "config": {"query": "self", "use_scale": True}}],
    [{"name": "g", "kind": "time_distributed", "inner": "flatten"}],
    [{"name": "h", "kind": "time_distributed", "inner": "dense", "config": {"units": 3, "activation": "linear"}}],
    [{"name": "i", "kind": "dense", "config": {"units": 3, "activation": "tanh", "use_bias": True}}],
    [{"name": "j", "kind": "conv1d", "config": {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "valid",
                                                 "dilation_rate": 1, "activation": "linear", "use_bias": True}}],
]  # fmt: skip


@settings(max_examples=300)
@given(st.text(alphabet='{}[]":,\\a1 \n', max_size=60))
def test_the_strict_json_check_never_fails_otherwise(text: str) -> None:
    code = ""
    try:
        check_json(text.encode(), "header")
    except ModelFileError as error:
        code = error.code
    assert code in {"", "json", "depth", "duplicate_key"}


def test_the_strict_json_check_knows_strings() -> None:
    check_json(rb'{"a":"{[\"}]","b":["c","c",{"a":1}],"d":{"a":"\\"}}', "header")
    cases = {b'{"a":1,"a" :2}': "duplicate_key", b'{"a":{"b":1,"b":1}}': "duplicate_key", b'{"a"}}': "json"}
    for text, code in cases.items():
        with pytest.raises(ModelFileError) as info:
            check_json(text, "header")
        assert info.value.code == code


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link_to_pipe").symlink_to(tmp_path / "pipe")
    (tmp_path / "link_to_itself").symlink_to(tmp_path / "link_to_itself")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for name, code, got in (
            ("pipe", "not_a_file", "a pipe"),
            ("link_to_pipe", "not_a_file", "a pipe"),
            (".", "not_a_file", "a folder"),
            ("socket", "not_a_file", "a socket"),
            ("/dev/zero", "not_a_file", "a device"),
            ("/dev/stdin", "not_a_file", None),
            ("missing", "read", "No such file or directory"),
            ("link_to_itself", "read", None),
            ("missing/x", "read", None),
        ):
            if name == "/dev/stdin" and stat.S_ISREG(os.stat("/dev/stdin").st_mode):
                continue
            with pytest.raises(ModelFileError) as info:
                load(tmp_path / name)
            assert info.value.code == code, name
            assert got in (None, info.value.got)


def test_a_file_that_shrinks_while_it_is_read(real: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").write_bytes(real)
    monkeypatch.setattr("ostinato.runtime.reader.blueprint", _shrink(tmp_path / "m"))
    with pytest.raises(ModelFileError) as info:
        load(tmp_path / "m")
    assert info.value.code == "truncated"


def _shrink(path: Path) -> object:
    def shrink(*_: object, **__: object) -> tuple[()]:
        os.truncate(path, 3000)
        return ()

    return shrink


def test_an_error_while_reading(real: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").write_bytes(real)
    monkeypatch.setattr("ostinato.runtime.reader._fill", _fail)
    with pytest.raises(ModelFileError) as info:
        load(tmp_path / "m")
    assert info.value.code == "read"


def _fail(*_: object) -> None:
    raise OSError(5, "Input/output error")


AUDIT = """
import sys
import ostinato.runtime
from ostinato.errors import ModelFileError
from ostinato.runtime import load
assert "torch" not in sys.modules
modules, seen = set(sys.modules), []

def hook(event, args):
    if event == "open" and isinstance(args[0], int):
        return  # a Python file made of a descriptor that was opened before
    if event == "open":
        # the two lowest bits of the flags are O_WRONLY and O_RDWR
        seen.append(("open", str(args[0]), bool(args[2] & 3)))
    elif event.partition(".")[0] in {"import", "exec", "compile", "subprocess", "socket", "os", "ctypes", "marshal",
                                      "pickle", "code", "shutil", "tempfile", "urllib", "mmap"}:
        seen.append((event, str(args)[:80]))

sys.addaudithook(hook)
if sys.argv[1] == "refused":
    for path in sys.argv[2:]:
        try:
            load(path)
        except ModelFileError:
            pass
        else:
            seen.append(("loaded", path))
else:
    for path in sys.argv[2:]:
        load(path)
events = {event for event in seen if not (event[0] == "open" and event[1] in sys.argv and not event[2])}
assert not events, events
assert seen, "the hook saw nothing"
assert set(sys.modules) == modules, set(sys.modules) - modules
"""


def run_python(code: str, *arguments: str) -> None:
    """Run Python code in a process of its own; it must end well."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_loading_only_reads_the_one_file(real: bytes, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(real)
    run_python(AUDIT, "loaded", str(tmp_path / "m"))


def test_refusing_only_reads_the_one_file(tmp_path: Path) -> None:
    names = []
    for name, make in ATTACKS.items():
        (tmp_path / name).write_bytes(make()[1])
        names.append(str(tmp_path / name))
    run_python(AUDIT, "refused", *names)


LIMITED = """
import resource, sys
from ostinato.errors import ModelFileError
from ostinato.runtime import load
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
try:
    load(sys.argv[1])
except ModelFileError as error:
    assert error.code == "memory", error
else:
    raise SystemExit("loaded")
"""


def test_a_file_beyond_memory(tmp_path: Path) -> None:
    """A sparse file of 4 TB that keeps all rules but its digest."""
    count = 2**40
    tensors = [("layers/0/W", "F32", [2, 3], 0, 24), ("layers/0/b", "F32", [3], 24, 36)]
    tensors += [("task/x", "F32", [2**30, 2**10], 36, 36 + 4 * count)]
    raw = model(tensors=tensors)
    path = tmp_path / "m"
    path.write_bytes(raw)
    try:
        os.truncate(path, len(raw) + 4 * count)
    except OSError:
        pytest.skip("the file system has no sparse files of this size")
    run_python(LIMITED, str(path))
