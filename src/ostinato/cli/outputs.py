"""What long work leaves behind: room for it is held from the start, and what cannot be written is kept elsewhere."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from ostinato.errors import ModelFileError, WriteError
from ostinato.runtime.room import Room


class _Failed(NamedTuple):
    """An output that is not in its place: why, and where it is instead, if anywhere."""

    path: Path
    why: str
    kept: Path | None


class Outputs:
    """The files that a command writes at its end, by what they are, each with its room.

    Use it as a context. An output that cannot be written to its place is written to a new folder among the system's
    temporary files, or else in the home folder; at the end of the context a `WriteError` says where it is.

    Args:
        paths: What the files are, in order ("model", "report"), and where they shall be.
    """

    def __init__(self, **paths: Path) -> None:
        self._rooms = {name: Room(path) for name, path in paths.items()}
        self._failed: dict[str, _Failed] = {}
        self._stack = ExitStack()

    def __getitem__(self, name: str) -> Room:
        return self._rooms[name]

    def write(self, name: str, write: Callable[[Path], object]) -> None:
        """Write an output by calling `write` with its path, or with another one if that fails."""
        room = self._rooms[name]
        room.release()
        path = Path(room.path)
        why = _attempt(write, path)
        if why:
            self._failed[name] = _Failed(path, why, _keep(write, path.name))

    def __str__(self) -> str:
        return "\n".join(f"{name:<7} {path}" for name, path in self._where())

    def __enter__(self) -> Self:
        for room in self._rooms.values():
            self._stack.enter_context(room)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        if self._failed:
            raise self._error() from error

    def _where(self) -> list[tuple[str, str]]:
        failed = self._failed
        return [
            (name, str(failed[name].kept or "not written") if name in failed else room.path)
            for name, room in self._rooms.items()
        ]

    def _error(self) -> WriteError:
        kept = [f for f in self._failed.values() if f.kept is not None]
        advice = "Make room, then move what was kept to its place." if kept else ""
        if len(kept) < len(self._failed):
            advice = f"{advice} What could not be kept needs another run.".strip()
        return WriteError(
            f"the {' and the '.join(self._failed)} must be written",
            got="; ".join(dict.fromkeys(f.why for f in self._failed.values())),
            where=[f"{f.path} ({f'kept in {f.kept}' if f.kept else 'not kept'})" for f in self._failed.values()],
            fix=advice,
        )


def _attempt(write: Callable[[Path], object], path: Path) -> str:
    """Write; returns why that failed, or nothing if it did not."""
    try:
        write(path)
    except ModelFileError as error:
        if error.code != "write":
            raise
        return error.got
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _keep(write: Callable[[Path], object], name: str) -> Path | None:
    """Write to the first of some other folders that takes it; returns where, or None."""
    for parent in (None, os.path.expanduser("~")):
        with suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="ostinato-", dir=parent))
            if not _attempt(write, folder / name):
                return folder / name
            folder.rmdir()
    return None
