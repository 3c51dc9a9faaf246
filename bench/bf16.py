"""What does multiplying in bf16 gain in inference, and what does it cost in exactness?

Our float32 kernels, our bf16 kernels and torch's LSTM or GRU cast to bfloat16 (for one step its LSTMCell or GRUCell)
run side by side in one process, interleaved A B C A B C, at least 15 rounds, minimum and median. Our weights are packed
once, before. Torch rounds everything to bfloat16, states and outputs too. Torch has no GRU with the reset before the
product; its own GRU stands beside it. Errors are against float32, in standard deviations of outputs of 20 steps: the
largest and the root mean square of our bf16, and the root mean square of torch's against its own float32.

    python bench/bf16.py [cell ...]
"""

from __future__ import annotations

import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch

from ostinato.cells import CELLS
from ostinato.runtime import Network, native
from ostinato.runtime.precision import Cost, compare
from ostinato.scans.recurrent import Recurrent
from ostinato.version import __version__

ROUNDS, SECONDS = 15, 0.3
RIVALS: dict[str, tuple[type[torch.nn.Module], type[torch.nn.Module]]] = {
    "lstm": (torch.nn.LSTM, torch.nn.LSTMCell),
    "gru": (torch.nn.GRU, torch.nn.GRUCell),
}
UNITS, BATCHES, TIME = (32, 128, 256, 512, 1024), (1, 8, 64), 20


class Row(NamedTuple):
    """One line of the table; times in milliseconds, errors in standard deviations of the outputs."""

    cell: str
    units: int
    batch: int
    time: int
    float32: float
    bf16: float
    torch_bf16: float
    medians: tuple[float, ...]
    gain: float
    torch_over_ours: float
    largest_error: float
    rms_error: float
    torch_rms_error: float
    gflops: float


class Problem:
    """One size of one cell, for all sides; as many inputs as units.

    Args:
        name: Key of the cell.
        units: Units, and inputs a step.
        batch: Rows.
        time: Steps; 1 is a single step with a kept state.
    """

    def __init__(self, name: str, units: int, *, batch: int, time: int) -> None:
        self.name, self.units, self.batch, self.time = name, units, batch, time
        rng = np.random.default_rng(0)
        self.cell = CELLS[name](units)
        self.w = {
            key: (rng.uniform(-1.0, 1.0, w.shape) * units**-0.5).astype(np.float32)
            for key, w in self.cell.weights(units).items()
        }
        self.x = rng.normal(size=(batch, time, units)).astype(np.float32)
        self.state = tuple(np.zeros((batch, units), np.float32) for _ in self.cell.states)
        self.prepared = {p: native.Prepared(self.cell, self.w, precision=p) for p in native.PRECISIONS}
        layer, step = RIVALS[name]
        self.plain: Any = layer(units, units, batch_first=True)
        self.rival: Any = layer(units, units, batch_first=True)
        self.rival_step = step(units, units).to(torch.bfloat16)
        for module in (self.plain, self.rival):
            with torch.no_grad():
                module.weight_ih_l0.copy_(torch.from_numpy(self.w["W"].T.copy()))
                module.weight_hh_l0.copy_(torch.from_numpy(self.w["U"].T.copy()))
                module.bias_ih_l0.copy_(torch.from_numpy(self.w["b"]))
                module.bias_hh_l0.zero_()
        self.rival.to(torch.bfloat16)

    def ours(self, precision: str) -> Callable[[], object]:
        """One call of our kernels."""
        prepared = self.prepared[precision]
        if self.time > 1:
            return lambda: prepared.forward(self.x, self.state)
        model = Network((Recurrent(self.cell, return_sequences=True),), [self.w], (None, self.units), precision)
        if self.batch == 1:
            stream, one = model.stream(), self.x[0, 0].copy()
            return lambda: stream.step(one)
        pool, x = model.pool(self.batch), np.ascontiguousarray(self.x[:, 0])
        ids = [pool.open() for _ in range(self.batch)]
        return lambda: pool.step(ids, x)

    def theirs(self) -> Callable[[], object]:
        """One call of torch in bfloat16, its inputs cast before."""
        x = torch.from_numpy(self.x).to(torch.bfloat16)

        h = torch.zeros(self.batch, self.units, dtype=torch.bfloat16)
        state = (h, h) if len(self.state) > 1 else h

        def sequence() -> object:
            with torch.inference_mode():
                return self.rival(x)[0]

        def step() -> object:
            with torch.inference_mode():
                return self.rival_step(x[:, 0], state)

        return sequence if self.time > 1 else step

    def errors(self) -> tuple[Cost, Cost]:
        """Of our bf16 and of torch's, over at least a sequence of `TIME` steps."""
        x = np.random.default_rng(1).normal(size=(self.batch, max(self.time, TIME), self.units)).astype(np.float32)
        ours = [self.prepared[p].forward(x, self.state)[0] for p in native.PRECISIONS]
        with torch.inference_mode():
            exact = self.plain(torch.from_numpy(x))[0]
            rough = self.rival(torch.from_numpy(x).to(torch.bfloat16))[0]
        return compare(*ours), compare(exact.numpy(), rough.float().numpy())


