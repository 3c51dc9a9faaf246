"""The report of a generator: a plain dict in, one HTML page out. Nothing is computed here; the dict says all."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from html import escape
from typing import NotRequired, TypedDict

from ostinato.errors import ArgumentError, ShapeError
from ostinato.report.figures import COLOURS, Line, Plot, figure
from ostinato.report.page import Page, Section, render
from ostinato.report.pieces import Choice, LayerRow, MadeWith, Training, choices, layers, listed, losses, reproduce
from ostinato.report.tables import Column, table

LONG = 1500
"""Samples of more characters are folded."""

BITS = (1.0, 2.0, 4.0, 6.0, 9.0)
"""Where the colours of surprise change, in bits."""

_SHADES = (0.0, 0.10, 0.22, 0.38, 0.56, 0.78)


class Score(TypedDict):
    """One method's figures; None where it has none. The network comes first."""

    name: str
    nats: float | None
    perplexity: float | None
    bits: float | None


class Sample(TypedDict):
    """Something that the network wrote: how it was drawn, what it began from, what followed."""

    label: str
    prime: str
    text: str


class Roll(TypedDict):
    """A tune that the network wrote: how it was drawn, and its notes as (first beat, last beat, pitch)."""

    label: str
    notes: Sequence[tuple[float, float, int]]


class Surprise(TypedDict):
    """A passage that the network had not seen, in pieces, and what each cost, in nats."""

    pieces: Sequence[str]
    nats: Sequence[float]


class GenerateReport(TypedDict):
    """All that the report of a generator shows. What is left out, or empty, is not shown.

    `pace` says how fast training was; `positions` is the mean surprise in nats by the steps since a text began, as
    (steps, nats).
    """

    title: str
    verdict: str
    made_with: MadeWith
    scores: Sequence[Score]
    symbols: int
    samples: NotRequired[Sequence[Sample]]
    rolls: NotRequired[Sequence[Roll]]
    surprise: NotRequired[Surprise]
    training: NotRequired[Training]
    pace: NotRequired[str]
    positions: NotRequired[tuple[Sequence[float], Sequence[float]]]
    data: NotRequired[Mapping[str, str]]
    treatments: NotRequired[Sequence[str]]
    model: NotRequired[Sequence[LayerRow]]
    choices: NotRequired[Sequence[Choice]]
    notes: NotRequired[Sequence[str]]
    further: NotRequired[Sequence[Section]]


def generate_report(report: GenerateReport) -> str:
    """The report as one HTML document; `page.write` puts it into a file.

    Args:
        report: The facts to show.

    Raises:
        ArgumentError: `title`, `verdict`, `made_with` or `scores` is missing.
        ShapeError: Pieces and their surprise are not as many.
        MissingDependency: Matplotlib is not installed.
    """
    for key in ("title", "verdict", "made_with", "scores", "symbols"):
        if key not in report:
            raise ArgumentError(f"the report of a generator must have {key!r}", got="none", fix="Add it to the dict.")
    sections = [Section("scores", "Scores", _scores(report["scores"], report["symbols"]))]
    if report.get("samples"):
        sections.append(Section("samples", "Samples", "".join(map(_sample, report["samples"]))))
    if report.get("rolls"):
        sections.append(Section("samples", "Samples", "".join(figure(_roll(roll)) for roll in report["rolls"])))
    if report.get("surprise"):
        sections.append(Section("surprise", "What surprised the network", _surprise(report["surprise"])))
    if report.get("training"):
        sections.append(
            Section(
                "training", "Training", losses(report["training"], unit="nats a symbol", more=report.get("pace", ""))
            )
        )
    if report.get("positions"):
        sections.append(Section("positions", "What the past is worth", _positions(*report["positions"])))
    sections += report.get("further", ())
    if report.get("data"):
        facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in report["data"].items())
        sections.append(Section("data", "Data", f"<dl>{facts}</dl>" + listed(report.get("treatments", ()))))
    if report.get("choices"):
        sections.append(Section("choices", "Choices made and why", choices(report["choices"])))
    if report.get("model"):
        sections.append(
            Section("model", "Model", layers(report["model"], more=", a tied table counted where it is used"))
        )
    if report.get("notes"):
        sections.append(Section("notes", "Notes", listed(report["notes"])))
    sections.append(Section("reproduce", "How to reproduce", reproduce(report["made_with"])))
    return render(Page(report["title"], report["verdict"], tuple(sections)))


