"""Trains the networks of an ensemble, one after the other."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ostinato.layers.module import Layer
from ostinato.layers.stack import Stack
from ostinato.maps.base import Part, Shape, Weights
from ostinato.report.pieces import LayerRow
from ostinato.runtime.machine import expected
from ostinato.tasks.learning.runs import optimiser, slower
from ostinato.tasks.training import Training
from ostinato.train.batches import Order, Samples
from ostinato.train.callbacks import Callback
from ostinato.train.distributed import team, writes
from ostinato.train.exploding import ExplodingSteps
from ostinato.train.feeds import Batches, Feed
from ostinato.train.history import History
from ostinato.train.loop import Objective, train
from ostinato.train.progress import Progress
from ostinato.train.resume import Checkpoint
from ostinato.train.stopping import EarlyStopping
from ostinato.train.truncated import Course, course

STEPS_PER_EPOCH = 100
_MANY = 1_000
_SECONDS = 10.0
"""Between two lines of a log."""


class Trained(NamedTuple):
    """A trained network.

    Args:
        weights: Its weights by layer.
        history: What happened.
        epochs: After how many epochs it was best.
        watched: Which steps had long gradients.
    """

    weights: list[Weights]
    history: History
    epochs: int
    watched: ExplodingSteps


def layer_rows(parts: Sequence[Part], shape: Shape) -> list[LayerRow]:
    """The layers for a report: name, shape of the output, number of weights."""
    rows: list[LayerRow] = []
    for part, weights in zip(parts, expected(parts, shape), strict=True):
        shape = part.out_shape(shape)
        count = sum(math.prod(w.shape) for w in weights.values())
        rows.append({"layer": type(getattr(part, "cell", part)).__name__, "output": str(shape), "parameters": count})
    return rows


def n_members(training: Training, n_windows: int) -> int:
    """How many networks to train for so many windows."""
    return training.members or (5 if n_windows <= _MANY else 1)


def train_member(
    parts: Sequence[Part],
    shape: Shape,
    samples: Samples,
    *,
    objective: Objective,
    training: Training,
    number: int,
    valid: Samples,
    verbose: int = 0,
    label: str = "",
    run: Checkpoint | None = None,
) -> Trained:
    """Train one network.

    Args:
        parts: Its layers.
        shape: Shape of one sample.
        samples: Training data.
        objective: What to minimise.
        training: Options.
        number: Which member of the ensemble; decides its seed together with `training.seed`.
        valid: Data that decides when to stop; the weights of the best epoch are kept.
        verbose: On standard error: 0 nothing, 1 a bar or the lines of a log, 2 a line an epoch; see `Progress`.
        label: Put in front of each line of progress; the network's name in the saved run.
        run: Where the training is saved while it goes; None for nowhere.

    Raises:
        Interrupted: Ctrl-C; the state is saved.
        Terminated: SIGTERM; the state is saved.
        NonFiniteLoss: The loss or a weight became NaN or infinite.
    """
    member = new_member(parts, shape, samples, training=training, number=number)
    return train_stack(
        member.stack, member.to, objective=objective, training=training, valid=Batches(valid, member.order),
        verbose=verbose, label=label, run=run,
    )  # fmt: skip


class Member(NamedTuple):
    """A network before its training.

    Args:
        stack: It, with its first weights.
        to: What its steps see, and how their gradients are found.
        order: Which samples form a batch.
    """

    stack: Stack
    to: Course
    order: Order


def new_member(parts: Sequence[Part], shape: Shape, samples: Samples, *, training: Training, number: int) -> Member:
    """A network of an ensemble before its training; arguments as for `train_member`."""
    seed = training.seed * 1009 + number
    stack = Stack([Layer(part, name=f"layer_{i}") for i, part in enumerate(parts)], seed=seed)
    stack.build(shape)
    stack.precision = training.precision
    order = Order(seed, training.batch_size, limit=STEPS_PER_EPOCH)
    return Member(stack, course(stack, samples, order, bptt=training.bptt, memory=training.memory), order)


def train_stack(
    stack: Stack,
    to: Course,
    *,
    objective: Objective,
    training: Training,
    valid: Feed,
    verbose: int = 0,
    label: str = "",
    run: Checkpoint | None = None,
) -> Trained:
    """Train a built stack, together with the other processes if there are any; errors as for `train_member`.

    Args:
        stack: The network.
        to: What the steps see, and how their gradients are found.
        objective: What to minimise.
        training: Options.
        valid: Data that decides when to stop; the weights of the best epoch are kept.
        verbose: As for `train_member`.
        label: Put in front of each line of progress; the network's name in the saved run.
        run: Where the training is saved while it goes; None for nowhere.
    """
    stopping = EarlyStopping(patience=training.patience, restore_best_weights=True)
    watched = ExplodingSteps()
    callbacks: list[Callback] = [stopping, watched, *slower(training)]
    together = team()
    if verbose and writes():
        callbacks.append(Progress(verbose, sys.stderr, label=label, every=_SECONDS))
    stack.precision = training.precision
    history = train(
        stack,
        to.feed,
        objective=objective,
        optimizer=optimiser(training, training.epochs * to.feed.most()),
        epochs=range(training.epochs),
        valid=valid,
        sweep=to.sweep,
        part=None if run is None else run.part(label),
        callbacks=callbacks,
        team=together,
    )
    if together is not None:
        together.wait()
    if run is not None and run.halted():
        run.stop()
    weights: list[Weights] = [
        {key.rpartition(".")[2]: np.array(p.detach().cpu().numpy(), np.float32) for key, p in layer.named_parameters()}
        for layer in stack.layers
    ]
    return Trained(weights, history, stopping.best_epoch + 1, watched)
