"""Writes the table of docs/exchange.md: each layer and cell in ONNX, and how far ONNX Runtime is from ostinato.

python -m tests.unit.convert.make_matrix
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.unit.convert.samples import Sample, network, samples

from ostinato.convert.onnx import export
from ostinato.errors import ConversionError

PAGE = Path(__file__).parents[3] / "docs" / "exchange.md"
BEGIN, END = "<!-- onnx: made by tests/unit/convert/make_matrix.py -->\n", "<!-- onnx: end -->"


class Row(NamedTuple):
    """One layer or cell.

    Args:
        name: Its key.
        whole: Whether whole sequences can be written.
        step: Likewise one step; "forwards" if only in that direction.
        difference: Largest one over all samples.
    """

    name: str
    whole: str
    step: str
    difference: float


def rows() -> list[Row]:
    """The table, computed now."""
    by_name: dict[str, list[Sample]] = {}
    for sample in samples():
        if sample.name != "stack":
            by_name.setdefault(sample.name, []).append(sample)
    return [_row(name, by_name[name]) for name in sorted(by_name)]


def _row(name: str, found: list[Sample]) -> Row:
    worst = 0.0
    said: dict[bool, list[bool]] = {False: [], True: []}
    for sample in found:
        model = network(sample)
        for step in (False, True):
            if step and sample.shape == (4,):  # no time axis
                continue
            try:
                written = export.to_onnx(model, step=step)
            except ConversionError:
                said[step].append(False)
                continue
            worst = max(worst, export.check(model, written))
            said[step].append(True)
    return Row(name, _share(said[False]), _share(said[True]), worst)


def _share(said: list[bool]) -> str:
    return "no" if not any(said) else "yes" if all(said) else "forwards"


def table(found: list[Row]) -> str:
    """The table as Markdown."""
    lines = ["| layer or cell | whole sequences | one step | largest difference |", "|---|---|---|---|"]
    lines += [f"| `{r.name}` | {r.whole} | {r.step} | {r.difference:.1e} |" for r in found]
    return "\n".join(lines) + "\n"


def written() -> list[tuple[str, ...]]:
    """Name, whole and step of each row as the page has them."""
    lines = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0].splitlines()[2:]
    return [tuple(cell.strip(" `") for cell in line.strip("|").split("|")[:3]) for line in lines]


if __name__ == "__main__":
    page = PAGE.read_text("utf-8")
    head, _, rest = page.partition(BEGIN)
    PAGE.write_text(head + BEGIN + table(rows()) + END + rest.partition(END)[2], "utf-8")
