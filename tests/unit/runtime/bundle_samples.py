"""Small models for the tests of the model file: every layer, cell and option is met by one of them."""

from __future__ import annotations

import numpy as np

from ostinato.cells import CELLS
from ostinato.maps import MAPS, Part
from ostinato.maps.base import Shape
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.runtime.bundle import Bundle
from ostinato.runtime.machine import expected
from ostinato.runtime.manifest import FORMAT, Manifest, to_spec
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent


def bundle(parts: list[Part], shape: Shape, *, seed: int = 0, **extra: np.ndarray) -> Bundle:
    """A bundle of `parts` with random weights."""
    rng = np.random.default_rng(seed)
    weights = [
        {name: rng.normal(size=weight.shape).astype(np.float32) for name, weight in needed.items()}
        for needed in expected(parts, shape)
    ]
    specs = [to_spec(f"layer_{index}", part) for index, part in enumerate(parts)]
    options = {"horizon": 12, "quantiles": [0.1, 0.9]}
    manifest = Manifest(FORMAT, "0.1.0", "sequential", list(shape), specs, options=options)
    return Bundle(manifest, tuple(parts), weights, extra)


def small() -> Bundle:
    """About 5 kB on disk: two recurrent layers, a head and tensors of each type."""
    lstm, gru = CELLS["lstm"](6), CELLS["gru"](5)
    parts = [
        Bidirectional(Recurrent(lstm, return_sequences=True)),
        Recurrent(gru, start="learned", dropout=0.25),
        MAPS["dense"](3, activation="tanh"),
    ]
    return bundle(
        parts,
        (None, 2),
        mean=np.arange(3.0),
        lags=np.array([1, 12], np.int64),
        scale=np.array(0.5, np.float32),
        vocabulary=np.frombuffer("äö\0b".encode(), np.uint8),
        nothing=np.zeros((0, 3), np.float32),
    )


def stacks() -> dict[str, tuple[list[Part], Shape]]:
    """Stacks that together hold every map, every cell, and every way to run one."""
    found: dict[str, tuple[list[Part], Shape]] = {}
    options = {
        "activation": {"activation": "softmax"},
        "conv1d": {"filters": 3, "kernel_size": 2, "padding": "causal", "dilation_rate": 2},
        "dense": {"units": 4},
        "dropout": {"rate": 0},
        "embedding": {"input_dim": 7, "output_dim": 3, "mask_zero": True},
        "repeat_vector": {"n": 3},
        "reshape": {"target_shape": (4, 2)},
        "time_distributed": {"inner": MAPS["dense"](2)},
        "unembedding": {"units": 5},
    }
    shapes = {"embedding": (None,), "repeat_vector": (4,), "flatten": (4, 2), "reshape": (8,)}
    for key, cls in MAPS.items():
        found[key] = ([cls(**options.get(key, {}))], shapes.get(key, (None, 4)))
    for key, cell in CELLS.items():
        found[f"recurrent_{key}"] = ([Recurrent(cell(3), reverse=True, start="learned")], (None, 2))
    one, other = CELLS["lstm"](3), CELLS["gru"](4)
    found["bidirectional"] = ([Bidirectional(Recurrent(one), "sum")], (5, 2))
    found["bidirectional_two"] = ([Bidirectional(Recurrent(one), backward=Recurrent(other, reverse=True))], (5, 2))
    found["time_distributed_norm"] = ([TimeDistributed(MAPS["layer_norm"]())], (None, 3, 2))
    found["empty"] = ([], (None, 1))
    return found
