"""How steps shrink along a training, and the mean of the weights that is kept."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from ostinato._folder import catalogue
from ostinato.cells.gru import GRU
from ostinato.errors import ArgumentError
from ostinato.layers.module import Layer
from ostinato.layers.stack import Stack
from ostinato.maps.dense import Dense
from ostinato.scans.recurrent import Recurrent
from ostinato.tasks.base import Task
from ostinato.tasks.learning.networks import train_stack
from ostinato.tasks.learning.runs import optimiser, rate
from ostinato.tasks.training import Training
from ostinato.train.batches import Arrays, Order
from ostinato.train.feeds import Batches
from ostinato.train.flat import Flat
from ostinato.train.loop import Objective
from ostinato.train.optimisers import OPTIMIZERS, SGD, Adam, HessianFree
from ostinato.train.resume import describe
from ostinato.train.schedules import OneCycle
from ostinato.train.truncated import course

TASKS = catalogue("ostinato.tasks", Task)
X = torch.from_numpy(np.random.default_rng(0).normal(size=(24, 5, 2)).astype(np.float32))
SAMPLES = Arrays(X, X.sum(dim=(1, 2))[:, None])
OBJECTIVE = Objective(lambda y, batch, mask: ((y - batch.target).square().mean(), float(len(y))))


def fit(*, rate=0.05, **options):
    training = Training(**({"epochs": 6, "batch_size": 8, "patience": 6, "learning_rate": rate} | options))
    stack = Stack([Layer(Recurrent(GRU(4))), Layer(Dense(1))], seed=1)
    stack.build((5, 2))
    order = Order(1, training.batch_size)
    to = course(stack, SAMPLES, order, bptt=0, memory="truncate")
    made = train_stack(stack, to, objective=OBJECTIVE, training=training, valid=Batches(SAMPLES, order))
    return made, np.concatenate([w.reshape(-1) for layer in made.weights for w in layer.values()])


@pytest.mark.parametrize("steps", [1, 40, 5000])
def test_a_cosine_rises_to_the_rate_and_ends_with_the_training(steps):
    made = rate(Training(schedule="cosine", learning_rate=0.01), steps)
    seen = [made(k) for k in range(steps)]
    warm = min(100, steps // 20)
    assert max(seen) == seen[warm] == 0.01
    assert all(a < b for a, b in pairwise(seen[: warm + 1]))
    assert all(a > b for a, b in pairwise(seen[warm:]))
    assert made(steps) == pytest.approx(0.0001)


def test_one_cycle_peaks_inside_and_a_constant_is_a_number():
    made = rate(Training(schedule="one_cycle", learning_rate=0.01), 100)
    seen = [made(k) for k in range(100)]
    assert 0 < int(np.argmax(seen)) < 99
    assert max(seen) == pytest.approx(0.01)
    assert rate(Training(learning_rate=0.01), 100) == 0.01


def test_schedule_and_average_reach_the_training():
    plain, again = fit()[1], fit()[1]
    assert np.array_equal(plain, again)
    for options in ({"schedule": "cosine"}, {"schedule": "one_cycle"}, {"average": 0.9}, {"accumulate": 2}):
        assert not np.array_equal(plain, fit(**options)[1]), options


def test_a_plateau_makes_steps_smaller_before_the_training_is_stopped():
    made, weights = fit(schedule="plateau", epochs=60, patience=6, rate=0.3)
    rates, losses = made.history.history["learning_rate"], made.history.history["val_loss"]
    assert len(set(rates)) > 1
    best, waited = losses[0], 0
    for now, later, loss in zip(rates[1:], rates[2:], losses[1:], strict=False):
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        wanted = now
        if waited == 2:
            wanted, waited = max(now / 3.0, 0.3 / 1000.0), 0
        assert later == pytest.approx(wanted)
    assert np.array_equal(weights, fit(schedule="plateau", epochs=60, patience=6, rate=0.3)[1])


def test_batches_that_are_accumulated_make_the_step_of_a_large_one():
    large = fit(batch_size=24, optimizer="sgd", rate=0.01)[1]
    small = fit(batch_size=8, accumulate=3, optimizer="sgd", rate=0.01)[1]
    np.testing.assert_allclose(small, large, rtol=0.0, atol=2e-6)
    assert not np.array_equal(small, fit(batch_size=8, optimizer="sgd", rate=0.01)[1])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_trains_a_task_and_ends_in_the_same_bits(name):
    slow = {"rate": 0.003} if name == "sgd" else {}
    made, weights = fit(optimizer=name, average=0.5, **slow)
    losses = made.history.history["loss"]
    assert losses[-1] < losses[0]
    assert np.array_equal(weights, fit(optimizer=name, average=0.5, **slow)[1])
    assert not np.array_equal(weights, fit(optimizer=name, **slow)[1])
    assert name == "adam" or not np.array_equal(weights, fit(average=0.5, **slow)[1])


def test_an_object_has_its_own_settings_and_is_left_as_it_was():
    given = SGD(0.01, momentum=0.9, clipnorm=0.5)
    first, again = fit(optimizer=given)[1], fit(optimizer=given, rate=1.0, clip_norm=5.0)[1]
    assert np.array_equal(first, again)
    assert given.iterations == 0
    assert not given.slots
    assert not np.array_equal(first, fit(optimizer=SGD(0.01, momentum=0.9))[1])


def test_options_of_the_task_reach_an_optimiser_by_name():
    made = optimiser(Training(optimizer="adamw", clip_norm=0.5, average=0.9, schedule="one_cycle"), 50)
    assert (made.weight_decay, made.global_clipnorm, made.ema_momentum) == (0.004, 0.5, 0.9)
    assert isinstance(made.schedule, OneCycle)
    assert optimiser(Training(optimizer="adamw", weight_decay=0.1), 50).weight_decay == 0.1
    assert optimiser(Training(optimizer="sgd"), 50).weight_decay == 0.0
    assert optimiser(Training(optimizer="hessian_free"), 50).learning_rate == 1.0


@pytest.mark.parametrize("optimizer", [Adam(), SGD(OneCycle(0.1, 20), momentum=0.5, clipvalue=1.0), HessianFree(0.5)])
def test_an_optimiser_is_shown_as_it_is_written(optimizer):
    made = eval(repr(optimizer))
    assert type(made) is type(optimizer)
    assert repr(made) == repr(optimizer)
    optimizer.fresh_copy().bind(Flat([torch.nn.Parameter(torch.zeros(2))]))
    assert describe(optimizer) == repr(made)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_task_finds_a_learning_rate_and_is_left_as_it_was(task):
    made = task(units=8)
    before = dict(vars(made))
    found = made.find_learning_rate(task.sample(), steps=60)
    assert vars(made) == before
    assert 1e-6 < found.suggestion < 0.2
    assert found.losses == made.find_learning_rate(task.sample(), steps=60).losses
    with pytest.raises(ArgumentError, match="learning rate"):
        task(training=Training(optimizer="lbfgs")).find_learning_rate(task.sample())


@pytest.mark.parametrize(
    "wrong",
    [{"weight_decay": 0.1}, {"schedule": "cosine"}, {"schedule": "plateau"}, {"accumulate": 2}, {"average": 0.5}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_options_that_an_optimiser_would_not_heed_are_refused(wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        Training(optimizer=Adam(), **wrong).check()
    if "average" not in wrong:
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            Training(optimizer="lbfgs", **wrong).check()


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimizer": "newton"},
        {"optimizer": None},
        {"optimizer": Adam},
        {"schedule": "steps"},
        {"average": 1.0},
        {"average": -0.1},
        {"accumulate": 0},
        {"accumulate": 1.5},
    ],
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        Training(**wrong).check()
