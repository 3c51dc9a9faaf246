"""Replaces a file all at once: after a crash or a full disk there is the old file or the new one, never half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator

_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
"""What file systems answer that cannot sync a folder and do not need to."""
_TEMPORARY = re.compile(r"\.ostinato-[0-9a-f]{16}\.(new|old)")


def replace_file(path: str, chunks: Iterable[bytes | memoryview]) -> None:
    """Write `chunks` to a temporary file beside `path`, sync it, rename it, sync the folder.

    If any step fails the old file is in its place (or there is none, if there was none) and the temporary files are
    gone. Only on file systems without hard links, a failed sync of the folder leaves the new file, complete, in place.
    A symbolic link stays one: the file that it leads to is replaced. Permissions of an existing file are kept.

    Args:
        path: The file's path; its folder must exist.
        chunks: The contents, in order.

    Raises:
        OSError: A step failed; `filename` is `path`.
    """
    try:
        _replace(path, chunks)
    except OSError as error:
        error.filename, error.filename2 = path, None  # a full disk has none, other failures that of the temporary file
        raise


def sweep(folder: str, *, before: float) -> None:
    """Remove what writes that were killed have left in a folder; what cannot be removed stays, and does no harm.

    Args:
        folder: Its path.
        before: Unix time in seconds; what was touched later may belong to somebody who is at work, and stays.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and entry.stat(follow_symlinks=False).st_mtime < before:
                os.unlink(entry.path)


def _replace(path: str, chunks: Iterable[bytes | memoryview]) -> None:
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    base = os.path.join(folder, f".ostinato-{os.urandom(8).hex()}")
    with _removed(base + ".new") as new, _removed(base + ".old") as old:
        mode = _mode(target)
        _write(new, chunks, mode)
        kept = mode is not None and _link(target, old)
        os.replace(new, target)
        try:
            _sync_folder(folder)
        except OSError:
            if kept:
                os.replace(old, target)
            elif mode is None:
                os.unlink(target)
            raise


@contextlib.contextmanager
def _removed(path: str) -> Iterator[str]:
    """Hand out the name of a file that is gone at the end, whatever happens."""
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _mode(target: str) -> int | None:
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "a pipe, socket or device, which is not replaced", target)
    return stat.S_IMODE(status.st_mode)


def _write(path: str, chunks: Iterable[bytes | memoryview], mode: int | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        for chunk in chunks:
            view = memoryview(chunk).cast("B")
            while view:
                view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if mode is not None:
        os.chmod(path, mode)


def _link(target: str, spare: str) -> bool:
    try:
        os.link(target, spare)
    except OSError:
        return False
    return True


def _sync_folder(folder: str) -> None:
    if os.name == "nt":  # Windows keeps folders in order by itself, and cannot open them
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)
