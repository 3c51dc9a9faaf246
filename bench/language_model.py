"""How fast does a character model of tinyshakespeare learn, beside the same model on torch.nn.LSTM with a plain loop?

Both sides have the same first weights, data, order, windows, carried states, network without dropout (embedding 64,
LSTM 512, dense), rate, clipping and fused Adam; ours is `ostinato.train.train` as `Generate` calls it, torch's loop is
written out below. They train in turns, an epoch each, on all of torch's threads. Printed are symbols a second, and the
training time (validation left out) until the loss over the whole validation part falls below 1.88 and 1.55 nats a
character, interpolated between the ends of two epochs.

    OSTINATO_DATA=folder python bench/language_model.py [epochs]
"""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import statistics
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor

from ostinato.cells.lstm import LSTM
from ostinato.data.vocabularies.characters import Characters
from ostinato.layers.stack import Stack
from ostinato.tasks.generating.fitting import cross_entropy, streams
from ostinato.tasks.generating.network import Network
from ostinato.tasks.training import Training
from ostinato.train.loop import Objective, measure, train
from ostinato.train.optimisers import Adam
from ostinato.train.streams import Streams
from ostinato.train.truncated import course
from ostinato.version import __version__

SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
UNITS, WIDTH, EPOCHS, RATE, CLIP, GOALS = 512, 64, 4, 3e-3, 1.0, (1.88, 1.55)


def text() -> str:
    """The data, from the folder OSTINATO_DATA."""
    path = Path(os.environ.get("OSTINATO_DATA", ".")) / "tinyshakespeare" / "input.txt.gz"
    if not path.exists():
        print(f"{path} is not there: set OSTINATO_DATA to a folder that holds tinyshakespeare/input.txt.gz")
        raise SystemExit(0)
    data = gzip.decompress(path.read_bytes())
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise SystemExit(f"{path} is another text")
    return data.decode("utf-8")


class Ours:
    """`train`, epoch by epoch, with history and its hooks."""

    def __init__(self, stack: Stack, feed: Streams, training: Training) -> None:
        self.stack, self.course = stack, course(stack, feed, None, bptt=training.bptt, memory=training.memory)
        self.optimizer = Adam(RATE, global_clipnorm=CLIP)

    def epoch(self, number: int) -> None:
        """Train for one epoch."""
        train(
            self.stack, self.course.feed, objective=Objective(cross_entropy), optimizer=self.optimizer,
            epochs=range(number, number + 1), sweep=self.course.sweep,
        )  # fmt: skip

    def loss(self, valid: Streams) -> float:
        """Nats a character."""
        return measure(self.stack, valid, Objective(cross_entropy))["loss"]


