"""What `bench/kernels.py` found, kept as JSON and shown as tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from pathlib import Path

import msgspec

from rivals.problem import KINDS, NAMES


class Side(msgspec.Struct, frozen=True):
    """Milliseconds of one side of a row: the least and the median of the rounds; `way` is the switch that was best."""

    way: str
    min: float
    median: float


class Row(msgspec.Struct, frozen=True):
    """One problem. `floor` is the arithmetic of products and gates on registers, in ms."""

    cell: str
    size: str
    kind: str
    rounds: int
    floor: float
    gflops: float
    sides: dict[str, Side]

    def ratio(self, rival: str) -> float | None:
        """The rival's least time over ours."""
        return self.sides[rival].min / self.sides["ours"].min if rival in self.sides else None

    @property
    def share(self) -> float:
        """The floor over our least time."""
        return self.floor / self.sides["ours"].min


class Found(msgspec.Struct):
    """Everything, with machine and versions."""

    machine: str
    threads: int
    isa: str
    versions: dict[str, str]
    peak_gflops: float
    rows: list[Row]
    unit: str = "milliseconds; ratios are of minima; geometric_means: the rivals' time over ours"
    geometric_means: dict[str, dict[str, float]] = {}

    def alike(self, other: Found) -> bool:
        """Whether rows of both may stand in one table: machines of one name may be of different speed."""
        same = all(getattr(self, f) == getattr(other, f) for f in ("machine", "threads", "isa", "versions"))
        return same and 0.85 < self.peak_gflops / other.peak_gflops < 1.18

    @property
    def rivals(self) -> list[str]:
        """All sides but ours."""
        return [name for name in self.versions if name != "ours"]


def groups(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """Rows by cell and kind, kinds in their order."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (KINDS.index(row.kind), NAMES.index(row.cell))):
        found.setdefault((row.cell, row.kind), []).append(row)
    return found


def mean(ratios: list[float]) -> float:
    """The geometric mean."""
    return math.exp(statistics.fmean(math.log(r) for r in ratios))


def means(found: Found) -> dict[str, dict[str, float]]:
    """Geometric means by cell and kind, against each rival, the best rival of each row, and the floor."""
    table: dict[str, dict[str, float]] = {}
    for (cell, kind), rows in groups(found.rows).items():
        line: dict[str, list[float]] = {}
        for row in rows:
            ratios = {rival: r for rival in found.rivals if (r := row.ratio(rival)) is not None}
            for rival, ratio in ratios.items():
                line.setdefault(rival, []).append(ratio)
            line.setdefault("best rival", []).append(min(ratios.values()))
        line["floor"] = [row.share for row in rows]
        table[f"{cell}, {kind}"] = {rival: mean(ratios) for rival, ratios in line.items()}
    return table


def line(row: Row) -> str:
    """A row for the terminal."""
    sides = "  ".join(
        f"{name} {side.min:.4g}" + ("" if name == "ours" else f" (x{side.min / row.sides['ours'].min:.2f})")
        for name, side in row.sides.items()
    )
    return f"{row.cell:16}{row.size:32}{row.kind:18}{sides}  floor {row.floor:.3g}  {row.gflops:.0f} GF/s"


def markdown(found: Found) -> str:
    """The tables of `bench/README.md`."""
    versions = ", ".join(f"{'ostinato' if k == 'ours' else k} {v}" for k, v in found.versions.items())
    head = [*found.rivals, "best rival", "floor"]
    text = [
        f"{found.machine}, {found.threads} threads, {found.isa}, registers alone {found.peak_gflops:.0f} GF/s;"
        f" {versions}.",
        "",
        "Geometric means over the rows, the rival's time over ours; 2 means that we take half the time. The floor's"
        " time over ours is at most 1.",
        "",
        f"| cell | kind | rows | {' | '.join(head)} | slowest row against torch | against any |",
        f"|---|---|--:|{'--:|' * (len(head) + 2)}",
    ]
    table = means(found)
    for (cell, kind), rows in groups(found.rows).items():
        cells = [f"{table[f'{cell}, {kind}'][r]:.2f}" if r in table[f"{cell}, {kind}"] else "–" for r in head]
        worst = min((row.ratio(rival) or math.inf, rival) for row in rows for rival in found.rivals)
        against_torch = min(row.ratio("torch") or math.inf for row in rows)
        slowest = f"{worst[0]:.2f} ({worst[1]})"
        known = "–" if math.isinf(against_torch) else f"{against_torch:.2f}"
        text.append(f"| `{cell}` | {kind} | {len(rows)} | {' | '.join(cells)} | {known} | {slowest} |")
    sides = list(found.versions)
    text += [
        "",
        "Milliseconds, least of the rounds; the floor is the arithmetic of products and gates alone.",
        "",
        f"| cell | kind | size | floor | {' | '.join(sides)} |",
        f"|---|---|---|{'--:|' * (len(sides) + 1)}",
    ]
    for (cell, kind), rows in groups(found.rows).items():
        for row in rows:
            times = [f"{row.sides[s].min:.3g}" if s in row.sides else "–" for s in sides]
            text.append(f"| `{cell}` | {kind} | {row.size} | {row.floor:.2g} | {' | '.join(times)} |")
    return "\n".join(text)


def keep(found: Found, path: Path) -> Found:
    """Write `found`, with the rows of other cells that an earlier run on the same machine and versions left there."""
    cells = {row.cell for row in found.rows}
    if path.exists():
        try:
            earlier = msgspec.json.decode(path.read_bytes(), type=Found)
        except msgspec.ValidationError:  # of an earlier form
            earlier = None
        if earlier is not None and earlier.alike(found):
            found.rows = [row for row in earlier.rows if row.cell not in cells] + found.rows
    found.geometric_means = means(found)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    return found


def paste(text: str, path: Path, name: str) -> None:
    """Put `text` between the marks `<!-- name -->` and `<!-- /name -->` of a page."""
    page = path.read_text("utf-8")
    before, begin, rest = page.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not (begin and end):
        raise SystemExit(f"{path}: there are no marks for {name}")
    path.write_text(f"{before}{begin}\n{text}\n\n{end}{after}", "utf-8")
