"""Without `input_shape`, the first data's length became the only one, so a shorter text could not be predicted."""

from __future__ import annotations

import numpy as np
import pytest

from ostinato import Sequential
from ostinato.errors import ShapeError
from ostinato.layers import LSTM, Dense, Embedding, Flatten

IDS = np.random.default_rng(0).integers(0, 9, (8, 6))


def test_other_lengths_work_where_the_layers_allow_them():
    model = Sequential([Embedding(9, 3), LSTM(2), Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.fit(IDS, np.ones(8), verbose=0)
    assert model.predict(IDS[:1, :2]).shape == (1, 1)


def test_layers_that_need_a_length_get_it_from_the_data():
    model = Sequential([Embedding(9, 3), Flatten(), Dense(1)], seed=0)
    assert model.predict(IDS).shape == (8, 1)
    with pytest.raises(ShapeError):
        model.predict(IDS[:, :2])
    assert Sequential([Dense(1)]).predict(np.ones((4, 3))).shape == (4, 1)
