"""A short run of the fuzzer over everything that reads files; the long run is a command, see `docs/reliability.md`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="limits of memory and work are those of Unix")
if sys.platform != "linux":
    pytest.skip("the size of the process is read as Linux shows it", allow_module_level=True)

from tests.fuzz import fuzz_model_file
from tests.fuzz.fuzz_model_file import TARGETS, Found, Target, fuzz

from ostinato.errors import DataError

each = pytest.mark.parametrize("name", TARGETS)


def check(found: Found, executions: int) -> None:
    assert not found.faults, "\n".join(f"{fault}\n{data!r:.300}" for fault, data in found.faults)
    assert found.executions == executions
    assert len(found.answers) >= 3
    assert found.answers["accepted"]


@each
def test_a_few_inputs(name: str) -> None:
    check(fuzz(TARGETS[name], seed=0, executions=500), 500)


@pytest.mark.slow
@each
def test_many_inputs(name: str) -> None:
    check(fuzz(TARGETS[name], seed=1, executions=25_000), 25_000)


def _accepts(path: Path) -> None:
    if len(path.read_bytes()) < 3:
        raise DataError("a file must be long", got="a short one", fix="Add to it.")


def _divides(path: Path) -> float:
    return 1 / len(path.read_bytes())


def _never_ends(path: Path) -> None:
    while path:
        pass


def _takes_memory(path: Path) -> bytes:
    return bytes(1 << 33)


def _shows_controls(path: Path) -> None:
    raise DataError("a file must be good", got=repr(path.name) + "\x1b[2J", fix="Mend it.")


@pytest.mark.parametrize("read", [_divides, _never_ends, _takes_memory, _shows_controls])
def test_faults_are_found(read: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_model_file, "SECONDS", 0.1)
    found = fuzz(Target(lambda: [b"abcd"], read), seed=0, executions=300 if read is _divides else 2)
    assert found.faults
    assert found.answers["fault" if read is not _shows_controls else "data"]


def test_the_same_seed_gives_the_same_inputs() -> None:
    target = Target(lambda: [b"abcd"], _accepts)
    one, other = (fuzz(target, seed=3, executions=200) for _ in range(2))
    assert one == other
    assert one.answers == {"accepted": one.answers["accepted"], "data": one.answers["data"]}
    assert fuzz(target, seed=4, executions=200) != one