def seconds(step: Callable[[], object], repeat: int) -> float:
    """Seconds a call, over `repeat` calls."""
    began = time.perf_counter()
    for _ in range(repeat):
        step()
    return (time.perf_counter() - began) / repeat


def interleaved(sides: list[Callable[[], object]]) -> list[list[float]]:
    """Milliseconds of each side in each round."""
    for step in sides:
        step()
    warm = [seconds(step, 1) for step in sides]
    repeat = max(1, int(2e-4 / max(min(warm), 1e-7)))
    rounds = max(ROUNDS, min(200, int(SECONDS / (sum(warm) * repeat))))
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for step, found in zip(sides, times, strict=True):
            found.append(seconds(step, repeat) * 1e3)
    return times


def measure(problem: Problem) -> Row:
    """One row."""
    ours, theirs = problem.errors()
    times = interleaved([problem.ours("float32"), problem.ours("bf16"), problem.theirs()])
    plain, half, rival = map(min, times)
    flops = 4.0 * problem.batch * problem.time * len(problem.cell.gates) * problem.units**2
    return Row(
        problem.name, problem.units, problem.batch, problem.time, plain, half, rival,
        tuple(map(statistics.median, times)), plain / half, rival / half, ours.largest, ours.root_mean_square,
        theirs.root_mean_square, flops / half / 1e6,
    )  # fmt: skip


def mean(ratios: list[float]) -> float:
    """The geometric mean."""
    return math.exp(statistics.fmean(math.log(r) for r in ratios))


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def show(row: Row) -> None:
    """Print one line."""
    print(
        f"{row.cell:5}H{row.units:<5}B{row.batch:<3}T{row.time:<3} float32 {row.float32:8.4f}  bf16 {row.bf16:8.4f}"
        f"  x{row.gain:4.2f}  torch bf16 {row.torch_bf16:9.4f}  x{row.torch_over_ours:6.2f}  {row.gflops:4.0f} GF/s"
        f"  error {row.largest_error:.4f} rms {row.rms_error:.4f} torch rms {row.torch_rms_error:.4f}",
        flush=True,
    )


def main() -> None:
    """Measure, print and keep the result."""
    missing = native.without_bf16()
    if missing is not None:
        print(f"not measured: {missing}")
        return
    threads = torch.get_num_threads()
    os.environ.setdefault("OSTINATO_THREADS", str(threads))
    engines = [native.engine(), native.module().bf16_engine()]
    peaks = {e: threads * max(native.module().peak(e) for _ in range(5)) for e in engines}
    alone = ", ".join(f"{e} {peak:.0f} GF/s" for e, peak in peaks.items())
    print(f"{processor()}, {threads} threads, registers alone {alone}, torch {torch.__version__}; ms\n")
    rows = []
    for name in sys.argv[1:] or RIVALS:
        for units in UNITS:
            for batch in BATCHES:
                for steps in (1, TIME):
                    rows.append(measure(Problem(name, units, batch=batch, time=steps)))
                    show(rows[-1])
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(f"{row.cell} {'steps' if row.time == 1 else 'sequences'}", []).append(row)
    means = {
        name: {"float32 over bf16": mean([r.gain for r in g]), "torch over ours": mean([r.torch_over_ours for r in g])}
        for name, g in groups.items()
    }
    print("\ngeometric means")
    for name, pair in means.items():
        print(f"  {name:16}" + ", ".join(f"{what} x{value:.2f}" for what, value in pair.items()))
    print(f"  least gain over float32 x{min(r.gain for r in rows):.2f}")
    found = {
        "machine": f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "threads": threads,
        "peak_gflops": peaks,
        "torch": str(torch.__version__),
        "ostinato": __version__,
        "unit": "milliseconds, minimum of interleaved rounds (medians: float32, bf16, torch); errors in deviations",
        "rows": [row._asdict() for row in rows],
        "geometric_means": means,
    }
    path = Path(__file__).parent / "results" / "bf16.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")


if __name__ == "__main__":
    main()
