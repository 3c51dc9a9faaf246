"""A full disk costs no task its model: room is held before the training, and what cannot be written is kept elsewhere.

Every task is found by its file. The disk is a small one in memory where it may be mounted; failures at each single
operation are made by a layer between the writer and the files.
"""

from __future__ import annotations

import errno
import os
import subprocess
from contextlib import contextmanager

import pytest
from tests.unit.cli.call import call
from tests.unit.train_loop.test_generations import Shim

from ostinato._folder import catalogue
from ostinato.errors import ModelFileError, WriteError
from ostinato.runtime import load
from ostinato.runtime.layout import MAX_HEADER
from ostinato.runtime.room import Room
from ostinato.tasks.base import Task
from ostinato.tasks.learning import networks
from ostinato.tasks.training import Training

TASKS = catalogue("ostinato.tasks", Task)
TINY = {"units": 4, "training": Training(epochs=1, members=1)}
SLACK = 1 << 21
every = pytest.mark.parametrize("name", TASKS)


class Seen(Room):
    """Remembers how much room was asked for, and refuses all of it if it shall."""

    asked = 0
    full = False

    def hold(self, size):
        self.asked = size
        if self.full:
            raise WriteError("room", got="none", fix="None.", code="room")


@contextmanager
def disk(folder, *, size):
    """A file system of so many bytes."""
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if os.name == "nt" or os.getuid() or subprocess.run(options, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder):
    """Take all that is left."""
    free = os.statvfs(folder)
    with open(folder / "filler", "wb", buffering=0) as file:
        file.write(bytes(free.f_bavail * free.f_frsize))
        with pytest.raises(OSError, match="No space"):
            file.write(b"1")


@pytest.fixture(scope="module")
def fitted():
    return {name: task(**TINY).fit(task.sample()) for name, task in TASKS.items()}


@pytest.fixture
def trained(monkeypatch, fitted):
    """`ostinato fit` without its training: the tasks are fitted at once, after the room was held and `meanwhile`."""

    def prepare(name, size, meanwhile=lambda: None):
        def fit(self, data, *, verbose=0, room=None):
            room.hold(size)
            meanwhile()
            vars(self).update({key: value for key, value in vars(fitted[name]).items() if key.endswith("_")})
            return self

        monkeypatch.setattr(TASKS[name], "fit", fit)

    return prepare


@every
def test_room_is_held_before_the_training_and_enough_of_it(name, tmp_path, monkeypatch):
    task, room = TASKS[name], Seen(tmp_path / "m")
    several = TINY | {"training": Training(epochs=1)}
    task(**several).fit(task.sample(), room=room).save(tmp_path / "m")
    with open(tmp_path / "m", "rb") as file:
        data = os.fstat(file.fileno()).st_size - 8 - int.from_bytes(file.read(8), "little")
    assert data <= room.asked - 8 - MAX_HEADER <= 1.1 * data
    room.full = True
    monkeypatch.setattr(networks, "optimiser", None)  # no training begins
    made = task(**TINY)
    with pytest.raises(WriteError):
        made.fit(task.sample(), room=room)


@every
def test_a_disk_that_is_too_small_is_known_before_the_training(name, tmp_path):
    task = TASKS[name]
    with disk(tmp_path / "small", size="64k") as folder:
        (folder / "m").write_bytes(b"an older model")
        with pytest.raises(WriteError) as caught:
            task(**TINY).fit(task.sample(), room=Room(folder / "m"))
        assert caught.value.code == "room"
        assert [f.name for f in folder.iterdir()] == ["m"]
        assert (folder / "m").read_bytes() == b"an older model"


@every
def test_a_disk_that_others_fill_while_it_trains_takes_the_model(name, tmp_path, trained):
    with disk(tmp_path / "small", size="4m") as folder:
        trained(name, SLACK, meanwhile=lambda: fill(folder))
        (folder / "m").write_bytes(b"an older model")
        done = call("fit", name, "x", "--out", folder / "m", "-q")
        assert (done.code, done.err) == (0, "")
        assert load(folder / "m")
        assert (folder / "m.html").read_text().rstrip().endswith("</html>")


@every
def test_what_a_full_disk_refuses_is_kept_elsewhere(name, tmp_path, trained, monkeypatch):
    (tmp_path / "spare").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spare"))
    monkeypatch.setattr(Room, "hold", lambda self, size: None)
    with disk(tmp_path / "small", size="64k") as folder:
        trained(name, 0, meanwhile=lambda: fill(folder))
        (folder / "m").write_bytes(b"an older model")
        done = call("fit", name, "x", "--out", folder / "m")
        assert (done.code, done.fault, done.err.count("\n")) == (2, False, 1)
        assert done.err.startswith("ostinato: [write] the model and the report must be written, got No space left")
        (kept,) = (tmp_path / "spare").glob("*/m")
        (page,) = (tmp_path / "spare").glob("*/m.html")
        assert f"{folder / 'm'} (kept in {kept})" in done.err
        assert f"(kept in {page})" in done.err
        assert f"model   {kept}" in done.out
        assert load(kept)
        assert page.read_text().rstrip().endswith("</html>")
        assert sorted(f.name for f in folder.iterdir()) == ["filler", "m"]
        assert (folder / "m").read_bytes() == b"an older model"


@every
@pytest.mark.parametrize("how", [errno.ENOSPC, errno.EIO])
def test_a_writer_that_fails_at_any_operation_loses_neither_model_nor_report(name, how, tmp_path, trained, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Room, "hold", lambda self, size: None)
    monkeypatch.setattr(TASKS[name], "report", lambda self, path, command: _page(path))
    trained(name, 0)
    assert call("fit", name, "x", "--out", tmp_path / "good", "-q").code == 0
    good = (tmp_path / "good").read_bytes()
    for at in range(1, 100):
        folder = tmp_path / str(at)
        folder.mkdir()
        (folder / "m").write_bytes(b"an older model")
        with pytest.MonkeyPatch.context() as patch:
            shim = Shim(patch, at=at, how=how)
            done = call("fit", name, "x", "--out", folder / "m", "-q")
        if shim.count < at:
            break
        places = [folder / "m", *tmp_path.glob("ostinato-*/m")]
        pages = [folder / "m.html", *tmp_path.glob("ostinato-*/m.html")]
        assert good in [p.read_bytes() for p in places], at
        assert "page" in [p.read_text() for p in pages if p.exists()], at
        assert (folder / "m").read_bytes() in (good, b"an older model")
        assert not done.fault
        assert done.code == (2 if len(places) + len(pages) > 2 else 0)
        for spare in (*places[1:], *pages[1:]):
            assert f"kept in {spare}" in done.err
            spare.unlink()
    assert 12 < at < 99


def _page(path):
    from ostinato.report import write

    write(path, "page")


@every
def test_a_model_that_cannot_be_saved_stays_in_memory(name, tmp_path, fitted):
    task = fitted[name]
    with disk(tmp_path / "small", size="16k") as folder:
        fill(folder)
        with pytest.raises(ModelFileError, match="still in memory") as caught:
            task.save(folder / "m")
        assert caught.value.code == "write"
    task.save(tmp_path / "m")
    assert load(tmp_path / "m")
