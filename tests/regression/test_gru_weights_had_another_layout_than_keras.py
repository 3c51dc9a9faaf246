"""`get_weights` of a GRU gave our gate order, so weights set by hand from Keras gave other outputs, in silence."""

from __future__ import annotations

import numpy as np
import pytest

from ostinato import Sequential
from ostinato.errors import DataError, NotBuiltError, ShapeError
from ostinato.layers import GRU, LSTM, Attention, Bidirectional, Dense, SimpleRNN

RNG = np.random.default_rng(3)
X = RNG.normal(size=(3, 6, 2)).astype(np.float32)


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


def keras_gru(x, kernel, recurrent, bias):
    """Keras' documented GRU with reset_after=False: gates z, r, h; z weighs the old state."""
    n = len(recurrent)
    h = np.zeros((len(x), n))
    for t in range(x.shape[1]):
        a = x[:, t] @ kernel + bias
        z = sigmoid(a[:, :n] + h @ recurrent[:, :n])
        r = sigmoid(a[:, n : 2 * n] + h @ recurrent[:, n : 2 * n])
        new = np.tanh(a[:, 2 * n :] + (r * h) @ recurrent[:, 2 * n :])
        h = z * h + (1 - z) * new
    return h


def test_weights_set_by_hand_mean_what_they_mean_in_keras():
    model = Sequential([GRU(4, input_shape=(6, 2))], seed=0)
    weights = [RNG.normal(size=shape) for shape in ((2, 12), (4, 12), (12,))]
    model.layers[0].set_weights(weights)
    np.testing.assert_allclose(model.predict(X), keras_gru(X, *weights), atol=1e-5)
    model.set_weights([-w for w in weights])
    np.testing.assert_allclose(model.predict(X), keras_gru(X, *(-w for w in weights)), atol=1e-5)


@pytest.mark.parametrize("start", ["zeros", "learned"])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("cell", [SimpleRNN, LSTM, GRU, lambda n, **k: GRU(n, reset_after=True, **k)])
def test_weights_come_back_as_they_were_set(cell, use_bias, start):
    def make(seed):
        inner = cell(3, return_sequences=True, use_bias=use_bias, start=start)
        return Sequential([Bidirectional(inner, input_shape=(6, 2)), Attention(use_scale=True), Dense(1)], seed=seed)

    one, two = make(0), make(1)
    weights = [RNG.normal(size=w.shape).astype(np.float32) for w in one.get_weights()]
    one.set_weights(weights)
    for given, kept in zip(weights, one.get_weights(), strict=True):
        np.testing.assert_array_equal(given, kept)
    two.set_weights(one.get_weights())
    np.testing.assert_array_equal(one.predict(X), two.predict(X))


def test_both_biases_of_the_other_gru_are_one_array():
    layer = Sequential([GRU(4, reset_after=True, input_shape=(6, 2))]).layers[0]
    assert [w.shape for w in layer.get_weights()] == [(2, 12), (4, 12), (2, 12)]


def test_wrong_weights_are_refused():
    layer = GRU(4)
    with pytest.raises(NotBuiltError):
        layer.set_weights([])
    layer(X)
    with pytest.raises(ShapeError, match=r"\(4, 12\)"):
        layer.set_weights([np.ones((2, 12))])
    with pytest.raises(DataError, match="finite"):
        layer.set_weights([np.full((2, 12), np.nan), np.ones((4, 12)), np.ones(12)])
