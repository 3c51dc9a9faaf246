"""What must hold of a model file of every task: damage is seen, loading is silent, saving gives the same bytes again.

The files are those that `tests/golden/make_models.py` keeps, one of each task and more.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.attacks.build import forecast, generate, model
from tests.attacks.make_attacks import ATTACKS
from tests.fuzz import mutate
from tests.golden.models.answers import RELEASES
from tests.unit.runtime.test_bundle_damage import AUDIT, run_python

from ostinato.errors import ModelFileError
from ostinato.maps.dense import Dense
from ostinato.runtime import bundle, load, sequential_file

PATHS = [path for release in RELEASES for path in sorted(release.glob("*.safetensors"))]
each = pytest.mark.parametrize("path", PATHS, ids=[f"{path.parent.name}/{path.stem}" for path in PATHS])


def code_of(path: Path) -> str:
    """How a file is refused; an exception of another kind fails the test."""
    try:
        load(path)
    except ModelFileError as error:
        return error.code
    return "accepted"


def truncated(path: Path, lengths: Iterable[int]) -> set[str]:
    """How the file is refused when only so many bytes are left; from the longest to the shortest."""
    codes = set()
    for length in sorted(lengths, reverse=True):
        os.truncate(path, length)
        codes.add(code_of(path))
    return codes


def flipped(path: Path, bits: Iterable[int]) -> set[str]:
    """How the file is refused when one of these bits is another."""
    raw, codes = path.read_bytes(), set()
    file = os.open(path, os.O_WRONLY)
    for bit in bits:
        position = bit // 8
        os.pwrite(file, bytes([raw[position] ^ 1 << bit % 8]), position)
        codes.add(code_of(path))
        os.pwrite(file, raw[position : position + 1], position)
    os.close(file)
    assert path.read_bytes() == raw
    return codes


def damage(path: Path, folder: Path, *, cuts: int, header_bits: int, data_bits: int) -> None:
    """So many cuts and flips, drawn at random; all if there are no more."""
    copy = folder / "m"
    shutil.copyfile(path, copy)
    size = copy.stat().st_size
    header = 8 * (8 + struct.unpack("<Q", path.read_bytes()[:8])[0])
    rng = random.Random(path.name)

    def some(numbers: range, most: int) -> Iterable[int]:
        return numbers if most >= len(numbers) else rng.sample(numbers, most)

    assert code_of(copy) == "accepted"
    assert "accepted" not in flipped(copy, some(range(header), header_bits))
    assert flipped(copy, some(range(header, 8 * size), data_bits)) == {"digest"}
    assert truncated(copy, some(range(size), cuts)) <= {"truncated", "unsupported_format"}  # the second one if empty


@each
def test_damage_is_seen(path: Path, tmp_path: Path) -> None:
    damage(path, tmp_path, cuts=60, header_bits=150, data_bits=60)


@pytest.mark.slow
@each
def test_every_cut_and_every_bit_of_the_header(path: Path, tmp_path: Path) -> None:
    damage(path, tmp_path, cuts=10**9, header_bits=10**9, data_bits=11_000)


@pytest.mark.slow
def test_ten_thousand_cuts_of_50_mb(tmp_path: Path) -> None:
    W = np.random.default_rng(0).normal(size=(12_500, 1000)).astype(np.float32)
    layer = sequential_file.Named("d", Dense(1000), {"W": W, "b": W[0]})
    bundle.save(tmp_path / "m", sequential_file.to_bundle([layer], (12_500,), name="large"))
    size = (tmp_path / "m").stat().st_size
    assert size > 50_000_000
    assert code_of(tmp_path / "m") == "accepted"
    cuts = random.Random(0).sample(range(size), 10_000)
    assert truncated(tmp_path / "m", cuts) <= {"truncated", "unsupported_format"}


def test_loading_only_reads_the_files() -> None:
    run_python(AUDIT, "loaded", *map(str, PATHS))


@each
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_loaded_is_saved_as_the_same_bytes(path: Path, seed: int, tmp_path: Path) -> None:
    made = bundle.load(path)
    bundle.save(tmp_path / "a", made)
    assert (tmp_path / "a").read_bytes() == path.read_bytes()
    rng = np.random.default_rng(seed)
    drawn = [{k: rng.normal(size=v.shape).astype(np.float32) for k, v in layer.items()} for layer in made.weights]
    bundle.save(tmp_path / "a", replace(made, weights=drawn))
    first = (tmp_path / "a").read_bytes()
    again = bundle.load(tmp_path / "a")
    bundle.save(tmp_path / "a", again)  # over the file that it came from
    assert (tmp_path / "a").read_bytes() == first
    for one, other in zip(again.weights, drawn, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)


BEYOND = {
    "dtype", "depth", "header", "header_digest", "header_length", "json", "layers", "manifest", "manifest_size",
    "newer_format", "nonfinite", "offsets", "options", "shape", "task", "task_tensor", "tensors", "too_many",
    "unknown_layer", "unsupported_format", "vocabulary", "digest", "duplicate_key",
}  # fmt: skip
"""What only we refuse: safetensors knows no manifest, no layers and no checksums, takes more types of numbers and more
axes, does not ask for aligned tensors, and takes text between its own keys that we do not."""


def readers_agree(raw: bytes, path: Path) -> str:
    """Where safetensors refuses we do, and where both accept the numbers are the same."""
    path.write_bytes(raw)
    code = code_of(path)
    try:
        theirs = dict(safetensors.deserialize(raw))
    except (safetensors.SafetensorError, UnicodeDecodeError):
        assert code != "accepted"
        return "refused"
    if code != "accepted":
        assert code in BEYOND, code
        return code
    made = bundle.load(path)
    ours = {f"layers/{i}/{name}": w for i, layer in enumerate(made.weights) for name, w in layer.items()}
    ours |= {f"task/{name}": array for name, array in made.extra.items()}
    assert set(ours) == set(theirs)
    for name, array in ours.items():
        assert list(array.shape) == theirs[name]["shape"]
        assert array.tobytes() == bytes(theirs[name]["data"])
    return code


def test_two_readers_agree_about_attacks(tmp_path: Path) -> None:
    found = {readers_agree(make()[1], tmp_path / "m") for make in ATTACKS.values()}
    assert found == {"refused", *BEYOND}, "the list of what only we refuse is as long as it must be"


def mutants(tmp_path: Path, count: int, seed: int) -> set[str]:
    rng = random.Random(seed)
    seeds = [path.read_bytes() for path in PATHS] + [model(), forecast(), generate()]
    change = (mutate.raw, mutate.model_file)
    return {
        readers_agree(rng.choice(change)(rng, rng.choice(seeds), rng.choice(seeds)), tmp_path / "m")
        for _ in range(count)
    }


def test_two_readers_agree_about_mutants(tmp_path: Path) -> None:
    assert mutants(tmp_path, 600, 0) >= {"accepted", "refused", "manifest", "header_digest"}


@pytest.mark.slow
def test_two_readers_agree_about_many_mutants(tmp_path: Path) -> None:
    mutants(tmp_path, 20_000, 1)
