"""Does Hessian-free beat Adam on tasks with long time lags, given the same processor time?

A tanh network of 50 units learns (a) the adding problem (Hochreiter & Schmidhuber 1997): the sum of two marked numbers,
anywhere in each half of the sequence; (b) temporal order: which of two symbols stood at two places among distractors,
four classes; and an LSTM of 32 units learns the adding problem. Both see the same training data and are
measured on the same unseen sequences when their processor time is over (time of the process on one thread, so that
other load does not count). Adam: batches of 50, gradients shortened to norm 1, the best of three learning rates on the
first seed. Hessian-free: batches of 500, curvature on half of them, the same settings everywhere.

    python bench/hessian_free.py [NUMBER …]

runs all cases, about 10 minutes of processor time, or those with these numbers, counted from 0; other rows of the
results stay as they are.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from ostinato.cells.base import Cell
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.layers import Layer, Stack
from ostinato.losses.named import Loss, MeanSquaredError, SparseCategoricalCrossentropy
from ostinato.maps.dense import Dense
from ostinato.models.objective import objective
from ostinato.scans.recurrent import Recurrent
from ostinato.train import Adam, Arrays, Callback, HessianFree, Optimizer, Order, predict, train
from ostinato.version import __version__

SEEDS, RATES = (0, 1, 2), (3e-3, 1e-3, 3e-4)
TRAINING, UNSEEN = 5_000, 2_000


def adding(n: int, steps: int, seed: int) -> Arrays:
    """Two features a step: a number in [0, 1) and a mark; the target is the sum of the two marked numbers."""
    r = np.random.default_rng(seed)
    values, marks, rows = r.uniform(size=(n, steps)), np.zeros((n, steps)), np.arange(n)
    a, b = r.integers(0, steps // 2, n), r.integers(steps // 2, steps, n)
    marks[rows, a] = marks[rows, b] = 1.0
    x = np.stack([values, marks], -1).astype(np.float32)
    return Arrays(
        torch.from_numpy(x), torch.from_numpy((values[rows, a] + values[rows, b])[:, None].astype(np.float32))
    )


def order(n: int, steps: int, seed: int) -> Arrays:
    """Six symbols, one-hot: four distractors, and X or Y at one step of [T/10, 2T/10) and one of [5T/10, 6T/10)."""
    r = np.random.default_rng(seed)
    symbols, rows = r.integers(0, 4, (n, steps)), np.arange(n)
    first, second = r.integers(0, 2, n), r.integers(0, 2, n)
    symbols[rows, r.integers(steps // 10, steps // 5, n)] = 4 + first
    symbols[rows, r.integers(steps // 2, 3 * steps // 5, n)] = 4 + second
    x = np.eye(6, dtype=np.float32)[symbols]
    return Arrays(torch.from_numpy(x), torch.from_numpy((2 * first + second).astype(np.float32)))


def squared_error(y: torch.Tensor, samples: Arrays) -> float:
    """Mean squared error; always answering 1 gives 0.167."""
    return float(((y - samples.target) ** 2).mean())


def errors(y: torch.Tensor, samples: Arrays) -> float:
    """Share of wrong classes; guessing gives 0.75."""
    return float((y.argmax(-1) != samples.target).float().mean())


class Case(NamedTuple):
    """One task for one network, and the processor time that each optimiser gets."""

    name: str
    data: Callable[[int, int, int], Arrays]
    steps: int
    cell: Cell
    outputs: int
    loss: Loss
    figure: Callable[[torch.Tensor, Arrays], float]
    seconds: float


ADDED = (1, MeanSquaredError(), squared_error)
ORDERED = (4, SparseCategoricalCrossentropy(from_logits=True), errors)
CASES = (
    Case("adding, T = 50, tanh", adding, 50, SimpleRNN(50), *ADDED, 12.0),
    Case("adding, T = 100, tanh", adding, 100, SimpleRNN(50), *ADDED, 12.0),
    Case("adding, T = 200, tanh", adding, 200, SimpleRNN(50), *ADDED, 20.0),
    Case("adding, T = 100, LSTM", adding, 100, LSTM(32), *ADDED, 12.0),
    Case("temporal order, T = 60, tanh", order, 60, SimpleRNN(50), *ORDERED, 12.0),
)


class Clock(Callback):
    """Ends training when the processor time is over."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.end = time.process_time() + seconds
        self.steps = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.steps += self.params["steps"]
        self.model.stop_training = time.process_time() > self.end


def result(case: Case, optimizer: Optimizer, batch: int, seed: int, *, every: int) -> tuple[float, int]:
    """The figure on unseen sequences after the case's time, and the number of steps."""
    data, unseen = case.data(TRAINING, case.steps, seed), case.data(UNSEEN, case.steps, seed + 1_000)
    stack = Stack([Layer(Recurrent(case.cell)), Layer(Dense(case.outputs))], seed=seed)
    stack.build(tuple(data.x.shape[1:]))
    clock = Clock(case.seconds)
    train(
        stack,
        data,
        objective=objective(case.loss, (), penalty=None),
        optimizer=optimizer,
        order=Order(seed, batch, limit=every),
        epochs=range(1_000_000),
        callbacks=[clock],
    )
    return case.figure(predict(stack, unseen.x, batch_size=UNSEEN), unseen), clock.steps


def adam(rate: float) -> Adam:
    """The rival."""
    return Adam(rate, global_clipnorm=1.0)


def main() -> None:
    """Measure, print and keep the result."""
    torch.set_num_threads(1)
    path = Path(__file__).parent / "results" / "hessian_free.json"
    path.parent.mkdir(exist_ok=True)
    kept = msgspec.json.decode(path.read_bytes())["rows"] if path.exists() else []
    for case in [CASES[int(number)] for number in sys.argv[1:]] or CASES:
        tried = {rate: result(case, adam(rate), 50, SEEDS[0], every=20) for rate in RATES}
        best = min(tried, key=lambda rate: tried[rate][0])
        theirs = [tried[best], *(result(case, adam(best), 50, seed, every=20) for seed in SEEDS[1:])]
        ours = [result(case, HessianFree(curvature_share=0.5), 500, seed, every=1) for seed in SEEDS]
        row = {
            "case": case.name,
            "seconds": case.seconds,
            "adam": [value for value, _ in theirs],
            "hessian_free": [value for value, _ in ours],
            "adam_rate": best,
            "steps": [statistics.median(n for _, n in runs) for runs in (theirs, ours)],
            "won": sum(a < b for (a, _), (b, _) in zip(ours, theirs, strict=True)),
        }
        found = {old["case"]: old for old in kept} | {case.name: row}
        kept = [found[c.name] for c in CASES if c.name in found]
        print(*(f"{key} {value}" for key, value in row.items()), sep="   ", flush=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(record(kept)), indent=2) + b"\n")


def record(rows: list[object]) -> dict[str, object]:
    """What is kept."""
    return {
        "machine": f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, 1 thread",
        "torch": str(torch.__version__),
        "ostinato": __version__,
        "unit": "mean squared error, or share of wrong classes, on unseen sequences; one number a seed",
        "rows": rows,
    }


if __name__ == "__main__":
    main()
