"""Counting exploding steps goes on where a stopped run left it."""

from __future__ import annotations

import numpy as np
import pytest

from ostinato.train.exploding import ExplodingSteps
from ostinato.train.packing import pack, unpack


@pytest.mark.parametrize("stop", [1, 25, 60, 160])
def test_a_count_goes_on(stop):
    norms = np.exp(np.random.default_rng(0).normal(0.0, 2.0, 200)).tolist()
    whole, first, rest = (ExplodingSteps(times=5.0) for _ in range(3))
    for norm in norms:
        whole.add(norm)
    for norm in norms[:stop]:
        first.add(norm)
    tensors = {}
    rest.load_state(unpack(pack(first.state(), tensors), tensors))
    for norm in norms[stop:]:
        rest.add(norm)
    assert whole.count > 5
    assert (rest.count, rest.seen, rest.steps, rest.largest) == (whole.count, whole.seen, whole.steps, whole.largest)
