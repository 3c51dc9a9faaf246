"""Room on the disk for a file that long work will end in: found, and held, before the work begins."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from types import TracebackType
from typing import IO, Any, Self

from ostinato.errors import WriteError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_HERE = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems answer that cannot hold room."""


class Room:
    """Holds room for one file, in a file without a name beside it, which is gone when the process ends in any way.

    Where room cannot be held (not on Linux, or on a file system that cannot), there only is a look at what is free.

    Args:
        path: The file that will be written; its folder must exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._held: IO[Any] | None = None

    def hold(self, size: int) -> None:
        """Find room for `size` bytes, beside an older file of the same name, and hold it until `release`.

        Raises:
            WriteError: The folder cannot be written to (`write`), or has less room (`room`).
        """
        self.release()
        folder = os.path.dirname(os.path.realpath(self.path))
        try:
            self._held = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (it outlives this call)
            free = shutil.disk_usage(folder).free
            if size > free:
                raise _no_room(folder, size, f"{free:,} bytes free")
            allocate = getattr(os, "posix_fallocate", None)
            if allocate is not None and size > 0:
                allocate(self._held.fileno(), 0, size)
        except WriteError:
            self.release()
            raise
        except OSError as error:
            if self._held is not None and error.errno in _NOT_HERE:
                return
            self.release()
            if error.errno in _NO_ROOM:
                raise _no_room(folder, size, error.strerror or type(error).__name__) from None
            raise WriteError(
                "the output must be in a folder that may be written to",
                got=error.strerror or type(error).__name__,
                where=folder,
                fix="Choose another folder, or change its permissions.",
            ) from None

    def release(self) -> None:
        """Give the room back; to be called at once before the file is written."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _no_room(folder: str, size: int, got: str) -> WriteError:
    return WriteError(
        f"the output's folder must have room for it ({size:,} bytes at most), since it is written at the end",
        got=got,
        where=folder,
        fix="Make room, or choose another folder.",
        code="room",
    )
