"""Instances of every map, each with an input shape that it takes. A map without an entry gets one by signature."""

from __future__ import annotations

from dataclasses import MISSING, fields

import numpy as np

from ostinato.errors import ShapeError
from ostinato.maps import MAPS, Map
from ostinato.maps.activation import FUNCTIONS, Activation
from ostinato.maps.attention import Attention
from ostinato.maps.base import Shape
from ostinato.maps.conv1d import Conv1D
from ostinato.maps.dense import Dense
from ostinato.maps.dropout import Dropout
from ostinato.maps.embedding import Embedding
from ostinato.maps.global_max_pooling1d import GlobalMaxPooling1D
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.max_pooling1d import MaxPooling1D
from ostinato.maps.reshape import Reshape
from ostinato.maps.time_distributed import TimeDistributed

SEQUENCE: Shape = (6, 4)

EXAMPLES: list[tuple[Map, Shape]] = [
    *((Activation(name), SEQUENCE) for name in FUNCTIONS),
    *((Attention(query, use_scale), SEQUENCE) for query in ("self", "learned") for use_scale in (False, True)),
    *((Conv1D(3, 3, padding=p), SEQUENCE) for p in ("valid", "same", "causal")),
    (Conv1D(3, 2, strides=2, activation="tanh"), SEQUENCE),
    (Conv1D(3, 3, strides=2, padding="same", use_bias=False), SEQUENCE),
    (Conv1D(3, 2, padding="causal", dilation_rate=2), SEQUENCE),
    (Conv1D(3, 1), SEQUENCE),
    (Dense(3), SEQUENCE),
    (Dense(3, "silu", use_bias=False), (4,)),
    (Dropout(0.5), SEQUENCE),
    (Dropout(0.5, over_time=True), SEQUENCE),
    (Embedding(7, 3), (6,)),
    (Embedding(7, 3, mask_zero=True), (6,)),
    (LayerNorm(), SEQUENCE),
    (GlobalMaxPooling1D(), SEQUENCE),
    (MaxPooling1D(2), SEQUENCE),
    (MaxPooling1D(4), SEQUENCE),
    (Reshape((2, 12)), SEQUENCE),
    (TimeDistributed(Dense(3)), SEQUENCE),
    (TimeDistributed(LayerNorm(0.1)), SEQUENCE),
]


def _by_signature(cls: type[Map]) -> tuple[Map, Shape]:
    usual = {"int": 2, "float": 0.5, "tuple[int, ...]": (2,)}
    needed = {f.name: usual[str(f.type)] for f in fields(cls) if f.default is MISSING}
    part = cls(**needed)
    for shape in (SEQUENCE, (4,), (6,)):
        try:
            part.out_shape(shape)
        except ShapeError:
            continue
        return part, shape
    raise AssertionError(f"{cls.__name__} takes none of the usual shapes: add it to EXAMPLES")


EXAMPLES += [_by_signature(cls) for cls in MAPS.values() if cls not in {type(part) for part, _ in EXAMPLES}]


def values(part: Map, shape: Shape, *, batch: int = 3) -> np.ndarray:
    """A random input of `shape`, without ties or points where a derivative jumps; whole numbers for an embedding."""
    rng = np.random.default_rng(7)
    if isinstance(part, Embedding):
        return rng.integers(0, part.input_dim, (batch, *shape)).astype(np.float64)
    return rng.normal(0.0, 1.3, (batch, *shape))


def weights(part: Map, shape: Shape) -> dict[str, np.ndarray]:
    """Random weights for `part`."""
    rng = np.random.default_rng(8)
    return {name: rng.normal(0.2, 0.7, weight.shape) for name, weight in part.weights(shape).items()}
