"""What `predict` of a network takes, and what it refuses: as a `Sequential` that was not saved."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.runtime.networks import network, of_numbers, of_symbols

from ostinato.cells import CELLS
from ostinato.errors import DataError, ShapeError
from ostinato.maps.embedding import Embedding
from ostinato.maps.masking import Masking
from ostinato.scans.recurrent import Recurrent

X = np.random.default_rng(1).normal(size=(2, 4, 3)).astype(np.float32)


def changed(value: float) -> np.ndarray:
    x = X.astype(np.float64)
    x[1, 2, 0] = value
    return x


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (changed(np.nan), DataError, "nonfinite.*got nan at row 1, step 2, feature 0"),
        (changed(-np.inf), DataError, "got -inf"),
        (changed(1e39), DataError, "fit into float32, got 1e.39"),
        (X.astype(complex), DataError, "type"),
        ("abc", DataError, "type"),
        ([["a"]], DataError, "type"),
        ([[[1, 2, 3]], [[1, 2, 3], [1, 2, 3]]], DataError, "type"),
        ({}, DataError, "type"),
        (None, DataError, "type"),
        (X[0], ShapeError, r"must be \(batch, any, 3\), got \(4, 3\)"),
        (X[..., :2], ShapeError, r"got \(2, 4, 2\)"),
    ],
)
def test_numbers_that_are_refused(x, error, words):
    with pytest.raises(error, match=words):
        of_numbers().predict(x)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ([[1, -1]], "from 0 to 6, got -1 at row 0, step 1"),
        ([[1, 7]], "from 0 to 6, got 7"),
        ([[0.5, 1.0]], "type.*got 0.5 at row 0, step 0"),
        ([[np.nan]], "type.*got nan"),
        ([["a"]], "type"),
    ],
)
def test_symbols_that_are_refused(x, words):
    with pytest.raises(DataError, match=words):
        of_symbols().predict(x)


def test_symbols_may_be_more_than_float32_can_count():
    many = 2**24 + 2
    model = network([Embedding(many, 1)], (None,))
    x = np.array([[many - 1, many - 2]])
    np.testing.assert_array_equal(model.predict(x)[0, :, 0], model.weights[0]["table"][x[0], 0])


def test_numbers_of_any_type_are_taken():
    for x in (X.tolist(), X.astype(np.float64), X[:, ::-1][:, ::-1], X.astype(np.float16).astype(np.float32)):
        assert of_numbers().predict(x).shape == (2, 2)
    symbols = np.array([[1, 2], [3, 0]])
    for given in (symbols.tolist(), symbols.astype(np.int8), symbols.astype(np.float64)):
        np.testing.assert_array_equal(of_symbols().predict(given), of_symbols().predict(symbols))
    assert of_numbers().predict(X[:0]).shape == (0, 2)


def test_masked_steps_are_finite_too():
    model = network([Masking(0.0), Recurrent(CELLS["lstm"](4))])
    with pytest.raises(DataError, match="nonfinite"):
        model.predict(changed(np.nan), mask=np.arange(4) < np.array([[4], [2]]))
