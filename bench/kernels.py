"""How fast are the native kernels beside PyTorch's own, and how far from what the processor can do?

Ours and torch run side by side in one process, interleaved A B A B, at least 15 rounds, minimum and median. Torch
runs `torch.nn.LSTM`, `GRU` and `RNN` (batch first, no Python loop); on ragged batches the faster of packing and of
computing the padding counts. Torch has no GRU with the reset before the product; its own GRU stands beside it.
Outputs are compared first. The floor is the arithmetic done, at the speed of registers alone, on all threads.

    python bench/kernels.py [cell ...]
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
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ostinato.cells import CELLS, Cell
from ostinato.kernels import KERNELS
from ostinato.kernels.base import Call, Kernel
from ostinato.runtime import native
from ostinato.version import __version__

ROUNDS, SECONDS = 15, 1.0
NATIVE = KERNELS["native"]
RIVALS: dict[str, type[torch.nn.Module]] = {
    "simple_rnn": torch.nn.RNN,
    "lstm": torch.nn.LSTM,
    "gru": torch.nn.GRU,
    "gru_reset_after": torch.nn.GRU,
}


class Size(NamedTuple):
    """Batch, time, inputs, units; `shortest` gives a ragged batch with lengths from there to `time`."""

    batch: int
    time: int
    inputs: int
    units: int
    shortest: int = 0

    def __str__(self) -> str:
        text = f"B{self.batch} T{self.time} I{self.inputs} H{self.units}"
        return f"{text}, lengths {self.shortest}–{self.time}" if self.shortest else text


GRID = (
    Size(32, 50, 64, 128),
    Size(32, 100, 1, 50),
    Size(64, 100, 128, 256),
    Size(32, 200, 512, 512),
    Size(16, 1000, 32, 64),
    Size(1, 100, 1, 32),
    Size(32, 50, 64, 128, 19),
    Size(32, 500, 16, 64, 10),
    Size(1, 1, 16, 64),
    Size(1024, 1, 16, 64),
)


class Row(NamedTuple):
    """One line of the table; times in milliseconds."""

    cell: str
    size: str
    kind: str
    ours: float
    torch: float
    ours_median: float
    torch_median: float
    floor: float
    ratio: float
    gflops: float


class Problem:
    """One size of one cell, for both sides.

    Args:
        name: Key of the cell.
        size: The shapes.
    """

    def __init__(self, name: str, size: Size) -> None:
        self.name, self.size = name, size
        generator = torch.Generator().manual_seed(0)
        self.cell: Cell = CELLS[name](size.units)
        limit = size.units**-0.5
        self.w = {
            key: (torch.rand(w.shape, generator=generator) * 2 - 1).mul_(limit).requires_grad_()
            for key, w in self.cell.weights(size.inputs).items()
        }
        self.x = torch.randn(size.batch, size.time, size.inputs, generator=generator)
        self.state = tuple(torch.zeros(size.batch, size.units) for _ in self.cell.states)
        self.lengths = torch.full((size.batch,), size.time)
        if size.shortest:
            self.lengths = torch.randint(size.shortest, size.time + 1, (size.batch,), generator=generator)
            self.lengths[0] = size.time
        self.mask = torch.arange(size.time)[None] < self.lengths[:, None] if size.shortest else None
        self.slope = torch.ones(size.batch, size.time, size.units)
        self.rival: Any = RIVALS[name](size.inputs, size.units, batch_first=True)
        self.load()

    def load(self) -> None:
        """Give the rival our weights (for `gru`, numbers of the same size; its formula is another)."""
        with torch.no_grad():
            self.rival.weight_ih_l0.copy_(self.w["W"].T)
            self.rival.weight_hh_l0.copy_(self.w["U"].T)
            self.rival.bias_ih_l0.copy_(self.w["b"])
            self.rival.bias_hh_l0.copy_(self.w["b_rec"] if "b_rec" in self.w else torch.zeros_like(self.w["b"]))

    def flops(self, *, training: bool) -> float:
        """Arithmetic that is needed: two per weight and step; again for the slopes of h, again for those of weights."""
        gates, units, inputs = len(self.cell.gates), self.size.units, self.size.inputs
        tokens = float(self.lengths.sum())
        one, recurrent = 2 * tokens * gates * units * (inputs + units), 2 * tokens * gates * units * units
        return 2 * one + recurrent if training else one

    def ours(self) -> Tensor:
        """Outputs by the native kernel."""
        return NATIVE.forward(Call(self.cell, self.w, self.x, self.state, self.mask))[0]

    def padded(self) -> Tensor:
        """Outputs by torch, with the padding computed and wiped out."""
        y = self.rival(self.x)[0]
        return y if self.mask is None else y * self.mask[:, :, None]

    def packed(self) -> Tensor:
        """Outputs by torch, packed."""
        packed = pack_padded_sequence(self.x, self.lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.rival(packed)[0], batch_first=True, total_length=self.size.time)[0]

    def train(self, forward: Callable[[], Tensor], weights: list[Tensor]) -> Callable[[], None]:
        """Forward and the gradients of all weights."""

        def step() -> None:
            torch.autograd.grad(forward(), weights, self.slope)

        return step

    def infer(self, forward: Callable[[], Tensor]) -> Callable[[], None]:
        """Forward alone."""

        def step() -> None:
            with torch.inference_mode():
                forward()

        return step

    def check(self) -> None:
        """Raise unless outputs agree with torch's, or with the formula where torch has none."""
        with torch.no_grad():
            if self.name == "gru":
                truth = Kernel().forward(Call(self.cell, self.w, self.x, self.state, self.mask))[0]
            else:
                truth = self.packed() if self.mask is not None else self.padded()
            error = float((self.ours() - truth).abs().max())
        if not error < 1e-5:
            raise SystemExit(f"{self.name} {self.size}: outputs differ by {error:.2g}")


