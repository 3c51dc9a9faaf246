"""`ostinato fit TASK DATA`: train, evaluate, save, report."""

from __future__ import annotations

import io
import os
import shlex
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import click

from ostinato._folder import catalogue
from ostinato._optional import check_installed
from ostinato.cli.main import flags
from ostinato.cli.options import check_target, make_task, task_options
from ostinato.cli.outputs import Outputs
from ostinato.cli.task_command import TaskCommand
from ostinato.errors import OstinatoWarning
from ostinato.runtime.atomic import replace_file

_REPORT = 1 << 20
"""Room that is held for a report, in bytes; most need less."""


class Tasks(click.Group):
    """One command a task, with the task's options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_tasks())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        task = _tasks().get(cmd_name)
        return None if task is None else _command(cmd_name, task)


def _tasks() -> Any:
    from ostinato.tasks.base import Task

    return catalogue("ostinato.tasks", Task)


def _team() -> Any:
    """The other processes, or None; without loading torch if there are none, so that mistakes are answered at once."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return None
    from ostinato.train.distributed import team

    return team()


def _find_learning_rate(model: Any, files: tuple[Path, ...], plot: Path) -> None:
    check_target(plot, *files, endings=(".png", ".svg"))
    source = [str(path) for path in files]
    found = model.find_learning_rate(source if len(source) > 1 else source[0])
    drawn = io.BytesIO()
    found.plot().savefig(drawn, format=plot.suffix[1:].lower())
    replace_file(str(plot), [drawn.getbuffer()])
    click.echo(f"--learning-rate {found.suggestion:.2g}")


def _command(name: str, task: type[Any]) -> click.Command:
    several = task.several_files

    def run(
        *, data: Path | tuple[Path, ...], out: Path, report: Path | None, quiet: bool, find_learning_rate: Path | None,
        **given: Any,
    ) -> None:  # fmt: skip
        check_installed("torch", "matplotlib", purpose="to train a model and draw its report")
        files = data if isinstance(data, tuple) else (data,)
        if find_learning_rate is not None:
            _find_learning_rate(make_task(task, given), files, find_learning_rate)
            return
        check_target(out, *files)
        page = report or out.with_suffix(".html")
        check_target(page, *files, out)
        began = time.monotonic()
        model = make_task(task, given)
        source = [str(path) for path in files]
        together = _team()
        if together is not None and not together.first:
            warnings.simplefilter("ignore", OstinatoWarning)
        learn = partial(model.fit, source if len(source) > 1 else source[0], verbose=0 if quiet else 1)
        if together is not None and not together.first:
            learn()
            together.wait()
            return
        with Outputs(model=out, report=page) as outputs:
            outputs["report"].hold(_REPORT)
            learn(room=outputs["model"])
            outputs.write("model", model.save)
            outputs.write("report", partial(model.report, command=shlex.join(["ostinato", *sys.argv[1:]])))
            if not quiet:
                click.echo(flags(model.summary()))
                click.echo(f"\n{outputs}\ntime    {time.monotonic() - began:.0f} s")
        if together is not None:
            together.wait()

    summary = (task.__doc__ or "").split("\n\n")[0].replace("`", "")
    example = f"ostinato fit {name} {task.example} --out {Path(task.example).stem}.safetensors"
    return TaskCommand(
        name,
        callback=run,
        help=f"{summary}\n\n{task.reads}\n\n\b\nExample: {example}",
        short_help=(sys.modules[task.__module__].__doc__ or "").partition("\n")[0],
        params=[
            click.Argument(["data"], type=click.Path(path_type=Path), nargs=-1 if several else 1, required=True),
            click.Option(["--out", "-o"], type=click.Path(path_type=Path), default=Path("model.safetensors"),
                         show_default=True, help="Where to save the model."),
            click.Option(["--report"], type=click.Path(path_type=Path), default=None,
                         help="Where to write the report; beside the model, with .html, by default."),
            click.Option(["--find-learning-rate"], type=click.Path(path_type=Path), default=None, metavar="PLOT",
                         help="Look for a learning rate instead, print it, and write the plot to this .png or .svg."),
            click.Option(["--quiet", "-q"], is_flag=True, help="Print nothing but errors and notes."),
            *task_options(task),
        ],
    )  # fmt: skip


@click.command(cls=Tasks)
def command() -> None:
    """Train a model on a file: ostinato fit TASK DATA.

    Writes the model, which needs no torch to run, and a report with figures beside it. See `ostinato fit TASK --help`
    for the options of a task.
    """
