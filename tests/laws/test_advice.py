"""Whatever a command tells its user to pass is an option that there is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.unit.cli.call import call

from ostinato.cli.main import group, in_flags
from ostinato.errors import DataError

SOURCE = Path(__file__).parents[2] / "src" / "ostinato"
NAMED = re.compile(r"""\b(?!freq=)([a-z]\w*)=("[^"]*"|'[^']*'|\([^()]*\)|-?[\w.]+)""")

IN_PYTHON_ONLY = {"compat", "convert", "explain", "kernels", "layers", "maps", "models", "nn", "scans", "tune"}
"""Rooms whose arguments no command takes: their errors speak to who writes Python."""

TO_PYTHON = {
    ("data/inputs/midi.py", "low"), ("data/inputs/midi.py", "high"),
    ("data/inputs/text.py", "stream"), ("data/vocabularies/_text.py", "unknown"),
    ("data/vocabularies/characters.py", "unknown"),
    ("data/vocabularies/words.py", "unknown"), ("metrics/labels.py", "observed"), ("metrics/labels.py", "positive"),
    ("metrics/paired.py", "observed"), ("report/tables.py", "number"), ("train/feeds.py", "order"),
    ("train/health.py", "steps"), ("train/truncated.py", "order"),
}  # fmt: skip
"""Advice below the tasks that a command never comes to: which file, which argument."""


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "0" for v in node.values)
    return f"{_text(node.body)} {_text(node.orelse)}" if isinstance(node, ast.IfExp) else ""


def advice() -> Iterator[tuple[str, str, str]]:
    """(file, "fix" or "rule", its text) of every error in the source."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            given: list[tuple[str | None, ast.expr]] = []
            if isinstance(node, ast.Call):
                given = [(k.arg, k.value) for k in node.keywords]
                given += [("rule", a) for a in node.args[:1] if isinstance(node.func, ast.Name)]
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                given = [(node.targets[0].id, node.value)]
            for name, value in given:
                if name in ("fix", "rule") and _text(value):
                    yield path.relative_to(SOURCE).as_posix(), name, _text(value)


ADVICE = list(advice())


def commands() -> dict[str, click.Command]:
    """Every command by its words, those of the tasks below `fit`."""
    context = click.Context(group)
    found: dict[str, click.Command] = {}
    for verb in group.list_commands(context):
        command = group.get_command(context, verb)
        assert command is not None
        if isinstance(command, click.Group):
            below = {f"{verb} {task}": command.get_command(context, task) for task in command.list_commands(context)}
            found |= {words: one for words, one in below.items() if one is not None}
        else:
            found[verb] = command
    return found


def _flags(command: click.Command) -> set[str]:
    return {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)} | {"--help"}


COMMANDS = commands()


def test_what_is_named_in_advice_is_an_option():
    options = {str(p.name) for command in COMMANDS.values() for p in command.params}
    found = {
        (file, match[1])
        for file, _, text in ADVICE
        if file.partition("/")[0] not in IN_PYTHON_ONLY
        for match in NAMED.finditer(text)
    }
    assert len(found) > len(TO_PYTHON)
    strange = {(file, name) for file, name in found if name not in options}
    assert strange == TO_PYTHON


@pytest.mark.parametrize(
    "words", sorted({word for _, _, text in ADVICE for word in re.findall(r"--[a-z][\w-]*", text)})
)
def test_flags_in_advice_exist(words):
    assert words in {flag for command in COMMANDS.values() for flag in _flags(command)} | {"--upgrade"}  # that of pip


@pytest.mark.parametrize(
    "words", sorted({verb for _, _, text in ADVICE for verb in re.findall(r"`ostinato (\w+)", text)})
)
def test_verbs_in_advice_exist(words):
    assert words in {command.partition(" ")[0] for command in COMMANDS}


@pytest.mark.parametrize("words", COMMANDS)
def test_advice_is_an_option_of_the_command_or_points_to_fit(words):
    verb = words.partition(" ")[0]
    fits = {flag for name, command in COMMANDS.items() if name.startswith("fit ") for flag in _flags(command)}
    own = fits if verb == "fit" else _flags(COMMANDS[words])
    elsewhere = {flag for command in COMMANDS.values() for flag in _flags(command)} - fits - own
    for text in {text for file, _, text in ADVICE if file.partition("/")[0] not in IN_PYTHON_ONLY}:
        if {match[1] for match in NAMED.finditer(text)} & {name for _, name in TO_PYTHON}:
            continue
        shown = in_flags(DataError("there must be data", got="none", fix=text), verb=verb).fix
        for flag, to_fit in re.findall(r"(--[a-z][\w-]*) \S+( to fit)?", shown):
            if flag not in elsewhere:  # what only another verb has is advice of that verb's own errors
                assert flag in text or flag in (fits if to_fit else own), shown


def test_a_bad_text_is_advised_what_works_there(tmp_path):
    from tests.unit.runtime.generators import VOCABULARIES, generator

    from ostinato.runtime.bundle import save
    from ostinato.runtime.generator_file import to_bundle

    model, data = tmp_path / "model", tmp_path / "bad.txt"
    save(model, to_bundle(generator(VOCABULARIES["bytes"]), version="0.1.0"))
    data.write_bytes(b"the rain\nf\xe4llt")
    said = call("evaluate", model, data).err
    assert "byte 10 (line 2)" in said
    assert said.endswith("pass --errors replace.\n")
    assert call("evaluate", model, data, "--errors", "replace").code == 0
    assert call("evaluate", model, data, "--errors", "ignore").code == 2
