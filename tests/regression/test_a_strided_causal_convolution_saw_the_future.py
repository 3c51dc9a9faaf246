"""With strides the zeros in front depended on the length, so that an output could see steps after its own."""

import numpy as np
import pytest

from ostinato.maps.conv1d import Conv1D
from ostinato.runtime.arrays import CONTEXT


@pytest.mark.parametrize("time", [6, 7, 8, 9])
@pytest.mark.parametrize("strides", [1, 2, 3])
def test_an_output_sees_its_own_step_and_earlier_ones(time, strides):
    part = Conv1D(2, 3, strides=strides, padding="causal")
    rng = np.random.default_rng(0)
    w = {name: rng.normal(size=weight.shape) for name, weight in part.weights((time, 4)).items()}
    x = rng.normal(size=(1, time, 4))
    y = part.apply(CONTEXT, w, x).y
    padded = np.concatenate([np.zeros((1, 2, 4)), x], axis=1)
    for j, t in enumerate(range(0, time, strides)):
        np.testing.assert_allclose(y[0, j], np.einsum("kf,kfn->n", padded[0, t : t + 3], w["W"]) + w["b"])
    assert y.shape[1] == j + 1
