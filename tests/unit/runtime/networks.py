"""Networks with random weights, for tests of streams and pools."""

from __future__ import annotations

import numpy as np

from ostinato.cells import CELLS
from ostinato.maps.base import Part, Shape
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.runtime import Network
from ostinato.runtime.machine import expected
from ostinato.scans.recurrent import Recurrent


def network(parts: list[Part], shape: Shape = (None, 3), **options: str) -> Network:
    """A network of these layers, with weights that are the same in each call."""
    rng = np.random.default_rng(5)
    weights = [
        {name: rng.normal(0.0, 0.5, w.shape).astype(np.float32) for name, w in needed.items()}
        for needed in expected(parts, shape)
    ]
    return Network(tuple(parts), weights, shape, **options)


def of_numbers(**options: str) -> Network:
    """Reads three numbers a step and gives two for the sequence so far."""
    return network([Recurrent(CELLS["lstm"](5)), Dense(2)], **options)


def of_symbols() -> Network:
    """Reads one of seven symbols a step and gives a score for each."""
    return network([Embedding(7, 4), Recurrent(CELLS["gru"](5), return_sequences=True), Dense(7)], (None,))
