"""How long does one step of a stream take beside ONNX Runtime and torch's cells, alone and in a pool of 1,024?

One step from Python, state fed back: ours is the public `Stream.step` (into a new array, or one that is kept), ONNX
Runtime's operator with states in and out and memory bound beforehand, torch's cell or layer under `inference_mode`;
each on one thread, the best of its ways, in turns, after their outputs were found to be the same. A pool: 1,024 streams
a call, each side on one thread and on all. Small nets of one input, as audio effects use them, as multiples of real
time at 48 kHz, step by step and in blocks. Then what a long stream costs: memory after many steps, and the time of a
step after a long silence over that of one amid noise.

    python bench/streams.py [--steps 100000000] [--draft]

`pip install -r bench/requirements.txt` brings ONNX Runtime; without it its column stays empty.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import torch
from rivals.base import Rival
from rivals.networks import random_network
from rivals.ours import Ours
from rivals.problem import POOLED, STEP, Problem, Size
from rivals.pytorch import PyTorch
from rivals.report import paste
from rivals.rounds import compare, fastest, least

from ostinato.cells import CELLS
from ostinato.runtime import Network, native
from ostinato.scans.recurrent import Recurrent
from ostinato.version import __version__

HERE = Path(__file__).parent
NAMES = ("lstm", "gru_reset_after", "gru", "simple_rnn")
RATE = 48_000
AUDIO = (8, 16, 32)
BLOCK = 64
TOLERANCE = 1e-5


class Side(msgspec.Struct, frozen=True):
    """Microseconds of one side: the least and the median of the rounds."""

    way: str
    min: float
    median: float


class Row(msgspec.Struct, frozen=True):
    """One comparison."""

    cell: str
    what: str
    sides: dict[str, Side]


class Audio(msgspec.Struct, frozen=True):
    """How many times faster than real time one channel is, a sample a call and in blocks."""

    cell: str
    units: int
    step: float
    block: float


class Long(msgspec.Struct, frozen=True):
    """Bytes of resident memory that steps added, after a million that are not counted."""

    how: str
    steps: int
    seconds: float
    growth: int


class Found(msgspec.Struct):
    """Everything, with machine and versions."""

    machine: str
    isa: str
    versions: dict[str, str]
    rows: list[Row]
    audio: list[Audio]
    long: list[Long]
    silence: dict[str, float]


def network(cell: str, inputs: int, units: int, *, scale: float = 0.5) -> Network:
    """One layer with random weights."""
    return random_network([Recurrent(CELLS[cell](units), return_sequences=True)], inputs, scale=scale)


def rivals(threads: int) -> dict[str, Rival]:
    """Ours and those that are there."""
    sides: dict[str, Rival] = {"ours": Ours(threads), "torch": PyTorch(threads)}
    try:
        sides["ONNX Runtime"] = importlib.import_module("rivals.onnx_runtime").ONNXRuntime(threads)
    except ImportError as error:
        print(f"the column of ONNX Runtime stays empty ({error})")
    return sides


def measure(problem: Problem, kind: str, sides: dict[str, Rival]) -> Row:
    """One row: outputs first, then times."""
    truth, chosen, calls = problem.truth(training=False), {}, {}
    for title, side in sides.items():
        ways = side.ways(problem, kind)
        for name, way in ways.items():
            if side.same(problem) and not np.abs(way.read(way.run()) - truth).max() < TOLERANCE:
                raise SystemExit(f"{problem.name}: {title}, {name}, computes something else")
        chosen[title] = fastest({name: way.run for name, way in ways.items()})
        calls[title] = ways[chosen[title]].run
    times = compare(calls)
    found = {n: Side(chosen[n], min(t) * 1e6, statistics.median(t) * 1e6) for n, t in times.items()}
    return Row(problem.name, f"{kind}, {problem.size}", found)


def audio(cell: str, units: int) -> Audio:
    """Samples of one channel."""
    stream, x, out = network(cell, 1, units).stream(), np.full(1, 0.1, np.float32), np.empty(units, np.float32)
    block = np.random.default_rng(0).normal(size=(BLOCK, 1)).astype(np.float32)
    step, many = least(lambda: stream.step(x, out)), least(lambda: stream.run(block), 20) / BLOCK
    return Audio(cell, units, 1.0 / RATE / step, 1.0 / RATE / many)


def resident() -> int:
    """Bytes in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def long(how: str, steps: int) -> Long:
    """Memory before and after many steps of an LSTM with one input and 8 units."""
    stream, out = network("lstm", 1, 8).stream(), np.empty(8, np.float32)
    x, many = np.random.default_rng(0).normal(size=(10_000, 1)).astype(np.float32), np.empty((10_000, 8), np.float32)

    def go(n: int) -> None:
        if how == "run into the same array":
            for _ in range(n // len(x)):
                stream.run(x, many)
        elif how == "step into the same array":
            for i in range(n):
                stream.step(x[i % len(x)], out)
        else:
            for i in range(n):
                stream.step(x[i % len(x)])

    go(1_000_000)
    before, began = resident(), time.perf_counter()
    go(steps)
    took, growth = time.perf_counter() - began, resident() - before
    if not np.isfinite(stream.step(x[0])).all():
        raise SystemExit("the state is no longer finite")
    return Long(how, steps, took, growth)


def apart(how: str, steps: int) -> Long:
    """The same in a fresh process, where no rival's threads take memory meanwhile."""
    command = [sys.executable, __file__, "--long", how, "--steps", str(steps)]
    return msgspec.json.decode(subprocess.run(command, check=True, capture_output=True).stdout, type=Long)


def silence(cell: str) -> float:
    """A step after 100,000 zeros over one amid noise, for weights that let everything fade."""
    model = network(cell, 16, 64, scale=0.02)
    if cell == "simple_rnn":
        model = Network(
            (Recurrent(CELLS[cell](64, activation="relu"), return_sequences=True),), model.weights, (None, 16)
        )
    for name in ("b", "b_rec"):
        if name in model.weights[0]:
            model.weights[0][name][:] = 0.0
    noise, quiet = model.stream(), model.stream()
    x, zeros = np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32), np.zeros((64, 16), np.float32)
    quiet.run(x)
    quiet.run(np.zeros((100_000, 16), np.float32))
    times: dict[str, list[float]] = {"noise": [], "quiet": []}
    for _ in range(20):
        times["noise"].append(least(lambda: noise.run(x), 5, 20))
        times["quiet"].append(least(lambda: quiet.run(zeros), 5, 20))
    return min(times["quiet"]) / min(times["noise"])


