"""Trains the networks of an ensemble, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ostinato.layers.module import Layer
from ostinato.layers.stack import Stack
from ostinato.maps.base import Part, Shape, Weights
from ostinato.tasks.training import Training
from ostinato.train.batches import Order, Samples
from ostinato.train.callbacks import Callback
from ostinato.train.exploding import ExplodingSteps
from ostinato.train.feeds import Batches
from ostinato.train.history import History
from ostinato.train.loop import Objective, train
from ostinato.train.optimisers import Adam
from ostinato.train.progress import Progress
from ostinato.train.stopping import EarlyStopping
from ostinato.train.truncated import course

STEPS_PER_EPOCH = 100
_MANY = 1_000


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
        verbose: As in Keras: 0 nothing, 1 a bar, 2 a line an epoch.
        label: Put in front of each line of progress.

    Raises:
        NonFiniteLoss: The loss or a weight became NaN or infinite.
    """
    seed = training.seed * 1009 + number
    stack = Stack([Layer(part, name=f"layer_{i}") for i, part in enumerate(parts)], seed=seed)
    stack.build(shape)
    stopping = EarlyStopping(patience=training.patience, restore_best_weights=True)
    watched = ExplodingSteps()
    callbacks: list[Callback] = [stopping, watched]
    if verbose:
        callbacks.append(Progress(verbose, label=label))
    order = Order(seed, training.batch_size, limit=STEPS_PER_EPOCH)
    feed, sweep = course(stack, samples, order, bptt=training.bptt, memory=training.memory)
    history = train(
        stack,
        feed,
        objective=objective,
        optimizer=Adam(
            training.learning_rate,
            weight_decay=training.weight_decay,
            global_clipnorm=training.clip_norm or None,
        ),
        epochs=range(training.epochs),
        valid=Batches(valid, order),
        sweep=sweep,
        callbacks=callbacks,
    )
    weights: list[Weights] = [
        {key.rpartition(".")[2]: np.array(p.detach().cpu().numpy(), np.float32) for key, p in layer.named_parameters()}
        for layer in stack.layers
    ]
    return Trained(weights, history, stopping.best_epoch + 1, watched)
