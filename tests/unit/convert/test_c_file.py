"""A model file in C: a compiled program opens it and gives the bits of Python, or refuses it as Python does."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.attacks.build import dense, dense_weights, filled, generate, model
from tests.attacks.make_attacks import ATTACKS
from tests.unit.convert.c_library import NATIVE, compiler, library, program, reader
from tests.unit.convert.test_c_source import compiled, example, masked_example
from tests.unit.runtime.networks import network, of_symbols

from ostinato.cells import CELLS
from ostinato.cells.lstm import LSTM
from ostinato.errors import ModelFileError
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.maps.flatten import Flatten
from ostinato.maps.reshape import Reshape
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.maps.unembedding import Unembedding
from ostinato.runtime import Network, bundle, load, native
from ostinato.runtime.sequential_file import Named, to_bundle
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

pytestmark = compiler


@pytest.fixture(scope="session")
def opener(tmp_path_factory) -> Path:
    """The example program."""
    return program(NATIVE / "examples" / "open.c", tmp_path_factory.mktemp("c") / "open")


def saved(net: Network, path: Path, store: str = "float32") -> Path:
    layers = [Named(f"l{i}", *one) for i, one in enumerate(zip(net.parts, net.weights, strict=True))]
    bundle.save(path, to_bundle(layers, net.input_shape, name="net"), store=store)
    return path


def run(opener: Path, path: Path, *isa: str, steps: np.ndarray | None = None) -> subprocess.CompletedProcess[str]:
    rows = [] if steps is None else steps.reshape(len(steps), -1).tolist()
    lines = "\n".join(" ".join(f"{n:.9g}" for n in row) for row in rows)
    return subprocess.run([opener, path, *isa], input=lines, capture_output=True, text=True, check=False)


def masked_symbols() -> Network:
    """Padding, a tied-like head, and a last output."""
    return network(
        [Embedding(7, 4, mask_zero=True), Recurrent(CELLS["gru"](5), return_sequences=True, zoneout=0.5),
         TimeDistributed(Reshape((5,))), Unembedding(7), Recurrent(CELLS["lstm"](3)), Dense(2)], (None,),
    )  # fmt: skip


@compiled
@pytest.mark.skipif("sse2" not in native.module().engines() if native.available() is None else True, reason="no SSE2")
@pytest.mark.parametrize("store", ["float32", "bf16", "int8"])
@pytest.mark.parametrize("make", [example, masked_example, of_symbols, masked_symbols])
def test_a_c_program_opens_a_file_and_gives_the_bits_of_python(make, store, opener, tmp_path, monkeypatch):
    path, rng = saved(make(), tmp_path / "m", store), np.random.default_rng(3)
    symbols = make().input_shape == (None,)
    x = rng.integers(0, 7, 20) if symbols else rng.normal(size=(20, 3)).astype(np.float32)
    x[5:8] = 0  # steps that a mask skips
    done = run(opener, path, "sse2", steps=x)
    assert done.returncode == 0, done.stderr
    found = np.array([line.split() for line in done.stdout.splitlines()], np.float32)
    monkeypatch.setenv("OSTINATO_ISA", "sse2")
    assert np.array_equal(found, load(path).stream().run(x))


def test_the_network_of_a_task_is_opened(opener, tmp_path):
    (tmp_path / "m").write_bytes(generate())
    assert len(run(opener, tmp_path / "m", steps=np.arange(3)).stdout.splitlines()) == 3


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([Bidirectional(Recurrent(LSTM(2)))], "more than one step"),
        ([Recurrent(LSTM(2), reverse=True)], "from the last step"),
        ([Recurrent(LSTM(2), return_sequences=True, zoneout=1 - 1e-12)], "1 in float32"),
        ([Reshape((2, 3)), Flatten()], "more than one step"),
        ([TimeDistributed(Reshape((1, 3)))], "2 axes"),
        ([TimeDistributed(Embedding(3, 2))], "embedding"),
    ],
)
def test_what_has_no_steps_is_refused_with_the_reason(parts, reason, opener, tmp_path):
    shape = (2, 3) if isinstance(parts[0], Reshape) else (None, 3)
    done = run(opener, saved(network(parts, shape), tmp_path / "m"))
    assert done.returncode == 1
    assert done.stderr.startswith("[steps] ")
    assert reason in done.stderr


def test_several_networks_are_refused(opener, tmp_path):
    arrays = {name: (kind, [2, *shape], data * 2) for name, (kind, shape, data) in dense_weights(0, 2, 1).items()}
    (tmp_path / "m").write_bytes(filled(arrays, members=2, input_shape=[None, 2], layers=[dense(1)]))
    assert run(opener, tmp_path / "m").stderr.startswith("[task] the model must be one network")


def test_what_is_no_file_is_refused(opener, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, code in (("no", "read"), (".", "not_a_file"), ("pipe", "not_a_file")):
        done = run(opener, tmp_path / path)
        assert done.returncode == 1
        assert done.stderr.startswith(f"[{code}] ")


def test_an_unknown_instruction_set_is_refused(opener, tmp_path):
    (tmp_path / "m").write_bytes(model())
    assert run(opener, tmp_path / "m", "mmx").stderr.startswith("[kernel] ")


def test_every_attack_gets_the_code_of_python(tmp_path):
    answer, path = reader(), tmp_path / "m"
    for name, make in ATTACKS.items():
        raw = make()[1]
        path.write_bytes(raw)
        try:
            bundle.load(path)
            code = "accepted"
        except ModelFileError as error:
            code = error.code
        assert answer(raw) == code, name


def test_attacks_on_disk_are_refused_in_short_printable_messages(opener, tmp_path):
    path = tmp_path / "m"
    names = (
        "control_kind",
        "activation_control",
        "cut_in_data",
        "appended_zip",
        "pickle_2",
        "newer_with_hostile_version",
    )
    for code, raw in [*(ATTACKS[name]() for name in names), ("digest", generate()[:-1] + b"\1")]:
        path.write_bytes(raw)
        done = run(opener, path)
        assert done.returncode == 1
        assert done.stderr.startswith(f"[{code}] ")
        assert done.stderr[:-1].isprintable()
        assert len(done.stderr) < 560


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")
def test_no_attack_takes_more_than_twice_its_size_and_16_mb(opener, tmp_path):
    """The program itself has 7 MB, mostly the C++ library. A program that needs more is ended with "memory"."""
    path, refusals = tmp_path / "m", set()
    for make in ATTACKS.values():
        path.write_bytes(make()[1])
        limit = 2 * path.stat().st_size + 16_000_000 + 7_000_000
        call = ["sh", "-c", f'ulimit -v {limit // 1024} && ulimit -t 1 && exec "$0" "$1"', opener, path]
        done = subprocess.run(call, input="", capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1), (done.returncode, make()[0])
        refusals.add(done.stderr.split("]")[0])
    assert "[memory" not in refusals
    assert len(refusals) > 20


def test_every_kept_model_is_accepted():
    answer = reader()
    for path in (Path(__file__).parents[2] / "golden" / "models").rglob("*.safetensors"):
        assert answer(path.read_bytes()) == "accepted", path


def test_the_library_has_no_undefined_symbol_of_python():
    names = subprocess.run(["nm", "-u", library() / "libostinato.a"], capture_output=True, text=True, check=True).stdout
    assert "Py" not in names


def test_every_cut_and_every_bit_of_a_header_is_refused():
    answer, raw = reader(), model()
    assert answer(raw) == "accepted"
    for size in range(len(raw)):
        assert answer(raw[:size]) != "accepted"
    for bit in range(8 * (8 + struct.unpack("<Q", raw[:8])[0])):
        at = bit // 8
        assert answer(raw[:at] + bytes([raw[at] ^ 1 << bit % 8]) + raw[at + 1 :]) != "accepted"
