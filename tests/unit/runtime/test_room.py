"""Room for a file is found and held before the work, without a trace if there is none."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple

import pytest

from ostinato.errors import WriteError
from ostinato.runtime import room as module
from ostinato.runtime.room import Room

held = pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no posix_fallocate here")
SIZE = 3 << 20


def blocks(room):
    return os.fstat(room._held.fileno()).st_blocks * 512


@held
def test_room_is_held_until_it_is_released(tmp_path):
    with Room(tmp_path / "m") as room:
        room.hold(SIZE)
        assert blocks(room) >= SIZE
        room.hold(2 * SIZE)
        assert blocks(room) >= 2 * SIZE
        room.release()
        room.release()
        assert room._held is None
        room.hold(0)
    assert room._held is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_is_an_error_that_names_the_folder(code, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module.os, "posix_fallocate", full, raising=False)
    room = Room(tmp_path / "m")
    with pytest.raises(WriteError, match=r"3,145,728 bytes at most") as caught:
        room.hold(SIZE)
    assert caught.value.code == "room"
    assert caught.value.where == (str(tmp_path),)
    assert room._held is None


def test_what_is_free_is_looked_at_everywhere(tmp_path, monkeypatch):
    free = namedtuple("free", "total used free")(9, 5, SIZE - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    monkeypatch.delattr(module.os, "posix_fallocate", raising=False)
    with pytest.raises(WriteError, match="got 3,145,727 bytes free"):
        Room(tmp_path / "m").hold(SIZE)
    with Room(tmp_path / "m") as room:
        room.hold(SIZE - 1)


@held
@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL])
def test_file_systems_that_cannot_hold_room_are_not_asked_to(code, tmp_path, monkeypatch):
    def cannot(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module.os, "posix_fallocate", cannot)
    with Room(tmp_path / "m") as room:
        room.hold(SIZE)


def test_a_folder_that_takes_no_files_is_an_error(tmp_path):
    with pytest.raises(WriteError, match="may be written to") as caught:
        Room(tmp_path / "no" / "m").hold(1)
    assert caught.value.code == "write"


@held
def test_room_is_where_a_link_leads(tmp_path, monkeypatch):
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "m")
    seen = []
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: seen.append(folder) or namedtuple("free", "free")(SIZE))
    with Room(tmp_path / "link") as room:
        room.hold(1)
    assert seen == [str(tmp_path / "far")]
