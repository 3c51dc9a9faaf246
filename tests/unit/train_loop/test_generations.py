"""The two files of a checkpoint: whatever fails while one is written, a whole one is found."""

from __future__ import annotations

import errno
import math
import os

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import CheckpointDamaged, CheckpointWriteError, UnsupportedFormat
from ostinato.runtime import atomic
from ostinato.train.generations import NAMES, Generations
from ostinato.train.packing import pack, unpack

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda k: not k.startswith("$")), inner),
    max_leaves=12,
)


def state(n):
    """A state that is told from others."""
    return {"n": n, "w": torch.full((5,), float(n)), "best": math.inf, "list": [np.arange(n), None, 0.1 * n, "§"]}


def same(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return all(same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        assert len(one) == len(other)
        return all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, (torch.Tensor, np.ndarray)):
        assert type(one) is type(other)
        assert one.dtype == other.dtype
        assert np.array_equal(np.asarray(one), np.asarray(other))
        return True
    assert type(one) is type(other)
    assert one == other or (one != one and other != other)
    return True


def test_the_newest_of_two_is_found(tmp_path):
    folder = tmp_path / "a b ü" / ("long" * 40)
    assert Generations(folder).state is None
    for n in range(1, 6):
        files = Generations(folder)
        files.write(state(n))
        files.write(state(n + 100))
        again = Generations(folder)
        assert again.number == 2 * n
        same(again.state, state(n + 100))
    assert sorted(os.listdir(folder)) == list(NAMES)


@settings(max_examples=100)
@given(VALUES)
def test_states_go_round(value):
    tensors = {}
    import msgspec

    text = msgspec.json.encode(pack(value, tensors))
    same(unpack(msgspec.json.decode(text), tensors), value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.uint8])
def test_tensors_of_all_types_go_round(dtype, tmp_path):
    whole = torch.tensor([[0, 1, 3], [7, 0, 2]]).to(dtype)
    Generations(tmp_path).write({"t": whole.T, "empty": whole[:0], "row": whole[1]})
    found = Generations(tmp_path).state
    assert torch.equal(found["t"], whole.T)
    assert torch.equal(found["row"], whole[1])
    assert found["empty"].shape == (0, 3)
    assert found["t"].dtype == dtype


def test_only_plain_values_are_packed():
    for bad in (object(), {1: 2}, {"$tensor": 1}, [len], {"a": {3}}):
        with pytest.raises(TypeError):
            pack(bad, {})


