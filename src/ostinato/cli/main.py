"""The `ostinato` command: finds its verbs by their files, and turns every error into one clear line."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import warnings
from types import TracebackType
from typing import Any

import click

from ostinato.errors import OstinatoError
from ostinato.version import __version__

_OWN = {"main", "options"}


class Verbs(click.Group):
    """Each verb is the `command` of a file beside this one, imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        package = importlib.import_module("ostinato.cli")
        return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name not in _OWN)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"ostinato.cli.{cmd_name}").command
        return command


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ostinato")
@click.option("--debug", is_flag=True, help="Show the whole trace of an error.")
def group(*, debug: bool) -> None:
    """From a file of sequences to a trained, honestly evaluated model."""


def main() -> None:
    """Run the command line; errors end with one line on standard error and exit code 2, with a trace only on --debug."""
    debug = "--debug" in sys.argv[1:]
    if debug:
        sys.argv.remove("--debug")
    else:
        sys.excepthook = _unexpected
    warnings.showwarning = _warn
    try:
        sys.exit(group.main(prog_name="ostinato", standalone_mode=False))
    except click.exceptions.Abort:
        click.echo("ostinato: interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OstinatoError as error:
        if debug:
            raise
        click.echo(f"ostinato: {error}", err=True)
        sys.exit(2)


def _unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        click.echo("ostinato: interrupted", err=True)
        return
    click.echo(f"ostinato: a fault of ostinato itself ({kind.__name__}: {error}). Run again with --debug for its trace.",
               err=True)  # fmt: skip


def _warn(message: Warning | str, category: type[Warning], *rest: Any, **options: Any) -> None:
    if issubclass(category, UserWarning):
        click.echo(f"ostinato: note: {message}", err=True)
