"""How fast are the compiled kernels beside the rivals, and how far from what the processor can do?

Every cell: inference, training, both with ragged lengths, single steps, 1,024 pooled rows; against torch, ONNX Runtime,
JAX and Keras, each with its best switch, in one process, in turns. Outputs (in training: gradients) are compared first.
The floor is the arithmetic of products and gates at the speed of registers, on all threads. Rivals other than torch:
`pip install -r bench/requirements.txt`; one that is missing has an empty column.

    python bench/kernels.py [cell ...] [--rivals torch jax ...] [--rows TEXT ...] [--draft]

`--rows` takes those whose size and kind, as printed, hold one of the texts. Rows of whole cells against all rivals are
kept in `results/kernels.json` and shown in `README.md`; `--draft` keeps nothing.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rivals.base import Rival, Way
from rivals.ours import Ours
from rivals.problem import GRID, NAMES, RAGGED_TRAIN, TRAIN, Floats, Problem
from rivals.report import Found, Row, Side, keep, line, markdown, means, paste
from rivals.rounds import PAUSE, compare, fastest

from ostinato.runtime import native

HERE = Path(__file__).parent


class Speed(NamedTuple):
    """What one core does: GF/s of products on registers, and nanoseconds that each function takes a number."""

    peak: float
    functions: dict[str, float]

    def floor(self, problem: Problem, *, training: bool, threads: int) -> float:
        """Milliseconds below which nobody comes; one row is on one core."""
        gates = sum(count * self.functions[name] for name, count in problem.functions().items())
        return (problem.flops(training=training) / self.peak + gates) / min(threads, problem.size.batch) / 1e6


class Source(NamedTuple):
    """Where a rival is: the file in `rivals/`, its class, its name in tables, and what pip needs to install."""

    module: str
    rival: str
    title: str
    packages: str


RIVALS = {
    "torch": Source("pytorch", "PyTorch", "torch", "torch"),
    "onnxruntime": Source("onnx_runtime", "ONNXRuntime", "ONNX Runtime", "onnx onnxruntime"),
    "jax": Source("jax_scan", "JAX", "JAX", "jax"),
    "keras": Source("keras_layers", "Keras", "Keras on JAX", "jax keras"),
}
TOLERANCE = 1e-5


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def load(names: list[str], threads: int) -> dict[str, Rival | None]:
    """Ours and the rivals by title; None for one that is not installed."""
    sides: dict[str, Rival | None] = {"ours": Ours(threads)}
    for name in names:
        module, rival, title, packages = RIVALS[name]
        try:
            sides[title] = getattr(importlib.import_module(f"rivals.{module}"), rival)(threads)
        except ImportError as error:
            sides[title] = None
            print(f"the column of {title} stays empty ({error}); it comes with: pip install {packages}")
    return sides


def check(problem: Problem, title: str, ways: dict[str, Way], truth: Floats) -> None:
    """Raise unless all ways of a side give what the formula gives."""
    scale = max(1.0, float(np.abs(truth).max()))
    for name, way in ways.items():
        error = float(np.abs(way.read(way.run()) - truth).max()) / scale
        if not error < TOLERANCE:
            raise SystemExit(f"{problem.name} {problem.size}: {title}, {name}, is off by {error:.2g}")


def speed(isa: str) -> Speed:
    """Measured on one core, on registers and in the first cache."""
    peak, numbers, rounds = max(native.module().peak(isa) for _ in range(5)), np.zeros(2048, np.float32), 200

    def nanoseconds(name: str) -> float:
        began = time.perf_counter()
        for _ in range(rounds):
            native.module().activate(isa, native.FUNCTIONS.index(name), numbers, 1, numbers.size)
        return (time.perf_counter() - began) / rounds / numbers.size * 1e9

    return Speed(peak, {name: min(nanoseconds(name) for _ in range(20)) for name in ("sigmoid", "tanh")})


def measure(problem: Problem, kind: str, sides: dict[str, Rival | None], core: Speed) -> Row:
    """One row of the table."""
    training = kind in (TRAIN, RAGGED_TRAIN)
    truth = problem.truth(training=training)
    chosen, calls = {}, {}
    for title, side in sides.items():
        ways = side.ways(problem, kind) if side else {}
        if side and ways:
            if side.same(problem):
                check(problem, title, ways, truth)
            chosen[title] = fastest({name: way.run for name, way in ways.items()})
            calls[title] = ways[chosen[title]].run
    times = compare(calls)
    found = {
        name: Side(chosen[name], min(rounds) * 1e3, statistics.median(rounds) * 1e3) for name, rounds in times.items()
    }
    flops, rounds = problem.flops(training=training), len(times["ours"])
    floor = core.floor(problem, training=training, threads=torch.get_num_threads())
    return Row(problem.name, str(problem.size), kind, rounds, floor, flops / found["ours"].min / 1e6, found)


def main() -> None:
    """Measure, print and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="*", metavar="cell", help=", ".join(NAMES))
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, default=list(RIVALS))
    parser.add_argument("--rows", nargs="+", metavar="TEXT", help='only these, such as "H128 train"; keeps nothing')
    parser.add_argument("--draft", action="store_true", help="keep nothing")
    asked = parser.parse_args()
    if unknown := set(asked.cells) - set(NAMES):
        parser.error(f"no cell {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    began, threads, isa = time.perf_counter(), torch.get_num_threads(), native.engine()
    sides = load(asked.rivals, threads)
    core = speed(isa)
    peak = threads * core.peak
    found = Found(
        f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}", threads, isa,
        {title: side.version if side else "missing" for title, side in sides.items()}, peak, [],
    )  # fmt: skip
    print(f"{found.machine}, {threads} threads, {isa}, registers alone {peak:.0f} GF/s, pauses of {PAUSE * 1e3:.0f} ms")
    print(", ".join(f"{name} {version}" for name, version in found.versions.items()), "; milliseconds\n", sep="")
    for cell in asked.cells or NAMES:
        for size in GRID:
            for kind in size.kinds:
                if asked.rows and not any(text in f"{size} {kind}" for text in asked.rows):
                    continue
                found.rows.append(measure(Problem(cell, size), kind, sides, core))
                print(line(found.rows[-1]), flush=True)
    if not (asked.draft or asked.rows) and asked.rivals == list(RIVALS):
        found = keep(found, HERE / "results" / "kernels.json")
        paste(markdown(found), HERE / "README.md", "kernels")
    print(f"\n{time.perf_counter() - began:.0f} s; geometric means, the rival's time over ours")
    for name, ratios in means(found).items():
        print(f"  {name:32}", "  ".join(f"{rival} x{ratio:.2f}" for rival, ratio in ratios.items()))
    for rival in found.rivals:
        rows = {ratio: row for row in found.rows if (ratio := row.ratio(rival)) is not None}
        if rows:
            row = rows[min(rows)]
            print(f"  slowest row against {rival}: x{min(rows):.2f}, {row.cell} {row.size}, {row.kind}")


if __name__ == "__main__":
    main()
