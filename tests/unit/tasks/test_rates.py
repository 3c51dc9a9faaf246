"""How steps shrink along a training, and the mean of the weights that is kept."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from ostinato.cells.gru import GRU
from ostinato.errors import ArgumentError
from ostinato.layers.module import Layer
from ostinato.layers.stack import Stack
from ostinato.maps.dense import Dense
from ostinato.scans.recurrent import Recurrent
from ostinato.tasks.networks import train_stack
from ostinato.tasks.training import Training
from ostinato.train.batches import Arrays, Order
from ostinato.train.feeds import Batches
from ostinato.train.loop import Objective
from ostinato.train.truncated import course

X = torch.from_numpy(np.random.default_rng(0).normal(size=(24, 5, 2)).astype(np.float32))
SAMPLES = Arrays(X, X.sum(dim=(1, 2))[:, None])
OBJECTIVE = Objective(lambda y, batch, mask: ((y - batch.target).square().mean(), float(len(y))))


def fit(**options):
    training = Training(epochs=6, batch_size=8, patience=6, learning_rate=0.05, **options)
    stack = Stack([Layer(Recurrent(GRU(4))), Layer(Dense(1))], seed=1)
    stack.build((5, 2))
    order = Order(1, 8)
    to = course(stack, SAMPLES, order, bptt=0, memory="truncate")
    made = train_stack(stack, to, objective=OBJECTIVE, training=training, valid=Batches(SAMPLES, order))
    return made, np.concatenate([w.reshape(-1) for layer in made.weights for w in layer.values()])


@pytest.mark.parametrize("steps", [1, 40, 5000])
def test_a_cosine_rises_to_the_rate_and_ends_with_the_training(steps):
    rate = Training(schedule="cosine").rate(0.01, steps)
    seen = [rate(k) for k in range(steps)]
    warm = min(100, steps // 20)
    assert max(seen) == seen[warm] == 0.01
    assert all(a < b for a, b in pairwise(seen[: warm + 1]))
    assert all(a > b for a, b in pairwise(seen[warm:]))
    assert rate(steps) == pytest.approx(0.0001)


def test_one_cycle_peaks_inside_and_a_constant_is_a_number():
    rate = Training(schedule="one_cycle").rate(0.01, 100)
    seen = [rate(k) for k in range(100)]
    assert 0 < int(np.argmax(seen)) < 99
    assert max(seen) == pytest.approx(0.01)
    assert Training().rate(0.01, 100) == 0.01


def test_schedule_and_average_reach_the_training():
    plain, again = fit()[1], fit()[1]
    assert np.array_equal(plain, again)
    for options in ({"schedule": "cosine"}, {"schedule": "one_cycle"}, {"average": 0.9}):
        assert not np.array_equal(plain, fit(**options)[1]), options


@pytest.mark.parametrize("wrong", [{"schedule": "steps"}, {"average": 1.0}, {"average": -0.1}])
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        Training(**wrong).check()
