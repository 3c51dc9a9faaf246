"""Laws of compile, fit, evaluate, predict, save."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ostinato
from ostinato import Sequential
from ostinato.errors import ArgumentError, DataError, ModelFileError, NotBuiltError, ShapeError
from ostinato.layers import (
    GRU,
    LSTM,
    Activation,
    Attention,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Input,
    LayerNormalization,
    Masking,
    MaxPooling1D,
    RepeatVector,
    Reshape,
    SimpleRNN,
    SpatialDropout1D,
    TimeDistributed,
)
from ostinato.layers.regularisers import L1L2
from ostinato.train import SGD

RNG = np.random.default_rng(7)
X = RNG.normal(size=(40, 5, 2)).astype(np.float32)
Y = X.sum((1, 2))


def small(*, seed=0, loss="mse", optimizer=None, metrics=(), units=1, **options):
    model = Sequential([SimpleRNN(4, input_shape=(5, 2), **options), Dense(units)], seed=seed)
    model.compile(optimizer or SGD(0.05), loss, metrics)
    return model


def same(a, b, atol=1e-6):
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, atol=atol)


def test_same_seed_same_weights_and_other_seed_not():
    one, two, other = small(seed=3), small(seed=3), small(seed=4)
    for model in (one, two, other):
        model.fit(X, Y, epochs=3, batch_size=8, verbose=0)
    same(one, two, atol=0)
    assert np.abs(one.get_weights()[0] - other.get_weights()[0]).max() > 1e-3


def test_set_random_seed_fixes_models_without_seed():
    weights = []
    for _ in range(2):
        ostinato.set_random_seed(11)
        weights.append([small(seed=None).get_weights()[0] for _ in range(2)])
    np.testing.assert_array_equal(weights[0][0], weights[1][0])
    assert np.abs(weights[0][0] - weights[0][1]).max() > 0
    assert isinstance(Sequential().seed, int)


def test_two_halves_equal_one_run_and_a_second_fit_does_not_repeat_the_order():
    whole, halves = small(dropout=0.2), small(dropout=0.2)
    whole.fit(X, Y, epochs=4, verbose=0)
    halves.fit(X, Y, epochs=2, verbose=0)
    halves.fit(X, Y, epochs=4, initial_epoch=2, verbose=0)
    same(whole, halves, atol=0)


def test_class_weights_are_sample_weights_are_repeated_rows():
    labels = (Y > 0).astype(int)
    rows = np.concatenate([np.arange(40), np.repeat(np.flatnonzero(labels == 1), 2)])

    def model():
        made = Sequential([SimpleRNN(4, input_shape=(5, 2)), Dense(1, "sigmoid")], seed=0)
        made.compile(SGD(0.1), "binary_crossentropy")
        return made

    by_class, by_sample, repeated = model(), model(), model()
    by_class.fit(X, labels, batch_size=40, epochs=3, verbose=0, class_weight={1: 3.0})
    by_sample.fit(X, labels, batch_size=40, epochs=3, verbose=0, sample_weight=np.where(labels == 1, 3.0, 1.0))
    repeated.optimizer.learning_rate = 0.1 * len(rows) / 40
    repeated.fit(X[rows], labels[rows], batch_size=len(rows), epochs=3, verbose=0)
    same(by_class, by_sample, atol=0)
    same(by_class, repeated)
    assert np.abs(by_class.get_weights()[0] - model().get_weights()[0]).max() > 1e-3


def test_weight_zero_is_a_missing_row():
    a, b = small(), small(optimizer=SGD(0.05 * 30 / 40))
    weight = np.r_[np.ones(30), np.zeros(10)]
    a.fit(X, Y, batch_size=40, sample_weight=weight, verbose=0)
    b.optimizer.learning_rate = 0.05 * 30 / 40
    b.fit(X[:30], Y[:30], batch_size=30, verbose=0)
    same(a, b)


def test_validation_split_is_the_tail():
    a, b = small(), small()
    h = a.fit(X, Y, validation_split=0.25, epochs=2, verbose=0)
    g = b.fit(X[:30], Y[:30], validation_data=(X[30:], Y[30:]), epochs=2, verbose=0)
    same(a, b, atol=0)
    assert h.history == g.history
    assert set(h.history) == {"loss", "val_loss"}
    assert abs(h.history["val_loss"][-1] - a.evaluate(X[30:], Y[30:])) < 1e-6


def test_penalty_equals_the_formula():
    rule = L1L2(0.1, 0.3)
    plain, heavy = small(), small(kernel_regularizer=rule, recurrent_regularizer="l2")
    W, U = plain.get_weights()[:2]
    expected = 0.1 * np.abs(W).sum() + 0.3 * (W**2).sum() + 0.01 * (U**2).sum()
    assert abs(heavy.evaluate(X, Y) - plain.evaluate(X, Y) - expected) < 1e-5
    heavy.fit(X, Y, epochs=1, batch_size=40, verbose=0)
    torch_weights = [torch.tensor(w, requires_grad=True) for w in plain.get_weights()]
    h = torch.zeros(40, 4)
    for t in range(5):
        h = torch.tanh(torch.as_tensor(X[:, t]) @ torch_weights[0] + torch_weights[2] + h @ torch_weights[1])
    y = h @ torch_weights[3] + torch_weights[4]
    w, u = torch_weights[:2]
    loss = ((y[:, 0] - torch.as_tensor(Y)) ** 2).mean() + 0.1 * w.abs().sum() + 0.3 * (w**2).sum() + 0.01 * (u**2).sum()
    loss.backward()
    for got, p in zip(heavy.get_weights(), torch_weights, strict=True):
        np.testing.assert_allclose(got, (p - 0.05 * p.grad).detach(), atol=1e-6)


@pytest.mark.parametrize("cell", [SimpleRNN, LSTM, GRU])
def test_ragged_equals_left_padded_masking_equals_row_by_row(cell):
    model = Sequential([Masking(-9.0), cell(4), Dense(2)], seed=1)
    ragged = [x[: 1 + i % 5] for i, x in enumerate(X)]
    left = np.full_like(X, -9.0)
    for row, x in zip(left, ragged, strict=True):
        row[5 - len(x) :] = x
    model.build((None, None, 2))
    expected = np.concatenate([model.predict([x]) for x in ragged])
    np.testing.assert_allclose(model.predict(ragged), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict(left), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict(left, batch_size=7), expected, atol=1e-6)


def test_masked_steps_do_not_count_in_loss_and_metrics():
    model = Sequential([SimpleRNN(3, return_sequences=True, input_shape=(None, 2)), Dense(1)], seed=0)
    model.compile("sgd", "mse", ["mae"])
    ragged = [x[: 1 + i % 5] for i, x in enumerate(X)]
    targets = [x.sum(1, keepdims=True) for x in ragged]
    y = np.concatenate([model.predict([x])[0] for x in ragged])
    d = y - np.concatenate(targets)
    np.testing.assert_allclose(model.evaluate(ragged, targets, batch_size=7), [(d**2).mean(), abs(d).mean()], rtol=1e-5)


def test_stateful_model_carries_its_state():
    long = RNG.normal(size=(3, 12, 2)).astype(np.float32)
    whole = Sequential([LSTM(4, return_sequences=True, input_shape=(None, 2))], seed=2)
    parts = Sequential([LSTM(4, return_sequences=True, stateful=True, batch_input_shape=(3, 4, 2))], seed=2)
    got = np.concatenate([parts.predict(long[:, i : i + 4]) for i in (0, 4, 8)], axis=1)
    np.testing.assert_allclose(got, whole.predict(long), atol=1e-6)
    again = parts.predict(long[:, :4])
    assert np.abs(again - whole.predict(long[:, :4])).max() > 1e-3
    parts.reset_states()
    np.testing.assert_allclose(parts.predict(long[:, :4]), whole.predict(long[:, :4]), atol=1e-6)
    parts.compile("sgd", "mse")
    x, y = long[:, :4], np.zeros((3, 4, 4))
    for bad in (lambda: parts.fit(x, y, verbose=0), lambda: parts.fit(x, y, batch_size=2, shuffle=False, verbose=0)):
        with pytest.raises(ArgumentError):
            bad()
    with pytest.raises(DataError, match="multiple"):
        parts.predict(np.zeros((5, 4, 2)))
    parts.fit(x, y, shuffle=False, verbose=0)


def test_frozen_layers_do_not_change():
    model = small()
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert np.abs(before[3] - after[3]).max() > 0
    model.layers[1].trainable = False
    with pytest.raises(ArgumentError, match="weights to train"):
        model.fit(X, Y, verbose=0)


def test_accuracy_follows_the_loss():
    labels = RNG.integers(0, 3, 40)
    probabilities = None
    for loss, target in (("sparse_categorical_crossentropy", labels), ("categorical_crossentropy", np.eye(3)[labels])):
        model = Sequential([LSTM(3, input_shape=(5, 2)), Dense(3, "softmax")], seed=0)
        model.compile("adam", loss, ["accuracy"])
        probabilities = model.predict(X)
        value, accuracy = model.evaluate(X, target)
        assert abs(accuracy - (probabilities.argmax(1) == labels).mean()) < 1e-6
        assert abs(value + np.log(probabilities[np.arange(40), labels]).mean()) < 1e-5
    with pytest.raises(ArgumentError, match="accuracy"):
        small(metrics=["accuracy"])


def test_own_loss_and_metric_get_true_then_predicted():
    def asymmetric(y_true, y_pred):
        return torch.relu(y_true - y_pred).mean(-1)

    model = small(loss=asymmetric, metrics=[asymmetric, "mae", "rmse"])
    got = model.evaluate(X, Y, return_dict=True)
    d = Y - model.predict(X)[:, 0]
    expected = np.maximum(d, 0).mean()
    assert abs(got["loss"] - expected) < 1e-5
    assert abs(got["asymmetric"] - expected) < 1e-5
    assert abs(got["rmse"] - np.sqrt((d**2).mean())) < 1e-5


def test_train_on_batch_equals_one_full_batch_epoch():
    a, b = small(), small()
    first = a.train_on_batch(X, Y)
    h = b.fit(X, Y, batch_size=40, shuffle=False, verbose=0)
    same(a, b)
    assert abs(first - h.history["loss"][0]) < 1e-6
    assert abs(a.test_on_batch(X, Y) - a.evaluate(X, Y)) < 1e-6


def many_layers():
    return Sequential(
        [
            Input((8,), dtype="int32"),
            Embedding(9, 4, mask_zero=True, embeddings_regularizer="l2"),
            SpatialDropout1D(0.1),
            Conv1D(5, 3, padding="same", activation="relu"),
            MaxPooling1D(2),
            Bidirectional(GRU(3, return_sequences=True, use_bias=False, dropout=0.1)),
            LSTM(4, return_sequences=True, recurrent_dropout=0.2, name="mine"),
            Attention(use_scale=True),
            TimeDistributed(Dense(3)),
            LayerNormalization(),
            Flatten(),
            RepeatVector(2),
            GRU(3, reset_after=True),
            Reshape((3, -1)),
            SimpleRNN(4, start="learned"),
            Dropout(0.2),
            Dense(2, kernel_regularizer=L1L2(0.1, 0.2)),
            Activation("softmax"),
        ],
        seed=5,
        name="all",
    )


def test_save_and_load_give_the_same_bits(tmp_path):
    x, y = RNG.integers(0, 9, (20, 8)), RNG.integers(0, 2, 20)
    model = many_layers()
    model.compile("rmsprop", "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(x, y, epochs=1, verbose=0)
    model.layers[1].trainable = False
    model.save(tmp_path / "m.safetensors")
    twin = ostinato.load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(twin.predict(x), model.predict(x))
    assert twin.evaluate(x, y) == model.evaluate(x, y)
    assert [layer.name for layer in twin.layers] == [layer.name for layer in model.layers]
    assert [type(layer) for layer in twin.layers] == [type(layer) for layer in model.layers]
    assert twin.count_params() == model.count_params()
    assert not twin.layers[1].trainable
    assert (twin.name, twin.seed) == ("all", 5)
    twin.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "m.safetensors").read_bytes()
    other = many_layers()
    other.load_weights(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(other.predict(x), model.predict(x))


def test_a_foreign_file_is_refused(tmp_path):
    (tmp_path / "m.keras").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ModelFileError):
        ostinato.load_model(tmp_path / "m.keras")


BAD = {
    "nan": (lambda: small().fit(np.where(X > 2, np.nan, X), Y, verbose=0), DataError, "NaN"),
    "inf": (lambda: small().predict(np.where(X > 2, np.inf, X)), DataError, "infinite"),
    "overflow": (lambda: small().predict(X.astype(float) * 1e39), DataError, "fit into"),
    "nan target": (lambda: small().fit(X, np.where(Y > 1, np.nan, Y), verbose=0), DataError, "y must hold finite"),
    "text": (lambda: small().predict(X.astype(str)), DataError, "real numbers"),
    "complex": (lambda: small().predict(X * 1j), DataError, "real numbers"),
    "objects": (lambda: small().predict(np.full((2, 5, 2), None)), DataError, "real numbers|finite"),
    "empty": (lambda: small().fit(X[:0], Y[:0], verbose=0), DataError, "at least one"),
    "width": (lambda: small().predict(X[:, :, :1]), ShapeError, "None, 5, 2"),
    "order": (lambda: small().predict(X.swapaxes(1, 2)), ShapeError, "swapaxes"),
    "rows": (lambda: small().fit(X, Y[:-1], verbose=0), ShapeError, "output has"),
    "broadcast": (lambda: small().fit(X, np.zeros((40, 5)), verbose=0), ShapeError, "output has"),
    "wide output": (lambda: small(units=3).fit(X, Y, verbose=0), ShapeError, "output has"),
    "sequences": (
        lambda: small(return_sequences=True).fit(X, Y, verbose=0), ShapeError, "return_sequences=False",
    ),
    "no loss": (lambda: Sequential([Dense(1)]).fit(X, Y, verbose=0), NotBuiltError, "compile"),
    "no shape": (lambda: Sequential([Dense(1)]).summary and Sequential([Dense(1)]).save("x"), NotBuiltError, "shape"),
    "loss": (lambda: small(loss="msee"), ArgumentError, "loss must be"),
    "optimizer": (lambda: small(optimizer="adamm"), ArgumentError, "optimizer must be"),
    "metric": (lambda: small(metrics=["f3"]), ArgumentError, "metric must be"),
    "batch": (lambda: small().fit(X, Y, batch_size=0, verbose=0), ArgumentError, "batch_size"),
    "epochs": (lambda: small().fit(X, Y, epochs=1.5, verbose=0), ArgumentError, "epochs"),
    "verbose": (lambda: small().fit(X, Y, verbose=3), ArgumentError, "verbose"),
    "unknown": (lambda: small().fit(X, Y, steps_per_epoch=3, verbose=0), ArgumentError, "never ignored"),
    "split": (lambda: small().fit(X, Y, validation_split=1.0, verbose=0), ArgumentError, "validation_split"),
    "weights": (lambda: small().fit(X, Y, sample_weight=-Y, verbose=0), DataError, "at least 0"),
    "weights shape": (lambda: small().fit(X, Y, sample_weight=np.ones((40, 5))), ShapeError, "sample_weight"),
    "classes": (lambda: small().fit(X, Y, class_weight={0: 1.0}, verbose=0), DataError, "classes"),
    "callback": (lambda: small().fit(X, Y, callbacks=[3], verbose=0), ArgumentError, "Callback"),
    "return_state": (lambda: Sequential([LSTM(2, return_state=True)]), ArgumentError, "one output"),
    "merge None": (lambda: Sequential([Bidirectional(LSTM(2), merge_mode=None)]), ArgumentError, "one output"),
    "twice": (lambda: Sequential([Dense(2, name="a"), Dense(2, name="a")]), ArgumentError, "different names"),
    "no layer": (lambda: Sequential([3]), ArgumentError, "layers"),
    "sparse range": (
        lambda: small(loss="sparse_categorical_crossentropy", units=3).fit(X, np.full(40, 3), verbose=0),
        DataError, "from 0 to 2",
    ),
    "sparse whole": (
        lambda: small(loss="sparse_categorical_crossentropy", units=3).fit(X, np.full(40, 0.5), verbose=0),
        DataError, "whole",
    ),
    "binary range": (lambda: small(loss="bce").fit(X, np.full(40, 2), verbose=0), DataError, "between 0 and 1"),
    "one hot": (
        lambda: small(loss="categorical_crossentropy", units=3).fit(X, np.zeros(40, int), verbose=0),
        ShapeError, "sparse_categorical",
    ),
    "one hot sum": (
        lambda: small(loss="categorical_crossentropy", units=3).fit(X, np.ones((40, 3)), verbose=0),
        DataError, "sum to 1",
    ),
    "weights set": (lambda: small().set_weights([np.zeros(3)]), ShapeError, "shapes"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_bad_input_is_refused(case):
    act, error, words = case
    with pytest.raises(error, match=words) as caught:
        act()
    assert caught.value.fix.endswith(".")


def test_places_of_nan_are_named():
    x = X.copy()
    x[3, 1, 0] = x[7, 4, 1] = np.nan
    with pytest.raises(DataError) as caught:
        small().predict(x)
    assert caught.value.where == ("row 3, step 1, feature 0", "row 7, step 4, feature 1")
    assert (caught.value.count, caught.value.code) == (2, "nan")


def test_inputs_of_all_kinds_give_the_same_output():
    import pandas as pd

    model = Sequential([LSTM(3, input_shape=(2, 1)), Dense(1)], seed=0)
    flat = X[:, :2, 0]
    expected = model.predict(flat[..., None])
    kinds = (
        flat, flat.tolist(), flat.astype(">f8"), flat[::-1][::-1], torch.as_tensor(flat), pd.DataFrame(flat),
        np.asfortranarray(flat), list(flat), np.ma.array(flat), flat.astype(object),
    )  # fmt: skip
    for kind in kinds:
        np.testing.assert_allclose(model.predict(kind), expected, atol=1e-6)


def test_add_and_pop_and_names():
    model = Sequential([LSTM(3, input_shape=(5, 2))], seed=0)
    model.add(Dense(4))
    model.add(Dense(1))
    assert [layer.name for layer in model.layers] == ["lstm", "dense", "dense_1"]
    assert model.get_layer("dense_1") is model.pop()
    assert model.output_shape == (None, 4)
    with pytest.raises(ArgumentError, match="one of"):
        model.get_layer("dense_1")
    late = Sequential([LSTM(3), Dense(1)], seed=0)
    late.compile("sgd", "mse")
    late.fit(X, Y, verbose=0)
    assert late.input_shape == (None, None, 2)


def test_choices_name_kernels_and_reasons():
    model = Sequential([LSTM(3, input_shape=(5, 2), return_sequences=True, recurrent_dropout=0.1), GRU(2)], seed=0)
    choices = model.explain_choices()
    assert choices["lstm"].startswith("kernel=")
    assert "in training" in choices["lstm"]
    assert set(choices) == {"lstm", "gru"}
    assert all(": " in said for said in choices.values()), "a choice without a reason"


def test_choices_name_both_directions_if_they_differ():
    back = LSTM(3, go_backwards=True, recurrent_dropout=0.3)
    both = Sequential([Bidirectional(LSTM(3), backward_layer=back, input_shape=(5, 2))], seed=0).explain_choices()
    calm, training = both["bidirectional"].split("; in training ")
    forward, backward = training.split(", kernel=")
    assert forward == calm
    assert backward.startswith("reference: ")
    assert "dropout" in backward
    alike = Sequential([Bidirectional(LSTM(3), input_shape=(5, 2))], seed=0).explain_choices()
    assert alike["bidirectional"].count("kernel=") == 1


def test_a_second_fit_has_another_order_and_the_first_follows_the_seed():
    orders = []

    def loss(y_true, y_pred):
        if y_pred.requires_grad:
            orders[-1] += y_true[:, 0].tolist()
        return (y_true - y_pred).square().mean(-1)

    model = small(loss=loss, seed=3)
    for _ in range(2):
        orders.append([])
        model.fit(X, np.arange(40.0), batch_size=7, verbose=0)
    assert orders[0] == np.random.default_rng([3, 0]).permutation(40).tolist()
    assert orders[0] != orders[1]
    assert sorted(orders[1]) == list(range(40))
    orders.append([])
    model.fit(X, np.arange(40.0), batch_size=7, shuffle=False, verbose=0)
    assert orders[2] == list(range(40))


def test_a_loader_or_a_generator_is_refused_by_name():
    held = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    loader = torch.utils.data.DataLoader(held, batch_size=8)
    model = small()
    for given in (held, loader, (batch for batch in loader)):
        for method in (model.fit, model.evaluate):
            with pytest.raises(ArgumentError, match=f"got {type(given).__name__} and no y"):
                method(given)
    x, y = map(torch.cat, zip(*loader, strict=True))  # what the error advises
    other = small()
    model.fit(X, Y[:, None], verbose=0)
    other.fit(x, y[:, None], verbose=0)
    same(model, other, atol=0)
