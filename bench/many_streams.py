"""What does `ostinato stream` take for 10,000 streams side by side: lines a second, and resident memory?

The command runs in a process of its own, with lines in a file and answers in a pipe. The streams come in turn, or in
random order; beside them the same lines for one stream. The network is an LSTM of 64 units with 16 inputs and one
output; the forecaster and the text model are the kept models of `tests/golden/models`. A line of text has nine symbols.
Streams of the forecaster first get a history as long as its reach, so that each line that is timed is answered by a
forecast; lines with the time of their value ("dated") stand beside lines without. Memory is the most that the process
itself ever had resident (Linux only). Times are the processor's, of which the command uses one. Then one step of one
stream, by itself and in a pool of 1,024.

    python bench/many_streams.py [--draft] [--only network|forecast|dated|text|single]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rivals.networks import random_network
from rivals.report import paste
from rivals.rounds import least

from ostinato.cells.lstm import LSTM
from ostinato.maps.dense import Dense
from ostinato.runtime import Network, native
from ostinato.runtime.bundle import save
from ostinato.runtime.sequential_file import Named, to_bundle
from ostinato.scans.recurrent import Recurrent
from ostinato.version import __version__

HERE = Path(__file__).parent
MODELS = HERE.parent / "tests/golden/models/0.1.0"
IDS, REACH = 10_000, 21
NUMBERS = np.random.default_rng(0).normal(size=(64, 16)).round(3).tolist()
COMMAND = """
import sys
from ostinato.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code
lines = open('/proc/self/status').read().split('\\n')
print(next(line.split()[1] for line in lines if line.startswith('VmHWM')), file=sys.stderr)
"""


class Row(msgspec.Struct, frozen=True):
    """Runs of the command: thousand lines a second, MB (10^6 bytes) resident."""

    model: str
    streams: str
    lines: int
    rate: float
    memory: float


class Kept(msgspec.Struct, frozen=True):
    """What is kept."""

    machine: str
    isa: str
    ostinato: str
    rows: list[Row]
    steps: dict[str, float]


def network() -> Network:
    """The network with random weights."""
    return random_network([Recurrent(LSTM(64), return_sequences=True), Dense(1)], 16)


def history(model: str, order: str) -> Iterator[dict[str, Any]]:
    """The lines before those that are timed."""
    streams = 1 if order == "one" else IDS
    for step in range(REACH if model in ("forecast", "dated") else 0):
        for stream in range(streams):
            yield line(model, stream, step)


def given(model: str, order: str, lines: int) -> Iterator[dict[str, Any]]:
    """The lines that are timed."""
    rng, steps = np.random.default_rng(0), [REACH] * IDS
    ids = {"one": np.zeros(lines, int), "in turn": np.arange(lines) % IDS, "at random": rng.integers(0, IDS, lines)}
    for stream in ids[order].tolist():
        yield line(model, stream, steps[stream])
        steps[stream] += 1


def line(model: str, stream: int, step: int) -> dict[str, Any]:
    """A line of one stream."""
    start = {"id": f"sensor-{stream}"}
    if model == "network":
        return {**start, "x": NUMBERS[(stream + step) % 64]}
    if model == "text":
        return {**start, "text": "the rain "}
    when = {"ds": str(np.datetime64("2020-01-01") + step)} if model == "dated" else {}
    return {**start, **when, "y": 100.0 + step % 12}


def once(path: Path, data: Path) -> tuple[float, float]:
    """Seconds of the processor and bytes of one run."""
    with data.open("rb") as source:
        began = _spent()
        with subprocess.Popen([sys.executable, "-c", COMMAND, "stream", str(path)], stdin=source,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stderr is not None
            while os.read(process.stdout.fileno(), 1 << 20):
                pass
            said = process.stderr.read().decode()
        took = _spent() - began
    if process.returncode:
        raise SystemExit(f"{path}: {said}")
    return took, 1024.0 * int(said.split()[-1])


def _spent() -> float:
    """Seconds of the processor that all runs so far took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(model: str, path: Path, folder: Path, lines: int) -> list[Row]:
    """The orders, each the best of three runs less the time of a run of the history alone."""
    rows = []
    for order in ("one", "in turn", "at random"):
        before, data = folder / "history", folder / "lines"
        text = "".join(json.dumps(one) + "\n" for one in history(model, order))
        before.write_text(text)
        data.write_text(text + "".join(json.dumps(one) + "\n" for one in given(model, order, lines)))
        runs = [(once(path, before), once(path, data)) for _ in range(3)]
        took = max(min(run[0] for _, run in runs) - min(run[0] for run, _ in runs), 1e-9)
        rows.append(Row(model, order, lines, lines / took / 1e3, max(run[1] for _, run in runs) / 1e6))
        print(rows[-1], flush=True)
    return rows


def single() -> dict[str, float]:
    """One step of one stream, in microseconds."""
    model, x = network(), np.random.default_rng(0).normal(size=(1024, 16)).astype(np.float32)
    stream, pool, row = model.stream(), model.pool(1024), x[:1]
    ids = [pool.open(f"sensor-{i}") for i in range(1024)]
    turn = iter(range(10**9))
    return {
        "stream.step(x)": 1e6 * least(lambda: stream.step(x[0])),
        "pool.step([id], x), one id": 1e6 * least(lambda: pool.step(["sensor-7"], row)),
        "pool.step([id], x), ids in turn": 1e6 * least(lambda: pool.step([ids[next(turn) & 1023]], row)),
        "pool.step(1,024 ids, x), a stream": 1e6 * least(lambda: pool.step(ids, x), 10, 60) / 1024,
    }


def main() -> None:
    """Measure, print and keep the result; of parts that were not asked for, the one that was kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draft", action="store_true", help="keep nothing")
    parser.add_argument("--only", choices=["network", "forecast", "dated", "text", "single"], help="one part")
    parser.add_argument("--lines", type=int, default=50_000)
    asked = parser.parse_args()
    path = HERE / "results" / "many_streams.json"
    kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    rows = [row for row in kept.rows if asked.only not in (None, row.model)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = network()
        layers = [Named(f"layer_{i}", *both) for i, both in enumerate(zip(model.parts, model.weights, strict=True))]
        save(folder / "network", to_bundle(layers, (None, 16), name="many"))
        forecaster = MODELS / "forecast.safetensors"
        paths = {"network": folder / "network", "forecast": forecaster, "dated": forecaster,
                 "text": MODELS / "characters.safetensors"}  # fmt: skip
        for kind in paths:
            if asked.only in (None, kind):
                rows += measure(kind, paths[kind], folder, asked.lines)
    rows.sort(key=lambda row: list(paths).index(row.model))
    steps = single() if asked.only in (None, "single") else kept.steps
    lines = ["The command is `python bench/many_streams.py`.", "",
             f"| model | {IDS:,} streams, or one | lines | thousand lines a second | most MB |",
             "|---|---|--:|--:|--:|"]  # fmt: skip
    lines += [f"| {r.model} | {r.streams} | {r.lines:,} | {r.rate:.1f} | {r.memory:.1f} |" for r in rows]
    lines += ["", "| one step of the network from Python | µs |", "|---|--:|"]
    lines += [f"| `{name}` | {value:.2f} |" for name, value in steps.items()]
    print("\n".join(lines))
    if asked.draft:
        return
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    found = Kept(machine, native.engine(), __version__, rows, steps)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    paste("\n".join(lines), HERE / "README.md", "many-streams")


if __name__ == "__main__":
    main()
