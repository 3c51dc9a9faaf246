"""A short run of the fuzzer over everything that reads files; the long run is a command, see `docs/reliability.md`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="limits of memory and work are those of Unix")
if sys.platform != "linux":
    pytest.skip("the size of the process is read as Linux shows it", allow_module_level=True)

from tests.fuzz import containers, vocabularies
from tests.fuzz.fuzz_model_file import TARGETS, Found, Target, fuzz
from tests.unit.convert.c_library import compiler

from ostinato.data.vocabularies import base, words
from ostinato.errors import DataError
from ostinato.runtime import header

each = pytest.mark.parametrize("name", TARGETS)


def check(found: Found, executions: int) -> None:
    assert not found.faults, "\n".join(f"{fault}\n{data!r:.300}" for fault, data in found.faults)
    assert found.executions == executions
    assert len(found.answers) >= 2
    assert found.answers["accepted"]


@each
def test_a_few_inputs(name: str) -> None:
    check(fuzz(TARGETS[name], seed=0, executions=500), 500)


@pytest.mark.slow
@each
def test_many_inputs(name: str) -> None:
    check(fuzz(TARGETS[name], seed=1, executions=25_000), 25_000)


def agreed(count: int) -> containers.Found:
    found = containers.compare(count=count, seed=0)
    assert not found.faults, found.faults
    assert found.inputs == count
    assert found.answers["accepted"] > count / 10
    return found


def test_a_few_containers_are_read_as_safetensors_reads_them() -> None:
    agreed(10_000)
    found = containers.compare(count=3000, seed=0, manifests=True)
    assert not found.faults
    assert len(found.answers) > 10


@pytest.mark.slow
def test_containers_are_read_as_safetensors_reads_them() -> None:
    assert set(agreed(500_000).stricter) == set(containers.STRICTER), "the list is as long as it must be"


@pytest.mark.slow
def test_manifests_are_answered() -> None:
    assert not containers.compare(count=200_000, seed=1, manifests=True).faults


def test_a_reader_without_a_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "_check_offsets", lambda *_: None)
    assert "only we accept" in containers.compare(count=4000, seed=0).faults[0][0]


@compiler
def test_a_difference_between_our_readers_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "_check_shapes", lambda *_: None)
    found = containers.compare(count=4000, seed=0, manifests=True)
    assert "but the reader in C++ says shape" in found.faults[0][0]


def test_a_rule_without_a_reason_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "STRICTER", {k: v for k, v in containers.STRICTER.items() if k != "dtype"})
    assert "only we refuse, with dtype" in containers.compare(count=2000, seed=0).faults[0][0]


@pytest.mark.parametrize("count", [2000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_vocabularies_and_their_texts(count: int) -> None:
    found = vocabularies.compare(count=count, seed=0)
    assert not found.faults, found.faults[0]
    kinds = {kind.__name__ for kind in vocabularies.VOCABULARIES.values()}
    assert {f"{kind} {answer}" for kind in kinds for answer in ("accepted", "vocabulary")} <= found.answers.keys()
    assert {"text accepted", "text surrogate", "text unknown_symbol"} <= found.answers.keys()


def test_a_word_that_is_settled_too_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words.Words, "settled", lambda self, text: len(text))
    monkeypatch.setattr(vocabularies, "MOST_FINDINGS", 1)
    assert "what was settled changed" in vocabularies.compare(count=20_000, seed=0).faults[0][0]


def test_an_id_that_nothing_checks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base.Vocabulary, "checked", lambda self, ids: base.np.asarray(ids, "int32"))
    assert vocabularies.compare(count=100, seed=0).faults


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
def test_faults_are_found(read: Callable[[Path], object]) -> None:
    found = fuzz(Target(lambda: [b"abcd"], read, seconds=0.1), seed=0, executions=300 if read is _divides else 2)
    assert found.faults
    assert found.answers["fault" if read is not _shows_controls else "data"]


def test_the_same_seed_gives_the_same_inputs() -> None:
    target = Target(lambda: [b"abcd"], _accepts)
    one, other = (fuzz(target, seed=3, executions=200) for _ in range(2))
    assert one == other
    assert one.answers == {"accepted": one.answers["accepted"], "data": one.answers["data"]}
    assert fuzz(target, seed=4, executions=200) != one


def test_an_input_that_takes_too_much_work_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*_: object) -> None:
        most = time.process_time() + 10.0
        while time.process_time() < most:
            pass

    monkeypatch.setattr(vocabularies, "_once", endless)
    found = vocabularies.compare(count=1, seed=1)
    assert [fault.splitlines()[-1] for fault, _ in found.faults] == ["tests.fuzz.work.TooLong"]
