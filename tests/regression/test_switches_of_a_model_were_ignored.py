"""`model.trainable = False` and `optimizer.lr = …` set attributes that nothing looked at."""

from __future__ import annotations

import numpy as np

from ostinato import Sequential
from ostinato.layers import Dense
from ostinato.train import SGD

X = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)


def test_a_frozen_model_inside_training_does_not_change():
    base = Sequential([Dense(2, input_shape=(3,))], seed=0)
    base.trainable = False
    assert not base.trainable
    before = base.get_weights()
    model = Sequential([*base.layers, Dense(1)], seed=0)
    assert model.trainable
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], verbose=0)
    for one, two in zip(before, base.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_lr_is_the_learning_rate():
    optimizer = SGD(0.1)
    optimizer.lr = 0.25
    assert optimizer.learning_rate == optimizer.lr == 0.25
