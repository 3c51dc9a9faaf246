"""Called by hand, the sparse cross-entropy took the first column of one-hot targets for the classes."""

import numpy as np
import pytest

from ostinato.errors import ShapeError
from ostinato.losses.named import SparseCategoricalCrossentropy


def test_one_hot_targets_are_refused():
    y = np.full((4, 3), 1 / 3)
    with pytest.raises(ShapeError, match=r"must have the shape \(4,\)"):
        SparseCategoricalCrossentropy()(np.eye(3)[[0, 1, 2, 0]], y)
    np.testing.assert_allclose(SparseCategoricalCrossentropy()(np.array([[0], [1], [2], [0]]), y), np.log(3.0))
