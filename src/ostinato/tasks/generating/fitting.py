"""Trains the network of a generator."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ostinato.cells import Cell
from ostinato.data.vocabularies.base import Ids
from ostinato.errors import DataError
from ostinato.kernels.choose import Choice as KernelChoice
from ostinato.layers.module import Layer
from ostinato.layers.stack import Stack
from ostinato.maps.base import Part
from ostinato.tasks.generating.network import Network
from ostinato.tasks.learning.networks import Trained, train_stack
from ostinato.tasks.learning.runs import optimiser
from ostinato.tasks.training import Training
from ostinato.train.batches import Batch
from ostinato.train.loop import Objective
from ostinato.train.range_test import RangeTest, lr_find
from ostinato.train.resume import Checkpoint
from ostinato.train.streams import Streams
from ostinato.train.truncated import course

LEAST_WINDOWS = 4
"""Fewest windows that each row of a batch of continuous text has."""


class Fitted(NamedTuple):
    """A trained generator's network.

    Args:
        parts: Its layers.
        trained: Their weights, and the loss by epoch in nats a symbol.
        seconds: What training took, in this process.
        symbols: How many symbols an epoch has.
    """

    parts: tuple[Part, ...]
    trained: Trained
    seconds: float
    symbols: int


def cross_entropy(y: Tensor, batch: Batch, mask: Tensor | None) -> tuple[Tensor, float]:
    """Mean nats a symbol; `y [batch, time, symbols]` are scores, targets ids `[batch, time]`."""
    scores, ids = y.reshape(-1, y.shape[-1]), batch.target.reshape(-1)
    if mask is None:
        return torch.nn.functional.cross_entropy(scores, ids), float(ids.numel())
    real = mask.reshape(-1)
    count = float(real.sum())
    return torch.nn.functional.cross_entropy(scores[real], ids[real]), count


def streams(rows: Sequence[Ids], before: int | None, training: Training) -> Streams:
    """Symbols and those that follow them.

    Args:
        rows: Ids of the text, or of each item with its start and end.
        before: The id that a continuous text comes after; None for items.
        training: Options.

    Raises:
        DataError: `short`, the text is shorter than a window for each row of a batch.
    """
    whole = [row if before is None else np.concatenate([[before], row]) for row in rows]
    pairs = [(torch.from_numpy(row[:-1].astype(np.int64)), torch.from_numpy(row[1:].astype(np.int64))) for row in whole]
    if before is not None and len(rows[0]) < training.batch_size:
        raise DataError(
            f"the training part must have at least {training.batch_size} symbols, one for each row of a batch",
            got=str(len(rows[0])),
            fix=f"Give more text, or pass batch_size={len(rows[0])}.",
            code="short",
        )
    rows_at_once = training.batch_size
    if before is not None and training.bptt:  # a short text gives fewer rows rather than hardly a step an epoch
        rows_at_once = min(rows_at_once, max(1, len(rows[0]) // (LEAST_WINDOWS * training.bptt)))
    return Streams(
        [x for x, _ in pairs], [y for _, y in pairs], rows_at_once, training.bptt or None, seed=training.seed
    )


def built(network: Network, parts: Sequence[Part], *, seed: int) -> Stack:
    """The layers with first weights."""
    layers = [Layer(part, name=f"layer_{i}") for i, part in enumerate(parts[:-1])]
    tied = {"table": (layers[0], "table")} if network.tied else None
    stack = Stack([*layers, Layer(parts[-1], tied=tied, name=f"layer_{len(layers)}")], seed=seed)
    stack.build((None,))
    return stack


def kernels(stack: Stack) -> dict[str, KernelChoice]:
    """The kernel of each cell in use, found on a few steps."""
    seen: dict[str, KernelChoice] = {}
    x = torch.zeros(1, 4, dtype=torch.int64)
    stack.eval()
    for layer in stack.layers:
        seen |= layer.choices(x)  # type: ignore[operator]
        x = layer.run(x).y  # type: ignore[operator]
    return seen


def fit_network(
    cells: Sequence[Cell],
    network: Network,
    size: int,
    *,
    train_on: Streams,
    valid: Streams,
    training: Training,
    verbose: int,
    run: Checkpoint | None,
) -> Fitted:
    """Train a network until its validation loss no longer falls; the weights of the best epoch are kept."""
    parts = network.parts(cells, size)
    stack = built(network, parts, seed=training.seed)
    began = time.monotonic()
    trained = train_stack(
        stack,
        course(stack, train_on, None, bptt=training.bptt, memory=training.memory),
        objective=Objective(cross_entropy),
        training=training,
        valid=valid,
        verbose=verbose,
        label="network",
        run=run,
    )
    symbols = sum(len(x) for x in train_on.inputs)
    return Fitted(parts, trained, time.monotonic() - began, symbols)


def range_test(
    cells: Sequence[Cell], network: Network, size: int, feed: Streams, *, training: Training, **limits: Any
) -> RangeTest:
    """Look for the learning rate of the network."""
    stack = built(network, network.parts(cells, size), seed=training.seed)
    stack.precision = training.precision
    to = course(stack, feed, None, bptt=training.bptt, memory=training.memory)
    optimizer = optimiser(training, 1)
    return lr_find(stack, to.feed, objective=Objective(cross_entropy), optimizer=optimizer, sweep=to.sweep, **limits)