def seconds(step: Callable[[], object], repeat: int) -> float:
    """Seconds a call, over `repeat` calls."""
    began = time.perf_counter()
    for _ in range(repeat):
        step()
    return (time.perf_counter() - began) / repeat


def compare(sides: list[Callable[[], object]]) -> list[list[float]]:
    """Milliseconds of each side in each round, interleaved."""
    warm = []
    for step in sides:
        step()
        warm.append(seconds(step, 1))
    repeat = max(1, int(2e-4 / max(min(warm), 1e-7)))
    rounds = max(ROUNDS, min(200, int(SECONDS / (sum(warm) * repeat))))
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for step, found in zip(sides, times, strict=True):
            found.append(seconds(step, repeat) * 1e3)
    return times


def measure(problem: Problem, *, training: bool, peak: float) -> Row:
    """One row: ours against the faster way of torch."""
    size = problem.size
    forwards = [problem.ours, problem.padded] + ([problem.packed] if problem.mask is not None else [])
    if training:
        ours, theirs = list(problem.w.values()), list(problem.rival.parameters())
        sides = [problem.train(f, ours if f == problem.ours else theirs) for f in forwards]
    else:
        sides = [problem.infer(f) for f in forwards]
    first, *others = compare(list(sides))
    rival = min(others, key=min)
    flops = problem.flops(training=training)
    return Row(
        problem.name, str(size), "train" if training else "infer", min(first), min(rival), statistics.median(first),
        statistics.median(rival), flops / peak / 1e6, min(rival) / min(first), flops / min(first) / 1e6,
    )  # fmt: skip


def one_step(problem: Problem, peak: float) -> Row:
    """The row of single steps with a kept state: our stepper on NumPy against torch's module."""
    weights = {name: value.detach().numpy() for name, value in problem.w.items()}
    stepper = native.Prepared(problem.cell, weights).stepper(problem.size.batch)
    x = np.ascontiguousarray(problem.x[:, 0].numpy())
    cell_class = {torch.nn.LSTM: torch.nn.LSTMCell, torch.nn.GRU: torch.nn.GRUCell, torch.nn.RNN: torch.nn.RNNCell}
    rival = cell_class[type(problem.rival)](problem.size.inputs, problem.size.units)
    state: Any = problem.state if len(problem.state) > 1 else problem.state[0]

    def theirs() -> None:
        with torch.inference_mode():
            rival(problem.x[:, 0], state)

    first, other = compare([lambda: stepper.step(x), theirs])
    flops = problem.flops(training=False)
    return Row(
        problem.name, str(problem.size), "step", min(first), min(other), statistics.median(first),
        statistics.median(other), flops / peak / 1e6, min(other) / min(first), flops / min(first) / 1e6,
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
        f"{row.cell:16}{row.size:32}{row.kind:6} ours {row.ours:9.4f}  torch {row.torch:9.4f}  x{row.ratio:6.2f}"
        f"  floor {row.floor:9.4f}  {row.gflops:5.0f} GF/s",
        flush=True,
    )


def main() -> None:
    """Measure, print and keep the result."""
    threads = torch.get_num_threads()
    isa = native.engine()
    peak = threads * max(native.module().peak(isa) for _ in range(5))
    print(f"{processor()}, {threads} threads, {isa}, registers alone {peak:.0f} GF/s, torch {torch.__version__}; ms\n")
    rows = []
    for name in sys.argv[1:] or RIVALS:
        for size in GRID:
            problem = Problem(name, size)
            problem.check()
            if size.time == 1:
                found = [one_step(problem, peak)]
            else:
                found = [measure(problem, training=training, peak=peak) for training in (False, True)]
            for row in found:
                show(row)
            rows += found
    groups: dict[str, list[float]] = {}
    for row in rows:
        ragged = "ragged " if "lengths" in row.size else ""
        groups.setdefault(f"{row.cell} {ragged}{row.kind}", []).append(row.ratio)
    means = {name: mean(ratios) for name, ratios in groups.items()}
    print("\ngeometric means, torch's time over ours")
    for name, value in means.items():
        print(f"  {name:32} x{value:.2f}")
    print(f"  slowest row                      x{min(row.ratio for row in rows):.2f}")
    found_all = {
        "machine": f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "threads": threads,
        "isa": isa,
        "peak_gflops": peak,
        "torch": str(torch.__version__),
        "ostinato": __version__,
        "unit": "milliseconds, minimum and median of interleaved rounds; ratio = torch's minimum over ours",
        "rows": [row._asdict() for row in rows],
        "geometric_means": means,
    }
    path = Path(__file__).parent / "results" / "kernels.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found_all), indent=2) + b"\n")


if __name__ == "__main__":
    main()
