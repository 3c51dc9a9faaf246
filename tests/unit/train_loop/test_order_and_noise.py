"""Data order depends on (seed, epoch) alone, dropout on (seed, step, layer, draw) alone; nothing is replayed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from tests.laws.tolerance import exact
from tests.unit.train_loop.small import arrays, fit, stack

from ostinato.errors import DataError
from ostinato.layers.noise import Noise
from ostinato.train import SGD, Adam, Arrays, Order, predict


def _numbers(order, n, epoch):
    return torch.cat(list(order.epoch(n, epoch))).tolist()


def test_order_depends_on_seed_and_epoch_only():
    seen = {}
    for seed, epoch in itertools.product((0, 1, 7), (0, 1, 5)):
        for batch_size in (1, 4, 100):
            torch.rand(3)
            np.random.rand(3)
            numbers = _numbers(Order(seed, batch_size), 23, epoch)
            assert sorted(numbers) == list(range(23))
            assert seen.setdefault((seed, epoch), numbers) == numbers
    assert len({tuple(v) for v in seen.values()}) == len(seen)


def test_order_without_shuffling_is_that_of_the_data():
    assert _numbers(Order(3, 4, shuffle=False), 10, 2) == list(range(10))


def test_batches_have_the_size_asked_for():
    for n, size in ((10, 4), (8, 4), (3, 5), (1, 1)):
        order = Order(0, size)
        sizes = [len(b) for b in order.epoch(n, 0)]
        assert len(sizes) == order.steps(n)
        assert all(s == size for s in sizes[:-1])
        assert 1 <= sizes[-1] <= size
    with pytest.raises(DataError, match="at least one sample"):
        Order(0, 4).epoch(0, 0)


def test_arrays_pick_rows_of_all_fields():
    x, y = torch.arange(6.0)[:, None], torch.arange(6.0)
    samples = Arrays(x, y, weight=y * 2, mask=x > 2)
    batch = samples.batch(torch.tensor([4, 0]))
    assert batch.target.tolist() == [4.0, 0.0]
    assert batch.weight.tolist() == [8.0, 0.0]
    assert batch.mask.tolist() == [[True], [False]]
    assert len(samples) == 6


def test_noise_depends_on_its_key_only():
    x = torch.ones(40, 30)
    seen = {}
    for seed, step, layer, draws in itertools.product((0, 1), (0, 1, 2**40), (0, 3), (0, 1)):
        for _ in range(2):  # a fresh source and another history give the same
            noise = Noise(seed)
            noise.step = 99
            noise.enter(2).drop(x, 0.5, ())
            noise.step = step
            source = noise.enter(layer)
            for _ in range(draws):
                source.drop(x[:2], 0.25, ())
            torch.rand(5)
            drawn = source.drop(x, 0.5, ())
            exact(seen.setdefault((seed, step, layer, draws), drawn), drawn, what="noise of one key")
    for a, b in itertools.combinations(seen.values(), 2):
        assert 0.4 < float((a == b).float().mean()) < 0.6


def test_noise_keeps_the_mean_and_is_shared_along_axes():
    x = torch.ones(50, 40, 6)
    drawn = Noise(0).enter(0).drop(x, 0.25, (1,))
    assert sorted(set(drawn.flatten().tolist())) == pytest.approx([0.0, 4.0 / 3.0])
    exact(drawn, drawn[:, :1].expand_as(drawn), what="noise of all steps")
    free = Noise(0).enter(0).drop(x, 0.25, ())
    assert abs(float(free.mean()) - 1.0) < 0.03
    assert free.std(1).min() > 0.0


def test_training_is_the_same_whatever_else_draws_and_resumes_where_it_ended():
    runs = []
    for splits in ((range(4),), (range(1), range(1, 4)), (range(2), range(2, 3), range(3, 4))):
        model, rule = stack(rate=0.25, recurrent=0.25), Adam(0.01)
        for epochs in splits:
            torch.manual_seed(len(runs))
            fit(model, arrays(), rule, epochs=epochs)
        runs.append(model.get_weights())
    for other in runs[1:]:
        for a, b in zip(runs[0], other, strict=True):
            exact(a, b, what="weights after four epochs")


def test_another_seed_is_another_run():
    results = []
    for seed, order in ((0, 0), (1, 0), (0, 1)):
        model = stack(seed=seed, rate=0.25)
        first = stack().get_weights()
        model.set_weights(first)
        fit(model, arrays(), SGD(0.05), seed=order)
        results.append(model.get_weights()[0])
    for a, b in itertools.combinations(results, 2):
        assert np.abs(a - b).max() > 1e-6


def test_no_dropout_outside_training():
    model, samples = stack(rate=0.5, recurrent=0.5), arrays()
    exact(predict(model, samples.x, batch_size=7), predict(model, samples.x, batch_size=7), what="predictions")
    model.train()
    model.noise.step = 0
    one = model(samples.x)
    model.noise.step = 1
    assert not torch.equal(one, model(samples.x))
    model.noise.step = 0
    exact(model(samples.x), one, what="the same step")