def _scores(scores: Sequence[Score], symbols: int) -> str:
    columns = [
        Column("name", "Method", number=False),
        Column("bits", "Bits a character", best="low"),
        Column("nats", "Nats a symbol", best="low"),
        Column("perplexity", "Perplexity", best="low"),
    ]
    if all(score["bits"] is None for score in scores):  # music
        columns = [column for column in columns if column.key != "bits"]
    count = f"{symbols:,}".replace(",", "\u202f")
    caption = (
        f"Mean over {count} symbols of the validation part, which no method was trained on. "
        "Less is better. A perplexity of p means: as unsure as between p equally likely symbols."
    )
    return table(columns, scores, caption=caption, own=0)


def _sample(sample: Sample) -> str:
    prime = f"<b>{_visible(sample['prime'])}</b>" if sample["prime"] else ""
    body = f"<pre>{prime}{_visible(sample['text'])}</pre>"
    if len(sample["text"]) > LONG:
        count = f"{len(sample['text']):,}".replace(",", "\u202f")
        body = f"<details><summary>{count} characters</summary>{body}</details>"
    return f"<h3>{escape(sample['label'])}</h3>{body}"


def _named(text: str) -> str:
    """Control and direction characters as their code points, so that none can act on the page."""
    return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else f"⟨{ord(c):04X}⟩" for c in text)


def _visible(text: str) -> str:
    return escape(_named(text))


def _roll(roll: Roll) -> Plot:
    x: list[float] = []
    y: list[float] = []
    for first, last, pitch in roll["notes"]:
        x += [first, last, last]
        y += [pitch, pitch, math.nan]
    line = Line("", x, y, colour=COLOURS[0], width=2.6)
    return Plot(roll["label"], (line,), axes=("beats", "pitch (MIDI number)"), heading=roll["label"])


def _shade(nats: float) -> int:
    bits = nats / math.log(2.0)
    return sum(bits >= limit for limit in BITS)


def _mark(text: str, nats: float) -> str:
    shade = _shade(nats)
    shown = text.replace("\n", "↵\n") if shade else text
    body = _visible(shown)
    if not shade:
        return body
    style = f"background:rgba(213,94,0,{_SHADES[shade]})"
    return f'<span style="{style}" title="{nats / math.log(2.0):.1f} bits">{body}</span>'


def _surprise(surprise: Surprise) -> str:
    pieces, nats = list(surprise["pieces"]), [float(n) for n in surprise["nats"]]
    if len(pieces) != len(nats):
        raise ShapeError(
            "surprise must have one number for each piece", got=f"{len(nats)} for {len(pieces)}", fix="Give as many."
        )
    passage = "".join(_mark(text, n) for text, n in zip(pieces, nats, strict=True))
    limits = ["0", *(f"{limit:g}" for limit in BITS)]
    key = " ".join(
        f'<span style="background:rgba(213,94,0,{shade})">{limit} bits and more</span>'
        for limit, shade in zip(limits, _SHADES, strict=True)
    )
    order = sorted(range(len(nats)), key=lambda i: -nats[i])[:10]
    rows = [
        {"before": "".join(pieces[max(0, i - 24) : i])[-40:], "piece": pieces[i], "bits": nats[i] / math.log(2.0)}
        for i in order
    ]
    for row in rows:
        row.update({k: _named(str(row[k])).replace("\n", "↵") for k in ("before", "piece")})
    columns = [
        Column("piece", "What came", number=False),
        Column("before", "after", number=False),
        Column("bits", "Bits"),
    ]
    return (
        "<p>A passage of the validation part. The darker a symbol, the less the network expected it.</p>"
        f'<p class="soft key">{key}</p><pre>{passage}</pre>{table(columns, rows, caption="What it expected least.")}'
    )


def _positions(steps: Sequence[float], nats: Sequence[float]) -> str:
    line = Line("", list(steps), nats, colour=COLOURS[0], width=1.8)
    return figure(
        Plot(
            "Surprise by how much of the text came before",
            (line,),
            axes=("symbols since the text began", "nats a symbol"),
            caption="Mean over stretches of the validation part that were read from nothing.",
        )
    )
