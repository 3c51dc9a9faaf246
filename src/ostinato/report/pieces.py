"""What the reports of all tasks have in common: the facts that they share, and how these are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NotRequired, TypedDict

from ostinato.report.figures import COLOURS, INK, Line, Plot, figure
from ostinato.report.tables import Column, table


class MadeWith(TypedDict):
    """What it takes to make the same report again: versions by package name, the seed, the command line."""

    versions: Mapping[str, str]
    seed: int
    command: str


class Training(TypedDict):
    """Losses after each epoch, the epoch (from 1) whose weights were kept, and a sentence on what ended it all."""

    epochs: int
    train_loss: Sequence[float]
    valid_loss: Sequence[float]
    best_epoch: int
    ended: NotRequired[str]


class LayerRow(TypedDict):
    """One row of the model summary; `output` is its shape as text."""

    layer: str
    output: str
    parameters: int


class Choice(TypedDict):
    """Something that was chosen: by the user or for the user, and why."""

    what: str
    chosen: object
    why: str


def losses(training: Training, *, unit: str = "loss", more: str = "") -> str:
    """The loss curves.

    Args:
        training: The losses.
        unit: What the y axis measures.
        more: A sentence for the end of the caption.
    """
    best = training["best_epoch"]
    lines = [
        Line(name, list(range(1, len(values) + 1)), values, colour=colour, dash=dash, width=1.8)
        for name, values, colour, dash in (
            ("training loss", training["train_loss"], INK, 1),
            ("validation loss", training["valid_loss"], COLOURS[0], 0),
        )
        if len(values)
    ]
    plot = Plot(
        label="Loss by epoch",
        lines=tuple(lines),
        marks=(best,),
        axes=("epoch", unit),
        caption=f"{training['epochs']} epochs; the weights after epoch {best} (dotted line) were kept. {more}".strip(),
    )
    ended = training.get("ended", "")
    return (f"<p>{escape(ended)}</p>" if ended else "") + figure(plot)


def layers(rows: Sequence[LayerRow], *, more: str = "") -> str:
    """The layers as a table; `more` ends the caption."""
    columns = [
        Column("layer", "Layer", number=False),
        Column("output", "Output", number=False),
        Column("parameters", "Parameters"),
    ]
    total = f"{sum(row['parameters'] for row in rows):,}".replace(",", "\u202f")
    return table(columns, rows, caption=f"{total} parameters in all{more}.")


def choices(rows: Sequence[Choice]) -> str:
    """The choices as a table."""
    return table([Column(key, key.capitalize(), number=False) for key in ("what", "chosen", "why")], rows)


def reproduce(made_with: MadeWith) -> str:
    """The command, the seed and the versions."""
    versions = ", ".join(f"{name} {version}" for name, version in made_with["versions"].items())
    return (
        f"<pre><code>{escape(made_with['command'])}</code></pre>"
        f"<p>Seed {escape(str(made_with['seed']))}. Made with {escape(versions)}.</p>"
    )


def listed(sentences: Sequence[str]) -> str:
    """Sentences as a list; nothing for none."""
    if not sentences:
        return ""
    return '<ul class="plain">' + "".join(f"<li>{escape(str(text))}</li>" for text in sentences) + "</ul>"
