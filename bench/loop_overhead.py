"""What does the training loop cost a step, beside the bare step?

Side by side in one run, interleaved: (a) "gradient": take the batch, forward, loss, backward into cleared gradients,
read the loss; (b) "torch": the same and a step of torch's fused Adam; (c) "ours": the same network in
`ostinato.train.train` with Adam, history, a callback a step and the progress bar on. Differences are medians over
rounds.

    python bench/loop_overhead.py
"""

from __future__ import annotations

import io
import platform
import statistics
import time
from pathlib import Path

import msgspec
import torch

from ostinato.cells.lstm import LSTM
from ostinato.layers import Layer, Stack
from ostinato.losses import LOSSES
from ostinato.maps.dense import Dense
from ostinato.scans.recurrent import Recurrent
from ostinato.train import Adam, Arrays, Batch, Callback, Objective, Order, train
from ostinato.train.progress import Progress
from ostinato.version import __version__

STEPS, ROUNDS, BATCH = 200, 21, 32
CASES = {"LSTM(8), 10 steps": (8, 10), "LSTM(50), 100 steps": (50, 100)}


class Terminal(io.StringIO):
    """A stream that looks like a terminal, so that the bar is drawn."""

    def isatty(self) -> bool:
        return True


class Watcher(Callback):
    """A callback that is called at every step."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.last = logs


def network(units: int, time_steps: int) -> Stack:
    """The network of both sides."""
    stack = Stack([Layer(Recurrent(LSTM(units)), name="lstm"), Layer(Dense(1), name="dense")], seed=0)
    stack.build((time_steps, 1))
    return stack


def bare(stack: Stack, samples: Arrays, order: Order, *, optimize: bool) -> float:
    """Seconds a step of a plain torch loop, with or without an optimiser."""
    optimizer = torch.optim.Adam(stack.parameters(), fused=True) if optimize else None
    mse = LOSSES["mean_squared_error"]
    stack.train()
    began = time.perf_counter()
    for index in order.epoch(len(samples), 0):
        batch = samples.batch(index)
        loss = mse(stack.run(batch.x)[0], batch.target).mean()
        loss.backward()
        if optimizer is not None:
            optimizer.step()
        for weight in stack.parameters() if optimizer is None else ():
            weight.grad = None
        if optimizer is not None:
            optimizer.zero_grad()
        loss.item()
    return (time.perf_counter() - began) / STEPS


def ours(stack: Stack, samples: Arrays, order: Order) -> float:
    """Seconds a step of ostinato's loop, with everything on."""
    mse = LOSSES["mean_squared_error"]

    def loss(y: torch.Tensor, batch: Batch, mask: torch.Tensor | None) -> tuple[torch.Tensor, float]:
        return mse(y, batch.target).mean(), float(len(y))

    callbacks = [Watcher(), Progress(1, Terminal())]
    began = time.perf_counter()
    train(
        stack, samples, objective=Objective(loss), optimizer=Adam(), order=order, epochs=range(1), callbacks=callbacks
    )
    return (time.perf_counter() - began) / STEPS


def main() -> None:
    """Measure, print and keep the result."""
    torch.set_num_threads(1)
    rows = []
    for name, (units, steps) in CASES.items():
        x = torch.randn(STEPS * BATCH, steps, 1)
        samples, order = Arrays(x, x.sum(1)), Order(0, BATCH)
        times: dict[str, list[float]] = {"gradient": [], "torch": [], "ours": []}
        for _ in range(ROUNDS):
            times["gradient"].append(bare(network(units, steps), samples, order, optimize=False) * 1e6)
            times["torch"].append(bare(network(units, steps), samples, order, optimize=True) * 1e6)
            times["ours"].append(ours(network(units, steps), samples, order) * 1e6)
        row: dict[str, object] = {"case": name, **{k: statistics.median(v) for k, v in times.items()}}
        for rival in ("gradient", "torch"):
            over = [b - a for a, b in zip(times[rival], times["ours"], strict=True)]
            row[f"ours over {rival}"] = statistics.median(over)
        rows.append(row)
        print(f"{name:20}", *(f"{k} {v:+.1f}" for k, v in row.items() if k != "case"), sep="   ")
    found = {
        "machine": f"{platform.processor() or platform.machine()}, Python {platform.python_version()}",
        "torch": str(torch.__version__),
        "ostinato": __version__,
        "unit": "microseconds a step, medians of interleaved rounds",
        "rows": rows,
    }
    path = Path(__file__).parent / "results" / "loop_overhead.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")


if __name__ == "__main__":
    main()
