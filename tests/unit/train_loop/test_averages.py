"""Averaged weights and accumulated gradients: what Keras computes, and when the model shows which weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.laws.tolerance import exact, same
from tests.unit.train_loop.small import arrays, fit, mean_squared, stack

from ostinato import Sequential, load_model
from ostinato.errors import ArgumentError
from ostinato.layers import Dense
from ostinato.train import LBFGS, OPTIMIZERS, SGD, Adam, Arrays, Callback, HessianFree, Objective, Order, measure, train
from ostinato.train.flat import Flat

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)


class Watch(Callback):
    """Keeps the weights after each step and at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.plain, self.shown = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.plain.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.shown.append(self.model.get_weights())


def _equal(a, b):
    for one, two in zip(a, b, strict=True):
        exact(one, two, what="weights")


def test_the_average_is_that_of_the_plain_formula_and_training_is_not_changed_by_it():
    watch, bare = Watch(), Watch()
    model, other = stack(), stack()
    history = fit(model, arrays(), Adam(0.01, use_ema=True, ema_momentum=0.7), epochs=range(3), callbacks=[watch],
                  valid=arrays(7))  # fmt: skip
    fit(other, arrays(), Adam(0.01), epochs=range(3), callbacks=[bare])
    for a, b in zip(watch.plain, bare.plain, strict=True):
        _equal(a, b)
    mean, ends = None, []
    for step, weights in enumerate(watch.plain, 1):
        mean = weights if mean is None else [0.7 * m + 0.3 * w for m, w in zip(mean, weights, strict=True)]
        if step % 4 == 0:
            ends.append(mean)
    for a, b in zip(watch.shown, ends, strict=True):
        for one, two in zip(a, b, strict=True):
            same(one, two, what="average")
    _equal(model.get_weights(), watch.shown[-1])
    assert measure(model, arrays(7), Objective(mean_squared), 6)["loss"] == history.history["val_loss"][-1]


@pytest.mark.parametrize("extra", [{}, {"gradient_accumulation_steps": 3}])
def test_two_calls_are_one_although_the_average_is_shown_in_between(extra):
    one, two = stack(rate=0.2), stack(rate=0.2)
    rules = [Adam(0.01, use_ema=True, **extra) for _ in range(2)]
    fit(one, arrays(), rules[0], epochs=range(3))
    fit(two, arrays(), rules[1], epochs=range(1))
    fit(two, arrays(), rules[1], epochs=range(1, 3))
    _equal(one.get_weights(), two.get_weights())


def test_weights_that_are_set_in_between_stay():
    model, rule = stack(), SGD(0.0, use_ema=True)
    fit(model, arrays(), rule, epochs=range(1))
    mine = [w + 1.0 for w in model.get_weights()]
    model.set_weights(mine)
    fit(model, arrays(), rule, epochs=range(1, 2))
    _equal(model.get_weights(), mine)


def test_what_is_saved_predicted_and_scored_is_the_average(tmp_path):
    model = Sequential([Dense(1, input_shape=(3,))], seed=0)
    model.compile(SGD(0.1, use_ema=True, ema_momentum=0.9), "mse")
    plain = Watch()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[plain])
    assert not np.array_equal(plain.plain[-1][0], model.get_weights()[0])
    model.save(tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors")
    _equal(again.get_weights(), model.get_weights())
    exact(again.predict(X), model.predict(X), what="predictions")
    assert (again.optimizer.use_ema, again.optimizer.ema_momentum) == (True, 0.9)
    before = model.get_weights()
    model.train_on_batch(X, Y)
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_accumulated_batches_are_one_large_batch():
    samples = arrays(24)
    model, twin = stack(), stack()
    fit(model, samples, Adam(0.01, gradient_accumulation_steps=2, clipnorm=0.1), epochs=range(3))
    rule = Adam(0.01, clipnorm=0.1)
    for epoch in range(3):
        for pair in torch.cat(list(Order(0, 6).epoch(24, epoch))).split(12):
            flat = Flat(twin.parameters())
            rule.bind(flat)
            ((twin(samples.x[pair]) - samples.target[pair]) ** 2).mean().backward()
            rule.step(flat)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        same(a, b, what="weights")


def test_batches_that_are_left_over_count_for_the_next_epoch():
    model, rule = stack(), SGD(0.1, gradient_accumulation_steps=3)
    first = model.get_weights()
    samples = arrays(12)  # two batches an epoch
    fit(model, samples, rule, epochs=range(1))
    _equal(model.get_weights(), first)
    assert (rule.iterations, rule.pending) == (0, 2)
    fit(model, samples, rule, epochs=range(1, 2))
    assert (rule.iterations, rule.pending) == (1, 1)
    assert not np.array_equal(model.get_weights()[0], first[0])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_is_enough_to_go_on(name):
    extra = {} if OPTIMIZERS[name].closures else {"gradient_accumulation_steps": 2}
    if name == "hessian_free":
        extra = {"cg_iterations": 4}
    model, rule = stack(), OPTIMIZERS[name](use_ema=True, **extra)
    fit(model, arrays(), rule, epochs=range(1))
    state, weights = rule.state(), model.get_weights()
    fit(model, arrays(), rule, epochs=range(1, 2))
    other, fresh = stack(), OPTIMIZERS[name](use_ema=True, **extra)
    other.set_weights(weights)
    fresh.bind(Flat(other.parameters()))
    fresh.load_state(state)
    fit(other, arrays(), fresh, epochs=range(1, 2))
    _equal(model.get_weights(), other.get_weights())


def test_a_model_that_diverges_gets_the_average_of_the_last_good_epoch_back():
    model, rule, watch = stack(), SGD(0.01, use_ema=True), Watch()
    fit(model, arrays(), rule, epochs=range(2), callbacks=[watch])
    bad = Arrays(arrays().x, arrays().target.clone())
    bad.target[:] = 1e25
    with pytest.raises(ArithmeticError):
        fit(model, bad, rule, epochs=range(2, 3))
    assert (rule.iterations, rule.shown) == (0, False)
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(gradient_accumulation_steps=1),
        lambda: SGD(gradient_accumulation_steps=2.5),
        lambda: SGD(use_ema=1),
        lambda: SGD(use_ema=True, ema_momentum=1.0),
        lambda: LBFGS(gradient_accumulation_steps=2),
        lambda: HessianFree(weight_decay=0.1),
    ],
)
def test_bad_settings_are_refused(make):
    with pytest.raises(ArgumentError):
        make()


def test_a_full_batch_is_one_step_of_all_rows():
    model, twin = (Sequential([Dense(1, input_shape=(3,))], seed=0) for _ in range(2))
    for made, size in ((model, "full"), (twin, 30)):
        made.compile(SGD(0.1), "mse")
        made.fit(X, Y, batch_size=size, epochs=3, validation_split=0.25, verbose=0)
        assert made.optimizer.iterations == 3
    _equal(model.get_weights(), twin.get_weights())
    exact(model.predict(X, batch_size="full"), model.predict(X, batch_size=40), what="predictions")
    with pytest.raises(ArgumentError, match="batch_size"):
        model.fit(X, Y, batch_size="all", verbose=0)


def test_train_with_no_update_shows_nothing():
    model, rule = stack(), SGD(0.1, use_ema=True, gradient_accumulation_steps=50)
    first = model.get_weights()
    train(model, arrays(), objective=Objective(mean_squared), optimizer=rule, order=Order(0, 6), epochs=range(2))
    _equal(model.get_weights(), first)
