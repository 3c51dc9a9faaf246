"""The `ostinato` command: finds its verbs by their files, and turns every error into one clear line."""

from __future__ import annotations

import functools
import gc
import importlib
import pkgutil
import re
import shlex
import sys
import warnings
from types import TracebackType
from typing import Any

import click

from ostinato.errors import CheckpointDamaged, Interrupted, OstinatoError, Terminated
from ostinato.version import __version__

_OWN = {"main", "options", "outputs", "task_command"}
_PYTHON = re.compile(r"""\b(?!freq=)([a-z]\w*)=("[^"]*"|'[^']*'|\([^()]*\)|-?[\w.]*\w)""")


class Verbs(click.Group):
    """Each verb is the `command` of a file beside this one, imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        package = importlib.import_module("ostinato.cli")
        return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name not in _OWN)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        return _imported(f"ostinato.cli.{cmd_name}")


def _imported(name: str) -> click.Command:
    """The command of a module. What its import makes is there to stay: the garbage collector need not go through it,
    neither meanwhile nor when the process ends, which would be a fifth of a short command's time."""
    collects, new = gc.isenabled(), name not in sys.modules
    gc.disable()
    try:
        command: click.Command = importlib.import_module(name).command
        if new:
            gc.freeze()
    finally:
        if collects:
            gc.enable()
    return command


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ostinato")
@click.option("--debug", is_flag=True, help="Show the whole trace of an error.")
def group(*, debug: bool) -> None:
    """From a file of sequences to a trained, honestly evaluated model."""


def main() -> None:
    """Run the command line; errors end with one line on stderr and exit code 2, with a trace on --debug only.

    A damaged checkpoint ends with 3, Ctrl-C with 130, SIGTERM with 143.
    """
    debug = "--debug" in sys.argv[1:]
    if debug:
        sys.argv.remove("--debug")
    else:
        sys.excepthook = _unexpected
    warnings.showwarning = _warn
    try:
        sys.exit(group.main(prog_name="ostinato", standalone_mode=False))
    except click.exceptions.Abort as error:
        note = str(error.__cause__) if isinstance(error.__cause__, Interrupted) else f"interrupted{_lost()}"
        click.echo(f"ostinato: {note}", err=True)
        sys.exit(130)
    except Terminated as error:
        click.echo(f"ostinato: {error.note}", err=True)
        raise
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        help_of = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else f"ostinato {_verb()}"
        help_of = help_of.strip()
        click.echo(f"ostinato: [argument] {_line(error.format_message())} See {help_of} --help.", err=True)
        sys.exit(2)
    except OstinatoError as error:
        if debug:
            raise
        click.echo(f"ostinato: {_line(str(in_flags(error, verb=_verb())))}", err=True)
        sys.exit(3 if isinstance(error, CheckpointDamaged) else 2)
    except OSError as error:
        if debug:
            raise
        place = f" at {error.filename}" if error.filename else ""
        click.echo(f"ostinato: [file] the operating system refused: {error.strerror or error}{place}.", err=True)
        sys.exit(2)


def _verb() -> str:
    """The command that was asked for."""
    return next((word for word in sys.argv[1:] if not word.startswith("-")), "")


def _lost() -> str:
    """What Ctrl-C cost, and how it need not."""
    if _verb() != "fit" or any(word.startswith("--checkpoint") for word in sys.argv):
        return ""
    return "; no model was kept: a run with --checkpoint FOLDER can be stopped, and goes on from there"


def in_flags(error: OstinatoError, *, verb: str) -> OstinatoError:
    """The same error with its advice in the words of the command line: `gaps="fill"` becomes `--gaps fill`.

    Args:
        error: What a function of ostinato raised.
        verb: The command. What is no option of its own is one of `fit`, to which the advice then points.
    """
    own = _options(verb)

    def flag(match: re.Match[str]) -> str:
        return _flag(match) + ("" if own is None or match[1] in own else " to fit")

    rule, fix = (_PYTHON.sub(flag, text) for text in (error.rule, error.fix))
    return OstinatoError(
        rule,
        got=error.got,
        fix=fix,
        where=error.where,
        count=error.count,
        code=error.code,
    )


@functools.cache
def _options(verb: str) -> set[str] | None:
    """The names of a command's options; None for `fit`, whose tasks have all the others."""
    command = group.get_command(click.Context(group), verb)
    return None if verb == "fit" or command is None else {str(p.name) for p in command.params}


def flags(text: str) -> str:
    """Text with the arguments of Python that it names as options of the command line."""
    return _PYTHON.sub(_flag, text)


def _flag(match: re.Match[str]) -> str:
    value = match[2].strip("\"'()").replace(", ", ",")
    shown = "$'\\t'" if value == "\\t" else shlex.quote(value)
    plain = re.fullmatch(r"[\w.,-]*\w", value)  # else the full stop behind it would look like a part of it
    if shown == value and not plain:
        shown = f"'{value}'"
    return f"--{match[1].replace('_', '-')} {shown}"


def _line(text: str) -> str:
    """Text of several lines as one."""
    return " ".join(text.split())


def _unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        click.echo("ostinato: interrupted", err=True)
        return
    what = f"{kind.__name__}: {error}"
    click.echo(f"ostinato: a fault of ostinato itself ({what}). Run again with --debug for its trace.", err=True)


def _warn(message: Warning | str, category: type[Warning], *rest: Any, **options: Any) -> None:
    if issubclass(category, UserWarning):
        click.echo(f"ostinato: note: {_line(str(message))}", err=True)
