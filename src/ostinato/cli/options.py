"""Command-line options from the fields of a task and of its option objects, so that the two are one list."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import click

from ostinato.cli.task_command import TaskOption
from ostinato.errors import ArgumentError

TABLES = (".csv", ".parquet")
"""How the name of a table that is written may end."""


def task_options(task: type[Any]) -> list[click.Option]:
    """One option a field; the fields of nested option objects stand beside the task's own, under their heading."""
    owners, options = _owners(task), list[click.Option]()
    names = {name for owner in owners for name in owner.defaults}
    for owner in owners:
        texts = _help(owner.kind)
        for name, default in owner.defaults.items():
            kind, shown = _kind(default)
            flag = name.replace("_", "-")
            flags = f"--{flag}/--no-{flag}" if isinstance(default, bool) else f"--{flag}"
            text = _told(texts.get(name, ""), names) + (f"  [default: {shown}]" if default is not None else "")
            options.append(TaskOption([flags], heading=owner.heading, default=None, type=kind, help=text))
    return options


def _told(text: str, names: set[str]) -> str:
    """The text of an argument in the words of the command line: flags for names, nothing that only Python has."""
    flags = re.sub(r"`(\w+)`", lambda m: f"--{m[1].replace('_', '-')}" if m[1] in names else m[0], text)
    return re.sub(r"\s*In Python[^.]*\.", "", flags)


def make_task(task: type[Any], given: dict[str, Any]) -> Any:
    """The task from the options that were given; the others keep their defaults."""
    own: dict[str, Any] = {}
    for owner in _owners(task):
        values = {name: given[name] for name in owner.defaults if given.get(name) is not None}
        if owner.kind is task:
            own |= values
        elif values:
            field = next(f for f in fields(task) if isinstance(f.default, owner.kind))
            own[field.name] = replace(field.default, **values)  # type: ignore[type-var]
    return task(**own)


def check_target(path: Path, *others: Path | None, endings: tuple[str, ...] = ()) -> None:
    """Raise `ArgumentError` before any work is done if an output cannot be written, or is one of the other files.

    Args:
        path: Where to write.
        others: Files that are read or written as well.
        endings: How the name must end; any way if empty.
    """
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir():
        raise ArgumentError(
            "the output must be a file in a folder that exists",
            got=f"the folder {str(path)!r}" if path.is_dir() else repr(str(path)),
            fix="Add a file name." if path.is_dir() else "Make the folder, or choose another path.",
            code="write",
        )
    if not os.access(folder, os.W_OK):
        raise ArgumentError(
            "the output must be in a folder that may be written to",
            got=repr(str(folder)),
            fix="Choose another folder, or change its permissions.",
            code="write",
        )
    if endings and path.suffix.lower() not in endings:
        raise ArgumentError(
            f"the output must end in {' or '.join(endings)}", got=repr(path.name), fix="Rename it.", code="extension"
        )
    for other in others:
        if other is not None and (
            path.absolute() == other.absolute() or (path.exists() and other.exists() and path.samefile(other))
        ):
            raise ArgumentError(
                "every output must be a file of its own",
                got=f"{str(path)!r} twice",
                fix="Choose another path.",
                code="write",
            )


class _Owner(NamedTuple):
    """A task or an option object: its class, its fields with what they are by default, and their heading."""

    kind: type[Any]
    defaults: dict[str, Any]
    heading: str


def _owners(task: type[Any]) -> list[_Owner]:
    own = {f.name: f.default for f in fields(task) if not is_dataclass(f.default)}
    nested: list[tuple[str, Any]] = [(f.name, f.default) for f in fields(task) if is_dataclass(f.default)]
    return [_Owner(task, own, "Model")] + [
        _Owner(type(one), {f.name: getattr(one, f.name) for f in fields(one)}, name.capitalize())
        for name, one in nested
    ]


def _kind(default: Any) -> tuple[Any, str]:
    if isinstance(default, bool):
        return bool, "yes" if default else "no"
    if isinstance(default, tuple):
        return _numbers(float), ",".join(str(v) for v in default)
    if isinstance(default, int):
        return _numbers(int), str(default)
    if isinstance(default, float):
        return float, f"{default:g}"
    return str, str(default).lower()


def _numbers(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            parts = [kind(part) for part in text.split(",")]
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise click.BadParameter(f"{text!r} is not {what}, nor several with commas between them.") from None
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