class Plain(torch.nn.Module):
    """The same on torch.nn.LSTM, and its loop."""

    def __init__(self, stack: Stack, symbols: int, feed: Streams) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(symbols, WIDTH)
        self.lstm = torch.nn.LSTM(WIDTH, UNITS, batch_first=True)
        self.head = torch.nn.Linear(UNITS, symbols)
        embedding, recurrent, head = (
            {key.rpartition(".")[2]: p for key, p in layer.named_parameters()} for layer in stack.layers
        )
        with torch.no_grad():
            self.table.weight.copy_(embedding["table"])
            self.lstm.weight_ih_l0.copy_(recurrent["W"].T)
            self.lstm.weight_hh_l0.copy_(recurrent["U"].T)
            self.lstm.bias_ih_l0.copy_(recurrent["b"])
            self.lstm.bias_hh_l0.zero_()
            self.head.weight.copy_(head["W"].T)
            self.head.bias.copy_(head["b"])
        self.lstm.bias_hh_l0.requires_grad_(requires_grad=False)  # one bias, as ours
        self.feed = feed
        self.optimizer = torch.optim.Adam([p for p in self.parameters() if p.requires_grad], RATE, eps=1e-7, fused=True)

    def scores(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Scores and states after a window."""
        y, state = self.lstm(self.table(x), state)
        return self.head(y), state

    def epoch(self, number: int) -> None:
        """Train for one epoch."""
        state = None
        for piece in self.feed.pieces(number):
            scores, state = self.scores(piece.batch.x, state)
            mask, target = piece.batch.mask, piece.batch.target
            scores, target = (scores.flatten(0, 1), target.flatten()) if mask is None else (scores[mask], target[mask])
            loss = torch.nn.functional.cross_entropy(scores, target)
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters(), CLIP)
            self.optimizer.step()
            state = (state[0].detach(), state[1].detach())
            loss.item()

    @torch.no_grad()
    def loss(self, valid: Streams) -> float:
        """Nats a character."""
        state, total, count = None, 0.0, 0
        for piece in valid.pieces(0):
            scores, state = self.scores(piece.batch.x, state)
            mask, target = piece.batch.mask, piece.batch.target
            scores, target = (scores.flatten(0, 1), target.flatten()) if mask is None else (scores[mask], target[mask])
            total += float(torch.nn.functional.cross_entropy(scores, target, reduction="sum"))
            count += len(target)
        return total / count


def until(goal: float, seconds: list[float], losses: list[float]) -> float | None:
    """Training time to a loss, interpolated; None if it was not reached. Before the first epoch it is log(symbols)."""
    for i in range(1, len(losses)):
        if losses[i] <= goal:
            share = (losses[i - 1] - goal) / (losses[i - 1] - losses[i])
            return sum(seconds[: i - 1]) + share * seconds[i - 1]
    return None


def main() -> None:
    """Measure, print and keep the result."""
    data = text()
    cut = int(0.9 * len(data))
    vocabulary = Characters.fit([data[:cut]])
    training = Training(batch_size=32, bptt=128)
    before = int(vocabulary.encode("\n")[0])
    feed = streams([vocabulary.encode(data[:cut])], before, training)
    valid = streams([vocabulary.encode(data[cut:])], before, training).still()
    network = Network(embedding=WIDTH)
    stack = network.stack(network.parts([LSTM(UNITS)], vocabulary.size), seed=0)
    plain = Plain(stack, vocabulary.size, feed.cut(training.bptt))
    sides: dict[str, Ours | Plain] = {"ours": Ours(stack, feed, training), "torch": plain}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    losses = {name: [side.loss(valid)] for name, side in sides.items()}
    if abs(losses["ours"][0] - losses["torch"][0]) > 1e-5:
        raise SystemExit(f"the sides begin with different networks: {losses}")
    for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else EPOCHS):
        for name in (list(sides), list(sides)[::-1])[number % 2]:
            began = time.perf_counter()
            sides[name].epoch(number)
            seconds[name].append(time.perf_counter() - began)
            losses[name].append(sides[name].loss(valid))
        print(f"epoch {number + 1}", *(f"{n}: {seconds[n][-1]:.1f} s, {losses[n][-1]:.4f}" for n in sides), flush=True)
    symbols = sum(len(x) for x in feed.inputs)
    rows = {
        name: {
            "symbols a second": round(symbols / statistics.median(seconds[name])),
            **{f"seconds to {goal}": until(goal, seconds[name], losses[name]) for goal in GOALS},
            "seconds an epoch": [round(s, 2) for s in seconds[name]],
            "validation loss": [round(v, 4) for v in losses[name]],
        }
        for name in sides
    }
    ratio = statistics.median(b / a for a, b in zip(seconds["ours"], seconds["torch"], strict=True))
    for name, row in rows.items():
        print(name, {k: v for k, v in row.items() if not isinstance(v, list)})
    print(f"ours is {ratio:.2f} times as fast (median over epochs)")
    found = {
        "machine": f"{platform.processor() or platform.machine()}, Python {platform.python_version()}",
        "torch": str(torch.__version__), "numpy": np.__version__, "ostinato": __version__,
        "threads": torch.get_num_threads(), "network": f"embedding {WIDTH}, LSTM {UNITS}, batch 32, windows of 128",
        "times as fast": ratio, "rows": rows,
    }  # fmt: skip
    path = Path(__file__).parent / "results" / "language_model.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")


if __name__ == "__main__":
    main()
