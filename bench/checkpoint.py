"""What does a run cost more that is saved while it goes?

A character model (embedding 64, LSTM, dense; windows of 128 symbols, 32 rows with carried states; Adam, early stopping
that keeps the best weights) is trained for some steps on a made-up text, in turns: without a checkpoint, and with one
that is saved after every step. The difference, over the number of steps, is what a save costs with all that it brings:
collecting, SHA-256, writing, fsync. The question after each step, whether it is time to save, is timed apart. The share
of a run follows for the default of a save each 30 seconds.

    python bench/checkpoint.py [FOLDER] [--whole]

FOLDER is where the runs are saved, since discs differ; the folder for temporary files by default. With `--whole` the
larger model is also trained for some 32 seconds, with a save each 30 seconds and without: the same, less exactly.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
import timeit
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch

from ostinato.cells.lstm import LSTM
from ostinato.layers.stack import Stack
from ostinato.tasks.generating.fitting import cross_entropy
from ostinato.tasks.generating.network import Network
from ostinato.train import Adam, Checkpoint, EarlyStopping, Objective, Streams, course, train
from ostinato.train.resume import settings_of
from ostinato.version import __version__

SYMBOLS, WIDTH, ROWS, BPTT = 65, 64, 32, 128
EVERY, ROUNDS, ASKED = 30.0, 7, 20_000
STEPS = {128: 30, 512: 6}
"""Steps of a run by the number of units: so many that a run takes a second or two."""


class Model(NamedTuple):
    """A fresh model and its text."""

    stack: Stack
    feed: Streams


def model(units: int, steps: int) -> Model:
    """One whose epoch has so many steps."""
    text = torch.randint(SYMBOLS, (steps * ROWS * BPTT + 1,), generator=torch.manual_seed(0))
    network = Network(embedding=WIDTH)
    stack = network.stack(network.parts([LSTM(units)], SYMBOLS), seed=0)
    return Model(stack, Streams([text[:-1]], [text[1:]], ROWS, BPTT))


def seconds(units: int, steps: int, folder: Path, every: float | None) -> float:
    """Time of an epoch; of a run that is saved, without the save at its end."""
    stack, feed = model(units, steps)
    fed, sweep = course(stack, feed, None, bptt=BPTT, memory="truncate")
    assert fed.steps(0) == steps
    ends: list[float] = []

    class End(EarlyStopping):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            super().on_epoch_end(epoch, logs)
            ends.append(time.perf_counter())

    options: dict[str, Any] = {
        "objective": Objective(cross_entropy), "optimizer": Adam(1e-3, global_clipnorm=1.0), "epochs": range(1),
        "sweep": sweep, "callbacks": [End("loss", restore_best_weights=True)],
    }  # fmt: skip
    if every is None:
        began = time.perf_counter()
        train(stack, fed, **options)
        return ends[0] - began
    with (
        tempfile.TemporaryDirectory(dir=folder) as place,
        Checkpoint(place, settings_of(stack, fed, **options), every=every) as run,
    ):
        part = run.part("model")
        began = time.perf_counter()
        train(stack, fed, part=part, **options)
    return ends[0] - began


def asking(folder: Path) -> float:
    """Seconds that the question takes, whether it is time to save."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        part = Checkpoint(place, {}, every=1e9).part("model")
        return min(timeit.repeat(part.due, number=ASKED)) / ASKED


def measured(units: int, folder: Path) -> dict[str, Any]:
    """The costs for one size."""
    steps = STEPS[units]
    plain, saved = [], []
    for turn in range(ROUNDS):
        for every in (None, 0.0) if turn % 2 else (0.0, None):
            (plain if every is None else saved).append(seconds(units, steps, folder, every))
    step = statistics.median(plain) / steps
    save = statistics.median(b - a for a, b in zip(plain, saved, strict=True)) / steps
    ask = asking(folder)
    weights = sum(p.numel() for p in model(units, 1).stack.parameters())
    share = save / EVERY + ask / step
    return {
        "units": units, "weights": weights, "step ms": step * 1e3, "save ms": save * 1e3, "asking us": ask * 1e6,
        "share of the run": share,
    }  # fmt: skip


def whole(folder: Path) -> dict[str, Any]:
    """A run that is saved once, beside one that is not."""
    units = max(STEPS)
    steps = round((EVERY + 2.0) / (seconds(units, STEPS[units], folder, None) / STEPS[units]))
    plain, saved = (seconds(units, steps, folder, every) for every in (None, EVERY))
    return {"units": units, "steps": steps, "seconds": plain, "seconds saved": saved, "more": saved / plain - 1.0}


def main() -> None:
    """Measure, print and keep the result."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    given = [arg for arg in sys.argv[1:] if arg != "--whole"]
    folder = Path(given[0] if given else tempfile.gettempdir())
    rows = [measured(units, folder) for units in STEPS]
    for row in rows:
        print(f"LSTM({row['units']}), {row['weights']:,} weights: a step {row['step ms']:.1f} ms, "
              f"a save {row['save ms']:.1f} ms, asking for it {row['asking us']:.1f} µs a step; "
              f"with a save each {EVERY:.0f} s {row['share of the run']:.2%} of the run", flush=True)  # fmt: skip
    found: dict[str, Any] = {
        "machine": f"{platform.processor() or platform.machine()}, Python {platform.python_version()}",
        "torch": str(torch.__version__),
        "ostinato": __version__,
        "unit": f"medians of {ROUNDS} interleaved rounds, {torch.get_num_threads()} thread(s)",
        "rows": rows,
    }
    path = Path(__file__).parent / "results" / "checkpoint.json"
    if "--whole" in sys.argv:
        found["whole"] = run = whole(folder)
        print(f"LSTM({run['units']}), {run['steps']} steps: {run['seconds']:.1f} s, saved each {EVERY:.0f} s "
              f"{run['seconds saved']:.1f} s ({run['more']:+.2%})")  # fmt: skip
    elif path.exists() and "whole" in (old := msgspec.json.decode(path.read_bytes())):  # the longer one stays
        found["whole"] = old["whole"]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")


if __name__ == "__main__":
    main()
