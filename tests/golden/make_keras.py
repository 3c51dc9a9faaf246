"""Makes `keras.json`: what Keras' layers compute, with the weights they used.

Run in an environment with Keras 3 and torch (`pip install "keras==3.*" torch`):

    python tests/golden/make_keras.py

Each case holds a layer's options, inputs, weights and output in float32, rounded to 9 digits.
"""

import json
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from keras import layers as L

RNG = np.random.default_rng(20240607)
N, T, F, U = 3, 5, 2, 3


def numbers(*shape):
    return np.round(RNG.uniform(-1.2, 1.2, shape), 3)


def single(values):
    return np.asarray(values, np.float32 if values.dtype.kind == "f" else values.dtype)


def case(name, build, config, inputs, *, mask=None):
    layer = build(**config)
    given = [single(x) for x in inputs] if len(inputs) > 1 else single(inputs[0])
    options = {} if mask is None else {"mask": mask}
    layer(given, **options)
    weights = [numbers(*w.shape) for w in layer.get_weights()]
    layer.set_weights(weights)
    y = layer(given, **options)
    y = y if isinstance(y, (list, tuple)) else [y]
    return {
        "name": name,
        "config": config,
        "inputs": [x.tolist() for x in inputs],
        "mask": None if mask is None else mask.tolist(),
        "weights": [w.tolist() for w in weights],
        "outputs": [np.round(v.detach().double().numpy(), 9).tolist() for v in y],
    }


def bidirectional(inner, merge_mode, **config):
    return L.Bidirectional(getattr(L, inner)(U, **config), merge_mode=merge_mode)


def main():
    x = [numbers(N, T, F)]
    right = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], bool)
    left = right[:, ::-1].copy()
    cases = []
    for name, extra in (
        ("SimpleRNN", {}),
        ("SimpleRNN", {"activation": "relu"}),
        ("LSTM", {}),
        ("LSTM", {"activation": "relu", "recurrent_activation": "hard_sigmoid"}),
        ("LSTM", {"use_bias": False}),
        ("GRU", {"reset_after": False}),
        ("GRU", {"reset_after": True}),
        ("GRU", {"reset_after": True, "use_bias": False}),
    ):
        for run in (
            {},
            {"return_sequences": True, "return_state": True},
            {"return_sequences": True, "go_backwards": True},
        ):
            cases.append(case(name, getattr(L, name), {"units": U, **extra, **run}, x))
        for mask in (right, left):
            config = {"units": U, **extra, "return_sequences": True, "return_state": True}
            cases.append(case(name, getattr(L, name), config, x, mask=mask))
    for inner, extra in (("LSTM", {}), ("GRU", {"reset_after": False}), ("GRU", {"reset_after": True})):
        for merge_mode in ("concat", "sum", "mul", "ave", None):
            for sequences in (False, True):
                config = {"inner": inner, "merge_mode": merge_mode, "return_sequences": sequences, **extra}
                cases.append(case("Bidirectional", bidirectional, config, x))
        config = {"inner": inner, "merge_mode": "concat", "return_sequences": True, **extra}
        cases.append(case("Bidirectional", bidirectional, config, x, mask=right))
    for padding in ("valid", "same", "causal"):
        for extra in ({}, {"dilation_rate": 2}, {"strides": 2}):
            config = {"filters": 3, "kernel_size": 2, "padding": padding, "activation": "tanh", **extra}
            cases.append(case("Conv1D", L.Conv1D, config, [numbers(2, 7, F)]))
    cases.append(case("LayerNormalization", L.LayerNormalization, {}, [numbers(2, 3, 4)]))
    cases.append(case("Embedding", L.Embedding, {"input_dim": 6, "output_dim": 3}, [RNG.integers(0, 6, (2, 4))]))
    for activation in (
        "linear", "relu", "relu6", "leaky_relu", "tanh", "sigmoid", "hard_sigmoid", "softplus", "softsign", "elu",
        "selu", "silu", "exponential", "softmax",
    ):  # fmt: skip
        cases.append(case("Dense", L.Dense, {"units": 4, "activation": activation}, [numbers(3, 2)]))
    cases.append(case("MaxPooling1D", L.MaxPooling1D, {"pool_size": 2}, [numbers(2, 5, F)]))
    cases.append(case("GlobalAveragePooling1D", L.GlobalAveragePooling1D, {}, x, mask=right))
    cases.append(case("Attention", L.Attention, {"use_scale": True}, [numbers(2, 3, F), numbers(2, 4, F)]))
    cases.append(case("Attention", L.Attention, {}, [numbers(2, 3, F), numbers(2, 4, F), numbers(2, 4, F)]))
    made = {
        "versions": {"keras": keras.__version__, "torch": torch.__version__},
        "python": ".".join(map(str, sys.version_info[:3])),
        "cases": cases,
    }
    path = Path(__file__).with_name("keras.json")
    path.write_text(json.dumps(made, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


main()
