"""A power cut at any instant, when what was not synced is lost or out of order: a whole file is always found.

The file layer of `runtime/atomic.py` is mirrored as a disk that forgets. Contents count only once their file is synced;
before that they may be there, half there, zeros, or gone. Names that were made, linked, renamed or removed count only
once their folder is synced; before that any subset of these operations may have reached the disk, in any combination.
At each operation all disks that a cut could leave are laid out and read again; from each of them the writing goes on
and is cut again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch

from ostinato.errors import CheckpointDamaged
from ostinato.runtime import atomic
from ostinato.train.generations import Generations

Folder = dict[str, bytes]


class Disk:
    """What lies on a disk, and what was done to it since: a folder of files, seen through the calls of `os`."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, *, forgets: tuple[str, ...] = ()) -> None:
        self.folder, self.forgets = str(folder), forgets
        self.names = {name: i for i, name in enumerate(sorted(os.listdir(folder)))}
        self.synced = [(folder / name).read_bytes() for name in self.names]
        self.now = list(self.synced)
        self.durable = dict(self.names)
        self.pending: list[tuple[str, str, str, int]] = []
        self.open: dict[int, int | None] = {}
        self.seen: list[Folder] = list(self.cuts())
        for name in ("open", "write", "fsync", "link", "replace", "unlink"):
            patch.setattr(atomic.os, name, self._watched(getattr(os, name), getattr(self, f"_{name}")))

    def _watched(self, real, note):
        def call(*args, **options):
            result = real(*args, **options)
            note(result, *args)
            self.seen += [cut for cut in self.cuts() if cut not in self.seen]
            return result

        return call

    def _open(self, descriptor, path, flags, *_):
        if os.path.abspath(path) == self.folder:
            self.open[descriptor] = None
            return
        name = os.path.basename(path)
        assert flags & os.O_CREAT
        self.names[name] = self.open[descriptor] = len(self.now)
        self.now.append(b"")
        self.synced.append(b"")
        self.pending.append(("create", "", name, self.names[name]))

    def _write(self, count, descriptor, data):
        self.now[self.open[descriptor]] += bytes(data[:count])

    def _fsync(self, _, descriptor):
        number = self.open[descriptor]
        if number is not None and "contents" not in self.forgets:
            self.synced[number] = self.now[number]
        if number is None and "names" not in self.forgets:
            self.durable, self.pending = dict(self.names), []

    def _link(self, _, source, target):
        old, new = os.path.basename(source), os.path.basename(target)
        self.names[new] = self.names[old]
        self.pending.append(("create", "", new, self.names[new]))

    def _replace(self, _, source, target):
        old, new = os.path.basename(source), os.path.basename(target)
        self.names[new] = self.names.pop(old)
        self.pending.append(("rename", old, new, self.names[new]))

    def _unlink(self, _, path):
        name = os.path.basename(path)
        self.pending.append(("unlink", name, "", self.names.pop(name)))

    def cuts(self) -> Iterator[Folder]:
        """All folders that a power cut now could leave."""
        for kept in product((False, True), repeat=len(self.pending)):
            names = dict(self.durable)
            for (_, old, new, number), reached in zip(self.pending, kept, strict=True):
                if reached:
                    if names.get(old) == number:
                        del names[old]
                    if new:
                        names[new] = number
            for contents in product(*(self._contents(number) for number in names.values())):
                yield dict(zip(names, contents, strict=True))

    def _contents(self, number: int) -> list[bytes]:
        synced, now = self.synced[number], self.now[number]
        return [now] if synced == now else [synced, now, now[: len(now) // 2], bytes(len(now))]


def laid_out(folder: Path, files: Folder) -> Path:
    """A folder on the real disk with these files."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def cut_while(write, files: Folder, place: Path, **options) -> tuple[list[Folder], Folder]:
    """All folders that a cut during a write can leave, and those after it: `write(folder)` begins with `files`."""
    folder = laid_out(place, files)
    with pytest.MonkeyPatch.context() as patch:
        writer = write(folder)
        disk = Disk(folder, patch, **options)
        writer()
        after = list(disk.cuts())
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == {
        name: disk.now[number] for name, number in disk.names.items()
    }, "the mirror is not the disk"
    return disk.seen, after


def survives(place: Path, *, depth: int, **options) -> int:
    """Write generations, cut each write at all instants, go on from all that is left; returns the number of disks."""
    read: set[tuple[frozenset[tuple[str, bytes]], int]] = set()
    written: set[frozenset[tuple[str, bytes]]] = set()
    todo: list[tuple[Folder, int]] = [({}, 0)]
    while todo:
        files, least = todo.pop()
        key = frozenset((name, data) for name, data in files.items() if not name.startswith("."))
        if (key, least) in read:  # other leftovers only
            continue
        read.add((key, least))
        found = Generations(laid_out(place / f"read {len(read)}", files))
        assert found.number >= least
        assert (found.state is None) if found.number == 0 else (found.state["n"] == found.number)
        if found.number >= depth or key in written:
            continue
        written.add(key)
        number = found.number + 1

        def write(folder, number=number):
            own = Generations(folder)
            return lambda: own.write({"n": number, "w": torch.full((3,), float(number))})

        torn, after = cut_while(write, files, place / f"write {len(written)}", **options)
        todo += [(cut, found.number) for cut in torn] + [(cut, number) for cut in after]
    return len(read)


def test_a_whole_generation_is_found_after_any_cut(tmp_path):
    assert survives(tmp_path, depth=4) > 5


@pytest.mark.parametrize(("forgets", "error"), [("contents", (AssertionError, CheckpointDamaged)),
                                                ("names", AssertionError)])  # fmt: skip
def test_a_writer_that_does_not_sync_is_found_out(forgets, error, tmp_path):
    with pytest.raises(error):
        survives(tmp_path, depth=4, forgets=(forgets,))


def test_a_file_that_is_replaced_is_the_old_one_or_the_new_one(tmp_path):
    for old in ({}, {"m": b"the old file"}):
        write = lambda folder: lambda: atomic.replace_file(str(folder / "m"), [b"the new ", b"file"])  # noqa: E731
        torn, after = cut_while(write, old, tmp_path / f"folder {len(old)}")
        assert {cut.get("m") for cut in torn} == {old.get("m"), b"the new file"}
        assert {cut.get("m") for cut in after} == {b"the new file"}
