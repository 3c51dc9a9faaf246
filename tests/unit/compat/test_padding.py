"""`pad_sequences` as Keras users know it."""

from __future__ import annotations

import numpy as np
import pytest

from ostinato.compat.padding import pad_sequences
from ostinato.errors import ArgumentError, DataError, ShapeError

ROWS = [[1, 2, 3], [4], []]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[1, 2, 3], [0, 0, 4], [0, 0, 0]]),
        ({"padding": "post"}, [[1, 2, 3], [4, 0, 0], [0, 0, 0]]),
        ({"maxlen": np.int64(2)}, [[2, 3], [0, 4], [0, 0]]),
        ({"maxlen": 2, "truncating": "post"}, [[1, 2], [0, 4], [0, 0]]),
        ({"maxlen": 5, "padding": "post", "value": -1}, [[1, 2, 3, -1, -1], [4, -1, -1, -1, -1], [-1] * 5]),
        ({"maxlen": 0}, [[], [], []]),
    ],
)
def test_sequences_are_cut_and_filled(options, expected):
    found = pad_sequences(ROWS, **options)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, np.array(expected, np.int32).reshape(3, -1))


def test_steps_may_be_vectors_and_numbers_of_any_type():
    found = pad_sequences([np.ones((2, 3)), np.full((1, 3), 0.5)], dtype="float32")
    np.testing.assert_array_equal(found, np.array([[[1] * 3] * 2, [[0] * 3, [0.5] * 3]], np.float32))
    assert pad_sequences([]).shape == (0, 0)


@pytest.mark.parametrize(
    ("sequences", "options", "error"),
    [
        ("text", {}, DataError), ([1, 2], {}, ShapeError), (["ab"], {}, ShapeError),
        ([np.ones((2, 3)), np.ones((2, 4))], {}, ShapeError), (ROWS, {"padding": "left"}, ArgumentError),
        (ROWS, {"truncating": None}, ArgumentError), (ROWS, {"maxlen": -1}, ArgumentError),
        (ROWS, {"maxlen": 2.5}, ArgumentError),
    ],
)  # fmt: skip
def test_what_cannot_be_padded_is_refused(sequences, options, error):
    with pytest.raises(error):
        pad_sequences(sequences, **options)