def markdown(found: Found) -> str:
    """The tables."""
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    lines = [f"{found.machine}, {found.isa}; ostinato {versions}. Microseconds a call, least of the rounds.", ""]
    others = [name for name in ("ONNX Runtime", "torch") if name in found.versions]
    lines += [f"| cell | what | ours | {' | '.join(f'{o} | times' for o in others)} |",
              "|---|---|--:|" + "--:|--:|" * len(others)]  # fmt: skip
    for row in found.rows:
        mine = row.sides["ours"].min
        cells = [f"{row.sides[o].min:.2f} | {row.sides[o].min / mine:.1f}" for o in others]
        lines.append(f"| `{row.cell}` | {row.what} | {mine:.2f} | {' | '.join(cells)} |")
    lines += ["", f"One input at 48 kHz, times faster than real time: a sample a call; {BLOCK} samples a call.", "",
              "| cell | " + " | ".join(f"H{u} sample | H{u} block" for u in AUDIO) + " |",
              "|---|" + "--:|--:|" * len(AUDIO)]  # fmt: skip
    for cell in dict.fromkeys(a.cell for a in found.audio):
        of = [a for a in found.audio if a.cell == cell]
        lines.append(f"| `{cell}` | " + " | ".join(f"{a.step:.0f} | {a.block:.0f}" for a in of) + " |")
    lines += ["", "| steps of one stream | how | seconds | bytes more |", "|--:|---|--:|--:|"]
    lines += [f"| {a.steps:,} | {a.how} | {a.seconds:.0f} | {a.growth:,} |" for a in found.long]
    quiet = ", ".join(f"`{cell}` {ratio:.2f}" for cell, ratio in found.silence.items())
    return "\n".join([*lines, "", f"A step after a long silence over one amid noise: {quiet}.", ""])


def main() -> None:
    """Measure, print and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000_000, help="of the long stream")
    parser.add_argument("--draft", action="store_true", help="keep nothing")
    parser.add_argument("--long", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.long:
        print(msgspec.json.encode(long(asked.long, asked.steps)).decode())
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    one, many = rivals(1), rivals(threads)
    found = Found(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        native.engine(), {"": __version__} | {n: s.version for n, s in one.items() if n != "ours"}, [], [], [], {},
    )  # fmt: skip
    for cell in NAMES:
        found.rows.append(measure(Problem(cell, Size(1, 1, 16, 64)), STEP, one))
    torch.set_num_threads(threads)
    for cell in NAMES:
        found.rows.append(measure(Problem(cell, Size(1024, 1, 16, 64)), POOLED, many))
    for row in found.rows:
        print(
            row.cell,
            row.what,
            {n: (s.way, round(s.min, 3), round(s.median, 3)) for n, s in row.sides.items()},
            flush=True,
        )
    found.audio = [audio(cell, units) for cell in ("lstm", "gru_reset_after") for units in AUDIO]
    found.silence = {cell: silence(cell) for cell in NAMES}
    few = min(asked.steps, 10_000_000)
    found.long = [
        apart("run into the same array", asked.steps),
        apart("step into the same array", few),
        apart("step into a new array", few),
    ]
    print(markdown(found))
    if not asked.draft:
        path = HERE / "results" / "streams.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
        paste(markdown(found), HERE / "README.md", "streams")


if __name__ == "__main__":
    main()
