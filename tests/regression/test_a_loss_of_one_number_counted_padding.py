"""An own loss that averages over everything took masked steps into its mean, in silence."""

from __future__ import annotations

import numpy as np
import pytest

from ostinato import Sequential
from ostinato.errors import ArgumentError
from ostinato.layers import LSTM, Dense

RAGGED = [np.ones((2, 1)), np.ones((4, 1))]
TARGET = np.ones((2, 4, 1))


def fit(loss):
    model = Sequential([LSTM(2, return_sequences=True, input_shape=(None, 1)), Dense(1)], seed=0)
    model.compile("sgd", loss)
    return model.fit(RAGGED, TARGET, verbose=0).history["loss"][0]


def test_the_mean_of_everything_is_refused_and_the_last_axis_alone_is_right():
    for loss in (lambda t, y: ((t - y) ** 2).mean(), lambda t, y: ((t - y) ** 2).mean((1, 2))):
        with pytest.raises(ArgumentError, match="per step"):
            fit(loss)
    assert fit(lambda t, y: ((t - y) ** 2).mean(-1)) == fit("mse")
