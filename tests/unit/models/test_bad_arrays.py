"""What is no array of numbers, or does not fit, is refused in words wherever a model takes arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ostinato import Sequential, load_model
from ostinato.errors import ArgumentError, DataError, ModelFileError, OstinatoError, ShapeError
from ostinato.layers import LSTM, Dense, Embedding

RNG = np.random.default_rng(1)
X = RNG.normal(size=(6, 4, 2)).astype(np.float32)
Y = X[:, -1, :1]
HOLES = np.ma.masked_array(X, X > 1)


def model(**options):
    made = Sequential([LSTM(3, input_shape=(None, 2)), Dense(1)], seed=0)
    made.compile(**({"optimizer": "sgd", "loss": "mse"} | options))
    return made


BAD = {
    "number": (3.0, ShapeError),
    "masked": (HOLES, DataError),
    "text": ("abc", DataError),
    "texts": (["a", "b"], DataError),
    "nothing": (None, ShapeError),
    "objects": (np.array([[object()]]), DataError),
    "complex": (X + 1j, DataError),
    "dates": (np.zeros((6, 4, 2), "M8[s]"), DataError),
    "ragged inside": ([[[1, 2], [3]]], DataError),
    "ragged widths": ([np.ones((2, 2)), np.ones((3, 1))], ShapeError),
    "ragged axes": ([np.ones((2, 2)), np.ones(3)], ShapeError),
    "huge": (X * np.float64(1e300), DataError),
    "nan": (np.full_like(X, np.nan), DataError),
    "infinite": (np.full_like(X, -np.inf), DataError),
    "a dict": ({"x": X}, DataError),
    "a function": (len, DataError),
    "turned": (X.swapaxes(1, 2)[:, :, :3], ShapeError),
}


@pytest.mark.parametrize("name", BAD)
def test_inputs(name):
    x, error = BAD[name]
    made = model()
    for ask in (
        lambda: made.predict(x, verbose=0),
        lambda: made.fit(x, Y, verbose=0),
        lambda: made.evaluate(x, Y, verbose=0),
    ):
        with pytest.raises(error) as caught:
            ask()
        assert caught.value.fix.endswith(".")


@pytest.mark.parametrize("name", [name for name in BAD if name not in ("turned", "number")])
def test_targets(name):
    y, made = BAD[name][0], model()
    with pytest.raises(OstinatoError) as caught:
        made.fit(X, y, verbose=0)
    assert caught.value.fix.endswith(".")


@pytest.mark.parametrize("table", [
    [1.0, 2.0], "balanced", {"a": 1.0}, {0: -1.0}, {0: np.nan}, {-1: 1.0}, {True: 2.0}, {0.5: 1.0}, {0: "2"},
])  # fmt: skip
def test_weights_of_classes(table):
    made = Sequential([Dense(1, "sigmoid", input_shape=(2,))])
    made.compile("sgd", "bce")
    with pytest.raises(ArgumentError, match="class_weight"):
        made.fit(X[:, 0], np.array([0, 1, 0, 1, 1, 0]), class_weight=table, verbose=0)


def test_rows_that_differ():
    made = model()
    for ask in (
        lambda: made.fit(X, Y[:5], verbose=0),
        lambda: made.fit(X, Y, sample_weight=np.ones(5), verbose=0),
        lambda: made.evaluate(X[:5], Y, verbose=0),
        lambda: made.fit(X, Y, validation_data=(X, Y[:2]), verbose=0),
    ):
        with pytest.raises(ShapeError):
            ask()


def test_symbols():
    made = Sequential([Embedding(5, 2, input_shape=(None,)), LSTM(2), Dense(1)])
    made.compile("sgd", "mse")
    for x in ([[0, 5]], [[-1, 0]], [[0.5, 1.0]], [[np.nan, 1.0]], [["a", "b"]]):
        with pytest.raises(OstinatoError):
            made.predict(x, verbose=0)
    assert made.predict([[0, 4], [1]], verbose=0).shape == (2, 1)


def test_tensors_of_half_the_bits_are_numbers():
    made = model()
    exact = torch.as_tensor(X).bfloat16()
    np.testing.assert_array_equal(made.predict(exact, verbose=0), made.predict(exact.float().numpy(), verbose=0))


def test_compiling_without_what_is_needed():
    for options in ({"loss": None}, {"loss": 3}, {"optimizer": 3}, {"metrics": "f9"}, {"metrics": [3]}):
        with pytest.raises(ArgumentError):
            model(**options)
    made = model()
    for options in ({"shuffle": "yes"}, {"callbacks": 3}, {"initial_epoch": -1}, {"validation_freq": 0}, {"bptt": -1}):
        with pytest.raises(OstinatoError):
            made.fit(X, Y, verbose=0, **options)


def test_a_model_is_built_of_layers_that_occur_once():
    layer = Dense(2, input_shape=(2,))
    with pytest.raises(ArgumentError):
        Sequential([layer, layer])
    with pytest.raises(ArgumentError, match="remove"):
        Sequential().pop()
    with pytest.raises(ArgumentError):
        Sequential().add("dense")
    with pytest.raises(OstinatoError):
        Sequential([Dense(2)]).predict("x", verbose=0)


def test_a_file_of_something_else_is_refused(tmp_path):
    for name, data in (("empty", b""), ("text", b"no model"), ("folder", None)):
        path = tmp_path / name
        path.mkdir() if data is None else path.write_bytes(data)
        with pytest.raises((ModelFileError, OSError)):
            load_model(path)
