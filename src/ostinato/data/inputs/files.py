"""One path, several paths or folders become a list of files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ostinato.errors import DataError

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def list_files(source: Paths, *, endings: Sequence[str]) -> list[Path]:
    """The files that `source` names: paths in their order, each folder as its files in order of their paths.

    Args:
        source: One path, or several. Whether a file that is named exists is found out by whoever reads it.
        endings: What is taken from folders, subfolders included: ".txt" also means ".txt.gz". Hidden files are not.

    Raises:
        DataError: `empty`, no path is given or a folder holds no such file; `type`, something is not a path;
            `duplicate`, a file is named twice.
    """
    given = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    if not given:
        raise DataError("at least one file must be given", got="no path", fix="Name a file or a folder.", code="empty")
    found: list[Path] = []
    for each in given:
        if not isinstance(each, (str, os.PathLike)):
            raise DataError(
                "files must be given as paths",
                got=f"an object of type {type(each).__name__}",
                fix="Pass a path or a list of paths.",
                code="type",
            )
        path = Path(each)
        found += _inside(path, endings) if path.is_dir() else [path]
    twice = sorted({str(path) for path in found if found.count(path) > 1}) if len(set(found)) < len(found) else []
    if twice:
        raise DataError(
            "each file must be given once",
            got="a file twice",
            fix="Name it once; a file counted twice could be both trained and tested on.",
            where=twice,
            count=len(twice),
            code="duplicate",
        )
    return found


def _inside(folder: Path, endings: Sequence[str]) -> list[Path]:
    wanted = tuple(ending + packed for ending in endings for packed in ("", ".gz"))
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.name.lower().endswith(wanted)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
    if not files:
        raise DataError(
            f"a folder must hold files that end in {' or '.join(endings)}",
            got="none",
            fix="Name the files themselves; then their endings do not matter.",
            where=str(folder),
            code="empty",
        )
    return files
