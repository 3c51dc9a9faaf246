"""Names that scripts use in losses, metrics, callbacks and layers of their own making."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ostinato import Sequential, load_model
from ostinato.compat import keras_ops
from ostinato.compat.keras_table import MODULES
from ostinato.errors import ArgumentError
from ostinato.layers import Dense, Embedding, GlobalMaxPooling1D
from ostinato.layers.keras_initialisers import Constant
from ostinato.train import Callback, ModelCheckpoint, ReduceLROnPlateau

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype(np.float32)


@pytest.mark.parametrize("name", ["mean", "sum", "max", "min", "std", "var"])
def test_reductions_are_numpys(name):
    for keywords in ({}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 1)}):
        expected = getattr(np, name)(X, **keywords)
        np.testing.assert_allclose(keras_ops.KERAS[name](X, **keywords), expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            keras_ops.TENSORFLOW[f"reduce_{name}"](X, **keywords), expected, rtol=1e-5, atol=1e-5
        )


def test_pointwise():
    k = keras_ops.KERAS
    np.testing.assert_array_equal(k["maximum"](X, 0), np.maximum(X, 0))
    np.testing.assert_array_equal(k["clip"](X, -1, 1), np.clip(X, -1, 1))
    np.testing.assert_array_equal(k["where"](k["cast"](X > 0, "bool"), 1.0, 0.0), (X > 0) * 1.0)
    np.testing.assert_array_equal(k["argmax"](X), X.argmax(-1))
    assert k["cast"](X > 0, "float32").dtype is keras_ops.cast(X, torch.float32).dtype is torch.float32
    with pytest.raises(ArgumentError):
        k["cast"](X, "number")


def test_an_own_loss_of_these_names_is_mse():
    k = MODULES["tensorflow.keras.backend"]
    losses = []
    for loss in ("mse", lambda t, y: k["mean"](k["square"](t - y), axis=-1)):
        model = Sequential([Dense(1, input_shape=(3,))], seed=0)
        model.compile("sgd", loss)
        losses.append(model.fit(X, X[:, 0], epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_the_older_names_of_batch_hooks_are_called():
    class Losses(Callback):
        def on_train_begin(self, logs=None):
            self.seen = []

        def on_batch_end(self, batch, logs=None):
            self.seen.append(logs["loss"])

    model, losses = Sequential([Dense(1, input_shape=(3,))], seed=0), Losses()
    model.compile("sgd", "mse")
    history = model.fit(X, X[:, 0], batch_size=4, verbose=0, callbacks=[losses, ReduceLROnPlateau("loss")])
    assert len(losses.seen) == 3
    assert losses.seen[-1] == history.history["loss"][0]
    assert history.history["learning_rate"] == [0.01]


def test_metrics_with_names_are_saved(tmp_path):
    metrics = MODULES["keras.metrics"]
    model = Sequential([Dense(1, input_shape=(3,))], seed=0)
    model.compile(
        "sgd", "mse", [metrics["MeanAbsoluteError"](name="mae"), metrics["RootMeanSquaredError"](name="rmse")]
    )
    found = model.evaluate(X, X[:, 0], return_dict=True)
    np.testing.assert_allclose(found["rmse"], np.sqrt(found["loss"]), rtol=1e-5)
    model.save(tmp_path / "m.keras")
    assert load_model(tmp_path / "m.keras").evaluate(X, X[:, 0], return_dict=True) == found
    assert load_model(tmp_path / "m.keras", compile=False).told is None
    for wrong in ({"custom_objects": {}}, {"safe_mode": False}):
        with pytest.raises(ArgumentError, match="never ignored"):
            load_model(tmp_path / "m.keras", **wrong)
    with pytest.raises(ArgumentError, match="never ignored"):
        model.compile("sgd", "mse", run_eagerly=True)
    with pytest.raises(ArgumentError, match="epoch"):
        ModelCheckpoint("m", save_freq=100)


def test_ready_vectors():
    table = RNG.normal(size=(5, 2))
    for layer in (Embedding(5, 2, weights=[table]), Embedding(5, 2, embeddings_initializer=Constant(table))):
        layer(np.array([[1, 2]]))
        np.testing.assert_array_equal(layer.get_weights()[0], table.astype(np.float32))
    with pytest.raises(ArgumentError, match="broadcast"):
        Embedding(5, 2, weights=[table.T])(np.array([[1, 2]]))
    with pytest.raises(ArgumentError, match="one table"):
        Embedding(5, 2, weights=table)


def test_the_largest_real_step():
    x = RNG.normal(size=(2, 4, 3)) - 10.0
    mask = np.array([[True, False, True, False], [False] * 4])
    y = GlobalMaxPooling1D()(x, mask)
    np.testing.assert_allclose(y, [x[0, [0, 2]].max(0), np.zeros(3)], rtol=1e-6)
    np.testing.assert_allclose(GlobalMaxPooling1D()(x), x.max(1), rtol=1e-6)
