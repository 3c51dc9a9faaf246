"""Our layers against Keras' numbers, with Keras' weights just as Keras gives them.

Both are float32; the judge is our formula in float64. Keras must lie within the rounding errors of a few dozen
operations of it (else the formulas differ), and our float32 may err twice as much as Keras' does.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ostinato import layers

CASES = json.loads(Path(__file__).with_name("keras.json").read_text(encoding="utf-8"))["cases"]
EPS = 2.0**-23


def _build(case):
    config = dict(case["config"])
    weights = [np.asarray(w) for w in case["weights"]]
    if case["name"] == "Bidirectional":
        merge_mode, inner = config.pop("merge_mode"), config.pop("inner")
        return layers.Bidirectional(getattr(layers, inner)(3, **config), merge_mode=merge_mode), weights
    return getattr(layers, case["name"])(**config), weights


def _compute(case):
    layer, weights = _build(case)
    inputs = [np.asarray(x) for x in case["inputs"]]
    x = inputs if len(inputs) > 1 else inputs[0]
    mask = None if case["mask"] is None else np.asarray(case["mask"])
    layer(x, mask)
    layer.set_weights(weights)
    for w, own in zip(weights, layer.get_weights(), strict=True):
        assert w.shape == own.shape
        np.testing.assert_allclose(own, w, rtol=EPS)
    y = layer(x, mask)
    return [np.asarray(v, np.float64) for v in (y if isinstance(y, list) else [y])]


def _names():
    return [f"{i}-{c['name']}-" + "-".join(f"{k}={v}" for k, v in c["config"].items()) for i, c in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=_names())
def test_same_numbers_as_keras(case):
    expected = [np.asarray(y) for y in case["outputs"]]
    single = _compute(case)
    torch.set_default_dtype(torch.float64)
    try:
        double = _compute(case)
    finally:
        torch.set_default_dtype(torch.float32)
    assert len(double) == len(expected)
    for ours64, ours32, keras in zip(double, single, expected, strict=True):
        assert ours64.shape == ours32.shape == keras.shape
        real = np.ones(keras.shape, bool)
        if case["mask"] is not None and keras.ndim == 3:
            real = np.broadcast_to(np.asarray(case["mask"])[:, :, None], keras.shape)
        size = max(1.0, float(np.abs(keras).max()))
        error = float(np.abs(keras - ours64)[real].max())
        assert error <= 32 * EPS * size
        assert np.abs(ours32 - ours64)[real].max() <= 2.0 * error + 2 * EPS * size


def test_the_published_gru_does_not_accept_keras_z():
    case = next(c for c in CASES if c["name"] == "GRU" and not c["config"]["reset_after"])
    layer, weights = _build(case)
    layer(np.asarray(case["inputs"][0]))
    for w in weights:
        w[..., :3] *= -1.0
    layer.set_weights(weights)
    assert np.abs(layer(np.asarray(case["inputs"][0])) - np.asarray(case["outputs"][0])).max() > 0.01
