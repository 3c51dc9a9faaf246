"""How far back does the gradient of each cell reach, before and after training, and does that decide what it learns?

The adding problem (Hochreiter & Schmidhuber 1997): sequences of pairs (a number from 0 to 1, a mark); two steps are
marked, one in each half; the target is the sum of their two numbers. Always saying 1 has an MSE of 1/6. Every cell gets
the same data, the same number of weights' updates, and the same settings.

    python bench/gradient_health.py
"""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from ostinato.cells import CELLS
from ostinato.layers import Layer, Stack
from ostinato.maps.dense import Dense
from ostinato.scans.recurrent import Recurrent
from ostinato.train import (
    Adam,
    Arrays,
    Batch,
    ExplodingSteps,
    Health,
    Objective,
    Order,
    gradient_health,
    measure,
    train,
)
from ostinato.version import __version__

TIME, UNITS, BATCH, STEPS, SEEDS = 100, 32, 32, 4000, (0, 1, 2)
NAMES = ("simple_rnn, U by Glorot", "simple_rnn", "lstm", "gru")
"""Cells; the first weights of U are orthogonal by default, Glorot's rule is the one of older text books."""


def problem(n: int, seed: int) -> Arrays:
    """`n` sequences of the adding problem."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, TIME, 2), np.float32)
    x[:, :, 0] = rng.random((n, TIME))
    rows = np.arange(n)
    for first in (0, TIME // 2):
        x[rows, first + rng.integers(TIME // 2, size=n), 1] = 1.0
    return Arrays(torch.from_numpy(x), torch.from_numpy((x[:, :, 0] * x[:, :, 1]).sum(1, keepdims=True)))


def squared(y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The error of each row."""
    return (y - target).square().mean(-1)


def objective_loss(y: torch.Tensor, batch: Batch, mask: torch.Tensor | None) -> tuple[torch.Tensor, float]:
    """The loss of a batch."""
    return squared(y, batch.target).mean(), float(len(y))


def run(name: str, seed: int) -> dict[str, Any]:
    """Train one cell and look at its gradients before and after."""
    initial = {"U": "glorot_uniform"} if "Glorot" in name else None
    cell = Recurrent(CELLS[name.partition(",")[0]](UNITS))
    stack = Stack([Layer(cell, name=name, initial=initial), Layer(Dense(1), name="sum")], seed=seed)
    stack.build((TIME, 2))
    samples, held, watched = problem(STEPS * BATCH // 4, seed), problem(1000, 999), ExplodingSteps()
    before = gradient_health(stack, held.x, held.target, loss=squared, rows=64)
    began = time.perf_counter()
    train(
        stack, samples, objective=Objective(objective_loss), optimizer=Adam(2e-3, global_clipnorm=1.0),
        order=Order(seed, BATCH), epochs=range(4), callbacks=[watched],
    )  # fmt: skip
    seconds = time.perf_counter() - began
    after = gradient_health(stack, held.x, held.target, loss=squared, watched=watched, rows=64)
    mse = measure(stack, held, Objective(objective_loss), 500)["loss"]
    found: dict[str, Any] = {"cell": name, "seed": seed, "mse": mse, "seconds": seconds}
    for when, health in (("before", before), ("after", after)):
        found[when] = _row(health)
    worst = watched.largest.times if watched.largest else 0.0
    return found | {"exploding": watched.count, "worst": worst, "said": after.diagnosis()}


def _row(health: Health) -> dict[str, Any]:
    layer = health.layers[0]
    norms = np.array(layer.norms)
    return {
        "1 %": layer.lag_below(0.01),
        "1e-6": layer.lag_below(1e-6),
        "last": float(norms[-1] / norms[0]),
        "grown": float(norms.max() / norms[0]),
        "saturated": float(np.mean([share.both for share in layer.shares])),
        "norms": norms[:: max(1, TIME // 20)].tolist(),
    }


def main() -> None:
    """Measure, print and keep the result."""
    torch.set_num_threads(1)
    rows = []
    print(f"{'cell':24}{'seed':>5}{'1 % at':>9}{'1e-6 at':>9}{'1 % at':>9}{'1e-6 at':>9}{'MSE':>10}{'long':>6}{'s':>6}")
    for name in NAMES:
        for seed in SEEDS:
            row = run(name, seed)
            rows.append(row)
            lags = "".join(f"{row[w][k] or '-':>9}" for w in ("before", "after") for k in ("1 %", "1e-6"))
            print(f"{name:24}{seed:>5}{lags}{row['mse']:>10.5f}{row['exploding']:>6}{row['seconds']:>6.0f}", flush=True)
            print("   ", row["said"].replace("\n", "\n    "))
    found = {
        "machine": f"{platform.processor() or platform.machine()}, Python {platform.python_version()}",
        "torch": str(torch.__version__),
        "ostinato": __version__,
        "settings": f"T = {TIME}, {UNITS} units, {STEPS} steps of {BATCH}, Adam 2e-3, gradients clipped at 1",
        "rows": rows,
    }
    path = Path(__file__).parent / "results" / "gradient_health.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")


if __name__ == "__main__":
    main()
