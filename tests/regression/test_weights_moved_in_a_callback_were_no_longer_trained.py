"""A callback that trained a second model of the same layers took the weights away; training went on without effect."""

from __future__ import annotations

import numpy as np
import pytest

from ostinato import Sequential
from ostinato.errors import ArgumentError
from ostinato.layers import Dense
from ostinato.train import LambdaCallback

X = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)


def test_it_is_refused():
    model = Sequential([Dense(2, input_shape=(3,)), Dense(1)], seed=0)
    other = Sequential(list(model.layers), seed=1)
    for one in (model, other):
        one.compile("sgd", "mse")

    def disturb(epoch, logs):
        other.fit(X, X[:, :1], verbose=0)

    with pytest.raises(ArgumentError, match="stay where they are"):
        model.fit(X, X[:, :1], epochs=3, verbose=0, callbacks=[LambdaCallback(on_epoch_begin=disturb)])
    model.fit(X, X[:, :1], epochs=1, verbose=0)


def test_setting_weights_in_a_callback_is_fine():
    model = Sequential([Dense(1, input_shape=(3,))], seed=0)
    model.compile("sgd", "mse")
    first = model.get_weights()
    again = LambdaCallback(on_epoch_end=lambda epoch, logs: model.set_weights(first))
    model.fit(X, X[:, :1], epochs=3, verbose=0, callbacks=[again])
    np.testing.assert_array_equal(first[0], model.get_weights()[0])
