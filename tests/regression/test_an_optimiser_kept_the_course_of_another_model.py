"""One optimiser object for two models of equal size carried the first one's running means over to the second."""

from __future__ import annotations

import numpy as np
import pytest

from ostinato import Sequential
from ostinato.errors import ArgumentError
from ostinato.layers import Dense
from ostinato.train import Adam

X = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)


def build(optimizer, units=2):
    model = Sequential([Dense(units, input_shape=(3,)), Dense(1)], seed=1)
    model.compile(optimizer, "mse")
    return model


def test_a_second_model_is_refused():
    optimizer = Adam()
    build(optimizer).fit(X, X[:, :1], verbose=0)
    with pytest.raises(ArgumentError, match="one model"):
        build(optimizer).fit(X, X[:, :1], verbose=0)


def test_another_choice_of_weights_begins_anew_and_the_same_goes_on():
    model = Sequential([Dense(3, input_shape=(3,)), Dense(3), Dense(1)], seed=1)
    model.compile(Adam(), "mse")
    model.layers[0].trainable = False
    model.fit(X, X[:, :1], batch_size=24, epochs=3, verbose=0)
    model.fit(X, X[:, :1], batch_size=24, epochs=3, verbose=0)
    assert model.optimizer.iterations == 6
    model.layers[0].trainable, model.layers[1].trainable = True, False  # as many weights, but others
    model.fit(X, X[:, :1], batch_size=24, epochs=1, verbose=0)
    assert model.optimizer.iterations == 1
