"""A command with many options: its help shows them under headings."""

from __future__ import annotations

from typing import Any

import click


class TaskOption(click.Option):
    """An option under a heading.

    Args:
        heading: Of its part of the help.
        declarations: As click's.
        options: As click's.
    """

    def __init__(self, *declarations: Any, heading: str, **options: Any) -> None:
        super().__init__(*declarations, **options)
        self.heading = heading


class TaskCommand(click.Command):
    """A command whose options stand under their headings, in the order in which those first come."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, those without a heading first."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                heading = param.heading if isinstance(param, TaskOption) else "Options"
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)
