"""The section "Gradient health" of any report: plain facts in, one section out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TypedDict

from ostinato.report.figures import COLOURS, Line, LogPlot, figure
from ostinato.report.page import Section
from ostinato.report.tables import Column, table


class GateFacts(TypedDict):
    """Shares, 0 to 1, of one gate's values at its lower and upper end; `kind` is its nonlinearity, or "state"."""

    layer: str
    gate: str
    kind: str
    low: float
    high: float


class HealthFacts(TypedDict):
    """What `ostinato.train.Health.facts()` gives: the gradient by lag of each layer, its gates, and the diagnosis."""

    norms: Mapping[str, Sequence[float]]
    gates: Sequence[GateFacts]
    sentences: Sequence[str]
    healthy: bool
    rows: int
    cut: bool


def health_section(health: HealthFacts, *, key: str = "gradients") -> Section:
    """How far back the loss reaches, with the diagnosis.

    Args:
        health: The facts to show.
        key: The section's anchor.

    Raises:
        MissingDependency: Matplotlib is not installed.
    """
    lines = tuple(
        Line(name, list(range(len(norms))), norms, colour=COLOURS[i % len(COLOURS)], dash=i, width=2.0)
        for i, (name, norms) in enumerate(health["norms"].items())
    )
    rows = health["rows"]
    plot = LogPlot(
        label="Norm of the gradient by steps back",
        lines=lines,
        axes=("steps back", "norm of the gradient of the loss with respect to the states"),
        caption=f"Mean over {rows} sequence{'' if rows == 1 else 's'} after training."
        + (" Longer sequences were cut: only their last steps are shown." if health["cut"] else ""),
    )
    said = '<ul class="plain">' + "".join(f"<li>{escape(text)}</li>" for text in health["sentences"]) + "</ul>"
    columns = [
        Column("layer", "Layer", number=False),
        Column("gate", "Gate", number=False),
        Column("low", "At the lower end, %", percent=True),
        Column("high", "At the upper end, %", percent=True),
    ]
    caption = (
        "How many per cent of the values hardly learn: a gate below 0.05 (closed) or above 0.95 (open), a candidate "
        "beyond ±0.95, a state within 5 % of the ends of its range. An open forget gate is a memory, not a fault."
    )
    rows_of_gates = [
        {"layer": gate["layer"], "gate": gate["gate"], "low": round(gate["low"], 2), "high": round(gate["high"], 2)}
        for gate in health["gates"]
    ]
    gates = table(columns, rows_of_gates, caption=caption) if rows_of_gates else ""
    return Section(key, "Gradient health", said + figure(plot) + gates)
