"""No hostile file takes more than twice its size and 16 MB of memory, or more than a second of work each 100 MB.

The operating system enforces it: address space and processor time are limited before each file is read.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.attacks.build import NETWORK, filled, forecast, generate, model, numbers, raw
from tests.attacks.make_attacks import ATTACKS, SNAPSHOTS
from tests.attacks.snapshot_attacks import KIND, MODEL, snapshot

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")

LIMITED = """
import os, resource, sys, time
from ostinato.errors import OstinatoError
from ostinato.runtime import load
from ostinato.runtime.snapshot import unpack

def limited(path):
    size = os.path.getsize(path)
    space = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGESIZE")
    resource.setrlimit(resource.RLIMIT_AS, (space + 2 * size + 16_000_000, resource.RLIM_INFINITY))
    seconds = int(time.process_time() + size / 1e8) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    blob = open(path, "rb").read() if path.endswith(".stream") else None
    try:
        load(path) if blob is None else unpack(blob, sys.argv[1], sys.argv[2])
    except OstinatoError as error:
        return error.code
    return "loaded"

for path in sys.argv[3:]:
    print(path, file=sys.stderr, flush=True)
    found = limited(path)
    assert found == path.split(".")[-2], found
"""


def keep_limits(folder: Path, files: dict[str, bytes]) -> None:
    """Read `NAME.CODE.KIND` in a process that is ended where a file passes a limit; the smallest files first."""
    names = sorted(files, key=lambda name: len(files[name]))
    for name in names:
        (folder / name).write_bytes(files[name])
    paths = [str(folder / name) for name in names]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, MODEL, KIND, *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])


def test_every_attack(tmp_path: Path) -> None:
    files = {}
    for kind, attacks in (("safetensors", ATTACKS), ("stream", SNAPSHOTS)):
        for name, make in attacks.items():
            code, data = make()
            files[f"{name}.{code}.{kind}"] = data
    keep_limits(tmp_path, files)


@pytest.mark.parametrize("deed", ["bytearray(40_000_000)", "sum(range(10**12))"])
def test_the_limits_hold(deed: str, tmp_path: Path) -> None:
    """A limit that nothing passes would show nothing."""
    path = tmp_path / "m.loaded.safetensors"
    path.write_bytes(model())
    code = f"{LIMITED}\n{deed}"
    done = subprocess.run([sys.executable, "-c", code, MODEL, KIND, str(path)], check=False, capture_output=True)
    assert done.returncode


_N = 100_000_000
LARGE: dict[str, Callable[[], bytes]] = {
    "valid.loaded": lambda: _dense(_N // 4000),
    "data.digest": lambda: _dense(_N // 4000)[:-1] + b"\x55",
    "header.json": lambda: (1 << 20).to_bytes(8, "little") + b"{" + bytes(_N),
    "names.task": lambda: forecast(None, {"task/ids": raw(b'["a"' + b',"b"' * (_N // 4) + b"]")}),
    "hidden_names.task": lambda: forecast(None, {"task/ids": raw(b'["\\\\"' + b',"\\\\"' * (_N // 5) + b"]")}),
    "long_name.task": lambda: forecast(None, {"task/ids": raw(b'["a","' + b"b" * _N + b'","c"]')}),
    "histories.task": lambda: forecast(None, {"task/tails": numbers("F64", [2, _N // 16])}),
    "codes.task": lambda: generate(None, {"task/vocabulary/codes": numbers("I64", [_N // 8])}),
    "random.header_length": lambda: random.Random(0).randbytes(_N),
}


def _dense(rows: int) -> bytes:
    layer = NETWORK[1] | {"config": NETWORK[1]["config"] | {"units": 1000}}
    tensors = {"layers/0/W": numbers("F32", [rows, 1000]), "layers/0/b": numbers("F32", [1000])}
    return filled(tensors, input_shape=[rows], layers=[layer])


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_files_of_100_mb(name: str, tmp_path: Path) -> None:
    keep_limits(tmp_path, {f"{name}.safetensors": LARGE[name]()})


@pytest.mark.slow
def test_a_snapshot_of_100_mb(tmp_path: Path) -> None:
    many = [{"dtype": "float32", "shape": [_N // 4000]}] * 1000
    keep_limits(tmp_path, {"s.loaded.stream": snapshot(arrays=many, data=bytes(_N))})
