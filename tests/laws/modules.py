"""The package as source: every module with its syntax tree, its room and what it imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import ostinato

ROOT = Path(ostinato.__file__).parent

LEVELS: dict[str, int] = {
    room: level
    for level, rooms in enumerate(
        (
            ("errors", "version", "_optional", "_folder", "_lean_dataclass", "_native"),
            ("maps", "cells", "scans", "data", "metrics"),
            ("runtime", "report"),
            ("kernels", "losses"),
            ("layers", "nn"),
            ("train",),
            ("models", "tasks"),
            ("explain", "tune", "convert", "serve", "compat"),
            ("cli", "__main__"),
        )
    )
    for room in rooms
}
"""What may import what: downwards only. Rooms of one level may not import each other, but for `INSIDE`."""

INSIDE: set[tuple[str, str]] = {
    ("_optional", "errors"), ("_folder", "errors"), ("cells", "maps"), ("scans", "maps"), ("scans", "cells"),
    ("tasks", "models"), ("__main__", "cli"),
}  # fmt: skip
"""(importer, imported) of one level that may."""

TORCH_LINE = 2
"""Rooms up to this level run without torch."""


@dataclass(frozen=True)
class Module:
    """One source file.

    Args:
        name: Its dotted name.
        path: Its file.
    """

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        """The source."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        """The first part of the name after `ostinato`; empty for the package itself."""
        return [*self.name.split("."), ""][1]

    @property
    def level(self) -> int:
        """The room's level; the package itself is above everything."""
        return LEVELS[self.room] if self.room else len(LEVELS)

    def imports(self, *, lazy: bool = True) -> set[str]:
        """Dotted names of all imported modules; without `lazy` only those imported when the module is."""
        return set(self._imports(self.tree, lazy))

    def _imports(self, node: ast.AST, lazy: bool) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{self.name}: relative imports hide the level"
                for alias in child.names:
                    inner = f"{child.module}.{alias.name}"
                    yield inner if inner in NAMES else str(child.module)
            elif lazy or not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from self._imports(child, lazy)


def _name(path: Path) -> str:
    parts = ("ostinato", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = sorted(p for p in ROOT.rglob("*.py") if "__pycache__" not in p.parts)
NAMES = {_name(p) for p in PATHS}
MODULES = {_name(p): Module(_name(p), p) for p in PATHS}
