"""Writes the tables of docs/exchange.md: each layer and cell in ONNX, and how far ONNX Runtime is from ostinato; what
Keras and torch can hold of each, and why not of the rest.

python -m tests.unit.convert.make_matrix
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.unit.convert.samples import Sample, network, samples

from ostinato.convert.keras.files import save_keras
from ostinato.convert.onnx import export
from ostinato.convert.torch import to_state_dict
from ostinato.errors import ConversionError
from ostinato.maps.masking import Masking
from ostinato.runtime.sequential_file import Named

PAGE = Path(__file__).parents[3] / "docs" / "exchange.md"
BEGIN, END = "<!-- onnx: made by tests/unit/convert/make_matrix.py -->\n", "<!-- onnx: end -->"
OTHERS = "<!-- others: made by tests/unit/convert/make_matrix.py -->\n", "<!-- others: end -->"


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


def others() -> list[tuple[str, ...]]:
    """Each layer and cell, and what Keras and torch can hold of it: "yes", or what not and why."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    with TemporaryDirectory() as folder:
        for sample in samples():
            if sample.name == "stack":
                continue
            model = network(sample)
            named = [Named(f"l{i}", p, w) for i, (p, w) in enumerate(zip(model.parts, model.weights, strict=True))]
            keras, torch = found.setdefault(sample.name, ({}, {}))
            keras[_keras(named, sample, Path(folder, "m.keras"))] = None
            if sample.name == "masking" or not isinstance(sample.parts[0], Masking):  # a mask is never torch's
                torch[_torch(named, sample)] = None
    return [(name, *(_reasons(one) for one in found[name])) for name in sorted(found)]


def _keras(named: list[Named], sample: Sample, path: Path) -> str:
    try:
        save_keras(path, named, sample.shape, name="m")
    except ConversionError as error:
        return error.rule
    return ""


def _torch(named: list[Named], sample: Sample) -> str:
    try:
        to_state_dict(named, sample.shape)
    except ConversionError as error:
        return re.sub(r"^(recurrent_)?activation='\w+'$", "another activation", error.got)
    return ""


def _reasons(said: dict[str, None]) -> str:
    refused = "; ".join(reason for reason in said if reason)
    return "yes" if not refused else f"in part: {refused}" if "" in said else f"no: {refused}"


def _share(said: list[bool]) -> str:
    return "no" if not any(said) else "yes" if all(said) else "forwards"


def table(found: list[Row]) -> str:
    """The table as Markdown."""
    lines = ["| layer or cell | whole sequences | one step | largest difference |", "|---|---|---|---|"]
    lines += [f"| `{r.name}` | {r.whole} | {r.step} | {r.difference:.1e} |" for r in found]
    return "\n".join(lines) + "\n"


def other_table(found: list[tuple[str, ...]]) -> str:
    """The other table as Markdown."""
    lines = ["| layer or cell | Keras | torch |", "|---|---|---|"]
    return "\n".join(lines + [f"| `{name}` | {keras} | {torch} |" for name, keras, torch in found]) + "\n"


def written(begin: str = BEGIN, end: str = END) -> list[tuple[str, ...]]:
    """The first three cells of each row as the page has them."""
    lines = PAGE.read_text("utf-8").partition(begin)[2].partition(end)[0].splitlines()[2:]
    return [tuple(cell.strip(" `") for cell in line.strip("|").split("|")[:3]) for line in lines]


if __name__ == "__main__":
    page = PAGE.read_text("utf-8")
    for begin, end, text in ((BEGIN, END, table(rows())), (*OTHERS, other_table(others()))):
        head, _, rest = page.partition(begin)
        page = head + begin + text + end + rest.partition(end)[2]
    PAGE.write_text(page, "utf-8")
