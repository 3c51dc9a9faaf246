"""Small stacks, data and losses for the tests of the loop."""

from __future__ import annotations

import numpy as np
import torch

from ostinato.cells.lstm import LSTM
from ostinato.layers import Layer, Stack
from ostinato.maps.dense import Dense
from ostinato.maps.dropout import Dropout
from ostinato.scans.recurrent import Recurrent
from ostinato.train import Arrays, Objective, Order, train


def stack(*, seed: int = 0, rate: float = 0.0, recurrent: float = 0.0) -> Stack:
    """An LSTM, dropout and two dense layers on sequences of 5 steps with 2 features, built."""
    made = Stack(
        [
            Layer(Recurrent(LSTM(4), dropout=rate, recurrent_dropout=recurrent), name="lstm"),
            Layer(Dense(3, "tanh"), name="middle"),
            Layer(Dropout(rate), name="dropout"),
            Layer(Dense(1), name="head"),
        ],
        seed=seed,
    )
    made.build((5, 2))
    return made


def arrays(n: int = 20) -> Arrays:
    """Random sequences and a target that can be learned."""
    x = torch.from_numpy(np.random.default_rng(4).normal(size=(n, 5, 2)).astype(np.float32))
    return Arrays(x, x.sum((1, 2))[:, None] / 4.0)


def mean_squared(y, batch, mask):
    """The loss of a batch and its weight."""
    return ((y - batch.target) ** 2).mean(), float(len(y))


def fit(model, samples, optimizer, *, epochs=range(2), seed=0, **options):
    """Train with batches of 6."""
    return train(
        model,
        samples,
        objective=Objective(mean_squared),
        optimizer=optimizer,
        order=Order(seed, 6),
        epochs=epochs,
        **options,
    )
