"""`losses.binary_crossentropy(y_true, y_pred)` inside a user's own loss took the first argument for the output."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ostinato.errors import ShapeError
from ostinato.losses import named

T, Y = np.array([[1.0], [0.0]]), np.array([[0.9], [0.2]])


def test_the_target_comes_first():
    expected = -np.log([0.9, 0.8])
    np.testing.assert_allclose(named.BY_NAME["binary_crossentropy"](T, Y).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(
        named.BinaryCrossentropy()(torch.tensor(T), torch.tensor(Y)).numpy(), expected, rtol=1e-6
    )
    classes = named.BY_NAME["sparse_categorical_crossentropy"](np.array([1, 0]), np.array([[0.25, 0.75], [0.5, 0.5]]))
    np.testing.assert_allclose(classes.numpy(), -np.log([0.75, 0.5]), rtol=1e-6)


def test_nothing_is_broadcast():
    with pytest.raises(ShapeError):
        named.MeanSquaredError()(T[:, 0], Y)
