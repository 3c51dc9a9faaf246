"""`model(x)` took no arrays and had dropout on before the first fit; `layer(x)` failed in torch for whole numbers."""

from __future__ import annotations

import numpy as np
import torch

from ostinato import Sequential
from ostinato.layers import LSTM, Dense, Dropout

X = np.random.default_rng(0).normal(size=(16, 4, 2)).astype(np.float32)


def test_a_model_is_called_without_dropout_unless_it_is_told():
    model = Sequential([LSTM(8, input_shape=(4, 2)), Dropout(0.5), Dense(1)], seed=0)
    np.testing.assert_array_equal(model(X), model.predict(X))
    x = torch.tensor(X, requires_grad=True)
    model(x).sum().backward()
    assert float(x.grad.abs().sum()) > 0
    draws = np.stack([model(X, training=True) for _ in range(200)])
    assert draws.std(0).min() > 1e-3
    np.testing.assert_array_equal(model(X), model.predict(X))


def test_calls_with_dropout_do_not_change_the_next_training():
    def weights(calls):
        model = Sequential([Dropout(0.5, input_shape=(4, 2)), LSTM(3), Dense(1)], seed=0)
        model.compile("sgd", "mse")
        for _ in range(calls):
            model(X, training=True)
        model.fit(X, X[:, 0, :1], verbose=0)
        return model.get_weights()

    for one, two in zip(weights(0), weights(3), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_layer_draws_other_noise_in_each_call():
    layer = Dropout(0.5)
    assert (layer(X, training=True) != layer(X, training=True)).any()


def test_a_layer_takes_whole_and_long_numbers():
    layer = LSTM(3)
    whole = np.arange(8).reshape(1, 4, 2)
    expected = layer(whole.astype(np.float32))
    np.testing.assert_array_equal(layer(whole), expected)
    np.testing.assert_allclose(layer(torch.tensor(whole)).detach(), expected, rtol=1e-4)
    np.testing.assert_allclose(layer(torch.tensor(whole, dtype=torch.float64)).detach(), expected, rtol=1e-4)
    assert LSTM(3)(X, initial_state=[np.ones((16, 3)), np.ones((16, 3))]).shape == (16, 3)
