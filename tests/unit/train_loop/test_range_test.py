"""The range test finds a rate that trains, and leaves everything as it was."""

from __future__ import annotations

import numpy as np
import pytest
from tests.laws.tolerance import exact

from ostinato import Sequential
from ostinato.errors import ArgumentError
from ostinato.layers import LSTM, Dense, Dropout
from ostinato.train import SGD, Adam, OneCycle

X = np.random.default_rng(0).normal(size=(200, 6, 2)).astype(np.float32)
Y = X.sum((1, 2))[:, None]


def _model(optimizer, **options):
    model = Sequential([LSTM(6, input_shape=(6, 2)), Dropout(0.1), Dense(1)], seed=0)
    model.compile(optimizer, "mse", **options)
    return model


def test_it_leaves_no_trace():
    one, two = _model(Adam(0.003, use_ema=True)), _model(Adam(0.003, use_ema=True))
    for made in (one, two):
        made.fit(X, Y, epochs=1, verbose=0)
    before, state = one.get_weights(), one.optimizer.state()
    one.lr_find(X, Y)
    after = one.optimizer.state()
    for a, b in zip((*before, *state["slots"]), (*one.get_weights(), *after["slots"]), strict=True):
        exact(a, b, what="weights and optimiser")
    assert {k: v for k, v in state.items() if k != "slots"} == {k: v for k, v in after.items() if k != "slots"}
    assert one.optimizer.learning_rate == 0.003
    for made in (one, two):
        made.fit(X, Y, initial_epoch=1, epochs=2, verbose=0)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        exact(a, b, what="weights after more training")


def test_the_suggestion_trains_better_than_far_smaller_or_larger_rates():
    found = _model(Adam()).lr_find(X, Y)
    assert found.learning_rates[0] == pytest.approx(1e-6)
    ratios = np.array(found.learning_rates[1:]) / found.learning_rates[:-1]
    np.testing.assert_allclose(ratios, ratios[0])
    assert len(found.losses) == len(found.smoothed) == len(found.learning_rates) <= 100
    last = {
        scale: _model(Adam(found.suggestion * scale)).fit(X, Y, epochs=8, verbose=0).history["loss"][-1]
        for scale in (1e-3, 1.0, 300.0)
    }
    assert last[1.0] < 0.5 * min(last[1e-3], last[300.0])
    assert found.suggestion == found.learning_rates[int(np.argmin(found.smoothed))] / 10.0


def test_it_ends_when_the_loss_explodes_and_takes_the_place_of_a_schedule():
    model = _model(SGD(OneCycle(0.1, 100)))
    found = model.lr_find(X, Y, last=1e6)
    assert found.learning_rates[-1] < 1e6
    assert model.optimizer.schedule == OneCycle(0.1, 100)


def test_its_plot_shows_the_suggestion():
    found = _model("adam").lr_find(X, Y, steps=40)
    (axes,) = found.plot().axes
    assert axes.get_xscale() == "log"
    assert f"{found.suggestion:.2g}" in axes.get_legend().get_texts()[-1].get_text()


def test_what_it_cannot_do_is_refused():
    for wrong in ({"first": 0.0}, {"first": 2.0}, {"steps": 3}):
        with pytest.raises(ArgumentError, match="first must be"):
            _model("adam").lr_find(X, Y, **wrong)
    with pytest.raises(ArgumentError, match="learning rate"):
        _model("lbfgs").lr_find(X, Y)
    with pytest.raises(ArgumentError, match="must fall"):
        _model("sgd").lr_find(X, Y, first=1e5, last=1e6)
    stateful = Sequential([LSTM(2, batch_input_shape=(10, 6, 2), stateful=True), Dense(1)], seed=0)
    stateful.compile("adam", "mse")
    with pytest.raises(ArgumentError, match="stateful"):
        stateful.lr_find(X, Y)