class Shim:
    """The file layer, failing at its n-th operation."""

    OPERATIONS = ("open", "write", "fsync", "close", "link", "replace", "unlink", "chmod")

    def __init__(self, monkeypatch, *, at, how):
        self.count, self.at, self.how, self.dead = 0, at, how, False
        for name in self.OPERATIONS:
            monkeypatch.setattr(atomic.os, name, self.wrap(getattr(os, name), name))

    def wrap(self, real, name):
        def operation(*args, **kwargs):
            if self.dead:  # killed: nothing runs any more, no tidying up either
                raise Killed
            self.count += 1
            if self.count != self.at:
                return real(*args, **kwargs)
            if name == "write" and self.how in ("short", "kill"):
                real(args[0], memoryview(args[1])[: len(args[1]) // 2])
                if self.how == "short":
                    return len(args[1]) // 2
            if self.how == "kill":
                self.dead = True
                raise Killed
            if self.how == "short":
                return real(*args, **kwargs)
            if name == "close":
                real(*args, **kwargs)
            raise OSError(self.how, os.strerror(self.how))

        return operation


class Killed(BaseException):
    """Stands for SIGKILL."""


@pytest.mark.parametrize("how", [errno.EIO, errno.ENOSPC, errno.EROFS, "short", "kill"])
def test_a_writer_that_fails_at_any_operation_leaves_a_whole_generation(how, tmp_path):
    seen = set()
    for at in range(1, 100):
        folder = tmp_path / str(at)
        files = Generations(folder)
        files.write(state(1))
        files.write(state(2))
        with pytest.MonkeyPatch.context() as patch:
            shim = Shim(patch, at=at, how=how)
            try:
                files.write(state(3))
                failed = False
            except CheckpointWriteError as error:
                failed = str(folder) in str(error)
            except Killed:
                failed = True
        if shim.count < at:
            break
        found = Generations(folder)
        seen.add(found.state["n"])
        if not failed:
            assert found.state["n"] == 3
        elif how not in ("kill", "short"):
            assert found.state["n"] == 2
        same(found.state, state(found.state["n"]))
        if failed and how != "kill":
            files.write(state(3))  # the same object can go on
        found.write(state(4))
        same(Generations(folder).state, state(4))
    assert 8 < at < 99
    assert seen <= {2, 3}


def test_every_cut_and_every_flipped_byte_of_one_file_is_noticed(tmp_path):
    files = Generations(tmp_path)
    files.write(state(1))
    files.write(state(2))
    path = tmp_path / NAMES[1]
    good = path.read_bytes()
    for i in range(len(good)):
        path.write_bytes(good[:i] if i % 2 else good[:i] + bytes([good[i] ^ 0x10]) + good[i + 1 :])
        found = Generations(tmp_path)
        assert found.state["n"] == 1, i
        assert found._next == NAMES[1]
    path.write_bytes(good + b"x")
    assert Generations(tmp_path).state["n"] == 1


def test_both_damaged_names_both_and_touches_neither(tmp_path):
    files = Generations(tmp_path)
    files.write(state(1))
    files.write(state(2))
    spoiled = {}
    for name in NAMES:
        path = tmp_path / name
        data = bytearray(path.read_bytes())
        data[-3] ^= 1
        path.write_bytes(data)
        spoiled[name] = bytes(data)
    with pytest.raises(CheckpointDamaged) as caught:
        Generations(tmp_path)
    assert all(str(tmp_path / name) in str(caught.value) for name in NAMES)
    assert caught.value.code == "checkpoint_damaged"
    assert {name: (tmp_path / name).read_bytes() for name in NAMES} == spoiled


@pytest.mark.parametrize("what", ["text", "pickle", "tensors"])
def test_a_foreign_file_is_refused(what, tmp_path):
    content = {
        "text": b"epoch,loss\n0,1.0\n",
        "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00",
        "tensors": safetensors.torch.save({"w": torch.zeros(3)}, {"format": "pt"}),
    }[what]
    (tmp_path / NAMES[0]).write_bytes(content)
    with pytest.raises(UnsupportedFormat, match="checkpoints of ostinato"):
        Generations(tmp_path)
    assert (tmp_path / NAMES[0]).read_bytes() == content


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder, got in ((tmp_path / "file", "got a file of that name at"), (tmp_path / "file" / "below", "got ")):
        with pytest.raises(CheckpointWriteError, match=f"must be writable, {got}"):
            Generations(folder)


def test_a_file_that_cannot_be_replaced_is_named(tmp_path):
    path = str(tmp_path / "m")
    for at in range(1, 100):
        with pytest.MonkeyPatch.context() as patch:
            shim = Shim(patch, at=at, how=errno.ENOSPC)
            try:
                atomic.replace_file(path, [b"the new ", b"file"])
            except OSError as error:
                assert (error.filename, error.errno) == (path, errno.ENOSPC)  # noqa: PT017
        if shim.count < at:
            break
    assert 5 < at < 99


def test_what_killed_writes_left_is_cleared_away_and_nothing_else(tmp_path):
    left = [tmp_path / f".ostinato-{i:016x}.{kind}" for i, kind in enumerate(("new", "old"))]
    others = [tmp_path / name for name in (".ostinato-notes.new", ".ostinato-00.new", "model.safetensors")]
    for file in (*left, *others):
        file.write_bytes(b"x")
        os.utime(file, (1e9, 1e9))
    busy = tmp_path / f".ostinato-{7:016x}.new"
    generations = Generations(tmp_path)
    assert all(file.exists() for file in left)  # a look changes nothing
    busy.write_bytes(b"of a run beside this one")
    os.utime(busy, (4e9, 4e9))
    generations.write({"step": 1})
    assert {f.name for f in tmp_path.iterdir()} == {NAMES[0], busy.name, *(f.name for f in others)}
