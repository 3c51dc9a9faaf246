"""What does `ostinato stream` take for 10,000 streams side by side: lines a second, and resident memory?

The command runs in a process of its own, with lines in a file and answers in a pipe. The streams come in turn, or in
random order; beside them the same lines for one stream. The network is an LSTM of 64 units with 16 inputs and one
output; the forecaster and the text model are the kept models of `tests/golden/models`. Memory is the most that the
process itself ever had resident (Linux only). Then one step of one stream, by itself and in a pool of 1,024.

    python bench/many_streams.py [--draft]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
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
IDS = 10_000
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


def network() -> Network:
    """The network with random weights."""
    return random_network([Recurrent(LSTM(64), return_sequences=True), Dense(1)], 16)


def given(model: str, order: str, lines: int) -> Iterator[dict[str, Any]]:
    """The lines."""
    rng = np.random.default_rng(0)
    ids = {"one": np.zeros(lines, int), "in turn": np.arange(lines) % IDS, "at random": rng.integers(0, IDS, lines)}
    x = rng.normal(size=(64, 16)).round(3).tolist()
    for i, name in enumerate(ids[order].tolist()):
        start = {"id": f"sensor-{name}"}
        if model == "network":
            yield {**start, "x": x[i % 64]}
        elif model == "forecast":
            yield {**start, "y": 100.0 + i % 12}
        else:
            yield {**start, "text": "the rain "}


def once(path: Path, data: Path) -> tuple[float, float]:
    """Seconds and bytes of one run."""
    with data.open("rb") as source:
        began = time.perf_counter()
        with subprocess.Popen([sys.executable, "-c", COMMAND, "stream", str(path)], stdin=source,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stderr is not None
            while os.read(process.stdout.fileno(), 1 << 20):
                pass
            said = process.stderr.read().decode()
        took = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{path}: {said}")
    return took, 1024.0 * int(said.split()[-1])


def measure(model: str, path: Path, folder: Path, lines: int) -> list[Row]:
    """The orders, each the best of three runs less the time of a run of no lines."""
    rows, none = [], folder / "none"
    none.write_bytes(b"")
    start = min(once(path, none)[0] for _ in range(3))
    for order in ("one", "in turn", "at random"):
        data = folder / "lines"
        data.write_text("".join(json.dumps(line) + "\n" for line in given(model, order, lines)))
        runs = [once(path, data) for _ in range(3)]
        took = max(min(t for t, _ in runs) - start, 1e-9)
        rows.append(Row(model, order, lines, lines / took / 1e3, max(m for _, m in runs) / 1e6))
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
    """Measure, print and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draft", action="store_true", help="keep nothing")
    parser.add_argument("--only", choices=["network", "forecast", "text", "single"], help="one part; keeps nothing")
    parser.add_argument("--lines", type=int, default=50_000)
    asked = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = network()
        layers = [Named(f"layer_{i}", *both) for i, both in enumerate(zip(model.parts, model.weights, strict=True))]
        save(folder / "network", to_bundle(layers, (None, 16), name="many"))
        paths = {"network": folder / "network", "forecast": MODELS / "forecast.safetensors",
                 "text": MODELS / "characters.safetensors"}  # fmt: skip
        for kind, path in paths.items():
            if asked.only in (None, kind):
                rows += measure(kind, path, folder, asked.lines if kind == "network" else asked.lines // 2)
    steps = single() if asked.only in (None, "single") else {}
    lines = ["The command is `python bench/many_streams.py`.", "",
             f"| model | {IDS:,} streams, or one | lines | thousand lines a second | most MB |",
             "|---|---|--:|--:|--:|"]  # fmt: skip
    lines += [f"| {r.model} | {r.streams} | {r.lines:,} | {r.rate:.1f} | {r.memory:.1f} |" for r in rows]
    lines += ["", "| one step of the network from Python | µs |", "|---|--:|"]
    lines += [f"| `{name}` | {value:.2f} |" for name, value in steps.items()]
    print("\n".join(lines))
    if asked.draft or asked.only:
        return
    found = {"machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
             "isa": native.engine(), "ostinato": __version__, "rows": rows, "steps": steps}  # fmt: skip
    path = HERE / "results" / "many_streams.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    paste("\n".join(lines), HERE / "README.md", "many-streams")


if __name__ == "__main__":
    main()
