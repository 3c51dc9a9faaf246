"""Command-line options from the fields of a task and of its option objects, so that the two are one list."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import click

from ostinato.errors import ModelFileError


def task_options(task: type[Any]) -> list[click.Option]:
    """One option a field; the fields of nested option objects stand beside the task's own."""
    options = []
    for owner, names in _owners(task):
        texts = _help(owner)
        for name in names:
            default = next(f.default for f in fields(owner) if f.name == name)
            kind, shown = _kind(default)
            text = texts.get(name, "") + (f"  [default: {shown}]" if shown else "")
            options.append(click.Option([f"--{name.replace('_', '-')}"], default=None, type=kind, help=text))
    return options


def make_task(task: type[Any], given: dict[str, Any]) -> Any:
    """The task from the options that were given; the others keep their defaults."""
    own: dict[str, Any] = {}
    for owner, names in _owners(task):
        values = {name: given[name] for name in names if given.get(name) is not None}
        if owner is task:
            own |= values
        elif values:
            field = next(f for f in fields(task) if isinstance(f.default, owner))
            own[field.name] = owner(**values)
    return task(**own)


def check_target(path: Path, *, source: Path | None = None) -> None:
    """Raise `ModelFileError` before any work is done if `path` cannot be written, or is the file that is read."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ModelFileError(
            "the output must be a file in a folder that exists",
            got=str(path),
            fix="Make the folder, or choose another path.",
            code="write",
        )
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise ModelFileError(
            "the output must be another file than the data", got=str(path), fix="Choose another path.", code="write"
        )


def _owners(task: type[Any]) -> list[tuple[type[Any], list[str]]]:
    own = [f.name for f in fields(task) if not is_dataclass(f.default)]
    nested = [type(f.default) for f in fields(task) if f.default is not MISSING and is_dataclass(f.default)]
    return [(task, own), *((owner, [f.name for f in fields(owner)]) for owner in nested)]


def _kind(default: Any) -> tuple[Any, str]:
    if isinstance(default, tuple):
        return _numbers(float), ",".join(str(v) for v in default)
    if isinstance(default, int):
        return _numbers(int), str(default)
    if isinstance(default, float):
        return float, f"{default:g}"
    return str, str(default) if default is not None else ""


def _numbers(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        parts = [kind(part) for part in text.split(",")]
        return parts[0] if len(parts) == 1 and kind is int else tuple(parts)

    parse.__name__ = "number" if kind is int else "numbers"
    return parse


def _help(owner: type[Any]) -> dict[str, str]:
    """The lines of the "Args" section of a docstring, by argument."""
    text = inspect.getdoc(owner) or ""
    _, _, args = text.partition("\nArgs:\n")
    found: dict[str, str] = {}
    name = ""
    for line in args.splitlines():
        if match := re.match(r"    (\w+): (.*)", line):
            name, found[match[1]] = match[1], match[2]
        elif name and line.startswith("        "):
            found[name] += " " + line.strip()
        elif line and not line.startswith(" "):
            break
    return found
