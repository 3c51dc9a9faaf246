"""Networks of ours with random weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ostinato.maps.base import Part
from ostinato.runtime import Network
from ostinato.runtime.machine import expected


def random_network(parts: Sequence[Part], inputs: int, *, scale: float = 0.1) -> Network:
    """These layers, for any number of steps of `inputs` numbers."""
    rng = np.random.default_rng(0)
    weights = [
        {n: (scale * rng.normal(size=w.shape)).astype(np.float32) for n, w in needed.items()}
        for needed in expected(parts, (None, inputs))
    ]
    return Network(tuple(parts), weights, (None, inputs))
