"""Series of published figures that come with ostinato; `README.md` beside them names the sources."""

from __future__ import annotations

from pathlib import Path

from ostinato.errors import ArgumentError

_FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The names that `path` knows."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.csv")))


def path(name: str) -> Path:
    """The CSV file of an example.

    Raises:
        ArgumentError: There is no such example.
    """
    if name not in names():
        raise ArgumentError("name must be an example", got=repr(name), fix=f"Pass one of {', '.join(names())}.")
    return _FOLDER / f"{name}.csv"
