"""A machine that stops: what was written and not synced may be lost, in part or in any order."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
import torch

from ostinato.runtime import atomic
from ostinato.train.generations import NAMES, Generations


class File:
    """What is surely on the disc of a file, and what it holds for those who read it now."""

    def __init__(self, content=b""):
        self.synced, self.now = content, content

    def after_a_cut(self):
        """All that may be found: what was synced, nothing, all, its first half, zeros of its length."""
        return {self.synced, b"", self.now, self.now[: len(self.now) // 2], bytes(len(self.now))} - (
            set() if self.synced != self.now else {b"", self.now[: len(self.now) // 2], bytes(len(self.now))}
        )


class Disc:
    """Notes each operation of the file layer in a folder, and gives all folders that a cut after each may leave."""

    def __init__(self, folder: Path, monkeypatch):
        self.folder, self.real_os = folder, {}
        self.durable = {name: File((folder / name).read_bytes()) for name in os.listdir(folder)}
        self.names = dict(self.durable)
        self.pending = []  # changes of the folder that were not synced, as (name, file or None)
        self.open_files, self.moments = {}, []
        for name in ("open", "write", "fsync", "close", "link", "replace", "unlink"):
            self.real_os[name] = getattr(os, name)
            monkeypatch.setattr(atomic.os, name, getattr(self, name))

    def change(self, name, file):
        self.pending.append((name, file))
        self.names[name] = file
        self.cut()

    def cut(self):
        """Everything that may be there if the power fails now."""
        found = set()
        for chosen in itertools.product((False, True), repeat=len(self.pending)):
            names = dict(self.durable)
            for (name, file), takes in zip(self.pending, chosen, strict=True):
                if takes:
                    names[name] = file
            there = [(name, file) for name, file in sorted(names.items()) if file is not None and name in NAMES]
            for contents in itertools.product(*(sorted(file.after_a_cut()) for _, file in there)):
                found.add(tuple((name, content) for (name, _), content in zip(there, contents, strict=True)))
        self.moments.append(found)

    def open(self, path, flags, mode=0o777):
        descriptor = self.real_os["open"](path, flags, mode)
        self.open_files[descriptor] = None
        if flags & os.O_CREAT:
            self.open_files[descriptor] = File()
            self.change(os.path.basename(path), self.open_files[descriptor])
        return descriptor

    def write(self, descriptor, data):
        count = self.real_os["write"](descriptor, data)
        self.open_files[descriptor].now += bytes(data[:count])
        self.cut()
        return count

    def fsync(self, descriptor):
        self.real_os["fsync"](descriptor)
        file = self.open_files[descriptor]
        if file is not None:
            file.synced = file.now
        else:
            for name, changed in self.pending:
                self.durable[name] = changed
            self.pending.clear()
        self.cut()

    def close(self, descriptor):
        self.real_os["close"](descriptor)

    def link(self, source, target):
        self.real_os["link"](source, target)
        self.change(os.path.basename(target), self.names[os.path.basename(source)])

    def replace(self, source, target):
        self.real_os["replace"](source, target)
        file = self.names[os.path.basename(source)]
        self.pending.append((os.path.basename(source), None))
        self.names[os.path.basename(source)] = None
        self.change(os.path.basename(target), file)

    def unlink(self, path):
        self.real_os["unlink"](path)
        self.change(os.path.basename(path), None)


def test_a_cut_at_any_moment_leaves_a_whole_generation(tmp_path):
    folder, made = tmp_path / "run", tmp_path / "after"
    folder.mkdir(), made.mkdir()
    cuts = 0
    with pytest.MonkeyPatch.context() as patch:
        disc, done, found = Disc(folder, patch), 0, []
        files = Generations(folder)
        for n in range(1, 5):
            files.write({"n": n, "w": torch.full((5,), float(n))})
            found += [(done, n, moment) for moment in disc.moments]
            disc.moments.clear()
            disc.cut()  # after the call has returned
            found += [(n, n, moment) for moment in disc.moments]
            disc.moments.clear()
            done = n
    for least, most, moment in found:
        for names in moment:
            for name in NAMES:
                (made / name).unlink(missing_ok=True)
            for name, content in names:
                (made / name).write_bytes(content)
            cuts += 1
            if not least and any(content for _, content in names):
                continue  # before the first call has returned nothing is promised but an error; see test_generations
            state = Generations(made).state
            assert least <= (state["n"] if state else 0) <= most
            assert state is None or torch.equal(state["w"], torch.full((5,), float(state["n"])))
    assert cuts > 20
