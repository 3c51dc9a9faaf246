"""A layer that was also put in a second model drew one and the same dropout pattern in every step of the first."""

from __future__ import annotations

import numpy as np

from ostinato import Sequential
from ostinato.layers import Dense, Dropout

X = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)


def weights(*, shared):
    model = Sequential([Dropout(0.5, input_shape=(3,)), Dense(2), Dense(1)], seed=1)
    model.compile("sgd", "mse")
    if shared:
        Sequential(list(model.layers)[:2], seed=7).predict(X)
    model.fit(X, X[:, :1], batch_size=4, epochs=2, verbose=0)
    return model.get_weights()


def test_a_second_model_of_the_same_layers_does_not_change_training():
    for one, two in zip(weights(shared=False), weights(shared=True), strict=True):
        np.testing.assert_array_equal(one, two)
