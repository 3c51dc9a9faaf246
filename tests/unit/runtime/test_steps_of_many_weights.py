"""One row through layers of many weights: threads read a part of them each, and every number keeps its bits."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.runtime.networks import network

from ostinato.cells import CELLS
from ostinato.maps.dense import Dense
from ostinato.runtime import native
from ostinato.runtime.compiled_steps import CompiledSteps
from ostinato.scans.recurrent import Recurrent

pytestmark = pytest.mark.skipif(native.available() is not None, reason="no compiled kernels here")
UNITS = {"simple_rnn": 617, "lstm": 260, "gru": 301, "gru_reset_after": 301}
INPUTS = 50


@pytest.mark.parametrize("precision", ["float32", pytest.param("bf16", marks=pytest.mark.skipif(
    native.without_bf16() is not None, reason="no products in bf16 here"))])  # fmt: skip
@pytest.mark.parametrize("cell", UNITS)
def test_threads_change_nothing(cell, precision):
    parts = [Recurrent(CELLS[cell](UNITS[cell]), return_sequences=True), Dense(1000)]
    stepping = network(parts, (None, INPUTS), precision=precision).stepping
    x = np.random.default_rng(0).normal(size=(12, INPUTS)).astype(np.float32)
    found = []
    for threads in (1, 2, 3, 5):
        steps = stepping.steps(2, "raise", threads=threads)
        assert isinstance(steps, CompiledSteps)
        rows = [steps.step(np.array([i % 2]), x[i : i + 1], out=np.empty((1, 1000), np.float32)) for i in range(len(x))]
        found.append((np.concatenate(rows), *steps.read(0)[1], *steps.read(1)[1]))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert np.abs(found[0][0]).min() > 0.0
