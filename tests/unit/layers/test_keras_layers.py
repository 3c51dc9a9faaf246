"""Laws of the layers of the Keras face, called directly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ostinato import layers as L
from ostinato.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(5)
RECURRENT = [L.SimpleRNN, L.LSTM, L.GRU, lambda units, **k: L.GRU(units, reset_after=True, **k)]
NAMES = ["simple_rnn", "lstm", "gru", "gru_reset_after"]


def copied(source, target, x):
    source(x), target(x)
    target.load_state_dict(source.state_dict())
    return source, target


def shaken(layer, x, seed=3):
    """The layer with random weights, biases included."""
    layer(x)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.as_tensor(rng.normal(0, 0.6, tuple(p.shape))))
    return layer


@pytest.fixture
def x():
    return RNG.normal(size=(4, 6, 2)).astype(np.float32)


@pytest.mark.parametrize("make", RECURRENT, ids=NAMES)
def test_go_backwards_is_reversed_input(make, x):
    ahead, back = copied(
        shaken(make(3, return_sequences=True), x), make(3, return_sequences=True, go_backwards=True), x
    )
    np.testing.assert_array_equal(back(x), ahead(x[:, ::-1].copy()))


@pytest.mark.parametrize("make", RECURRENT, ids=NAMES)
def test_stateful_chunks_equal_one_long_sequence(make, x):
    whole, parts = copied(shaken(make(3, return_sequences=True), x), make(3, return_sequences=True, stateful=True), x)
    parts.reset_states()
    chunks = np.concatenate([parts(x[:, :2]), parts(x[:, 2:5]), parts(x[:, 5:])], axis=1)
    np.testing.assert_allclose(chunks, whole(x), atol=1e-6)
    parts.reset_states()
    np.testing.assert_allclose(parts(x), whole(x), atol=1e-6)
    assert np.abs(parts(x) - whole(x)).max() > 1e-3


def test_stateful_layers_refuse_another_batch_size(x):
    layer = L.LSTM(3, stateful=True)
    layer(x)
    with pytest.raises(ShapeError, match="batches of one size"):
        layer(x[:2])


@pytest.mark.parametrize("make", RECURRENT, ids=NAMES)
def test_padding_does_not_matter_where_it_is(make, x):
    layer = shaken(make(3), x)
    lengths = [6, 3, 1, 4]
    left, right = np.full((4, 9, 2), 7.0, np.float32), np.full((4, 9, 2), -7.0, np.float32)
    masks = np.zeros((2, 4, 9), bool)
    for row, n in enumerate(lengths):
        left[row, 9 - n :], right[row, :n] = x[row, :n], x[row, :n]
        masks[0, row, 9 - n :] = masks[1, row, :n] = True
    alone = np.concatenate([layer(x[row : row + 1, :n]) for row, n in enumerate(lengths)])
    np.testing.assert_allclose(layer(left, masks[0]), alone, atol=1e-6)
    np.testing.assert_allclose(layer(right, masks[1]), alone, atol=1e-6)


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", None])
def test_merge_modes(mode, x):
    both = shaken(L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode=mode), x)
    ahead, back = L.GRU(3, return_sequences=True), L.GRU(3, return_sequences=True, go_backwards=True)
    for layer, prefix in ((ahead, "forward_"), (back, "backward_")):
        layer(x)
        with torch.no_grad():
            for key, p in layer.weights.items():
                p.copy_(both.weights[prefix + key])
    a, b = ahead(x), back(x)[:, ::-1]
    expected = {"concat": np.concatenate([a, b], -1), "sum": a + b, "mul": a * b, "ave": (a + b) / 2}
    got = both(x)
    if mode is None:
        np.testing.assert_allclose(got[0], a, atol=1e-6)
        np.testing.assert_allclose(got[1], b, atol=1e-6)
    else:
        np.testing.assert_allclose(got, expected[mode], atol=1e-6)


def test_return_state_gives_the_last_states(x):
    y, h, c = shaken(L.LSTM(3, return_sequences=True, return_state=True), x)(x)
    assert y.shape == (4, 6, 3)
    np.testing.assert_array_equal(y[:, -1], h)
    assert np.abs(h - c).max() > 0.01
    layer = shaken(L.LSTM(3, return_state=True), x)
    _, h, c = layer(x[:, :4])
    np.testing.assert_allclose(layer(x[:, 4:], initial_state=[h, c])[0], layer(x)[0], atol=1e-6)


@pytest.mark.parametrize(("make", "count"), [
    (lambda: L.LSTM(20), 4 * (20 * 20 + 20 * 2 + 20)),
    (lambda: L.LSTM(20, use_bias=False), 4 * (20 * 20 + 20 * 2)),
    (lambda: L.GRU(20), 3 * (20 * 20 + 20 * 2 + 20)),
    (lambda: L.GRU(20, reset_after=True), 3 * (20 * 20 + 20 * 2 + 40)),
    (lambda: L.GRU(20, reset_after=True, use_bias=False), 3 * (20 * 20 + 20 * 2)),
    (lambda: L.SimpleRNN(20, use_bias=False), 20 * 20 + 20 * 2),
    (lambda: L.Bidirectional(L.SimpleRNN(5, use_bias=False)), 2 * (25 + 10)),
    (lambda: L.Conv1D(4, 3), 3 * 2 * 4 + 4),
    (lambda: L.TimeDistributed(L.Dense(4, use_bias=False)), 8),
    (lambda: L.LayerNormalization(), 4),
])  # fmt: skip
def test_parameter_counts_are_keras(make, count, x):
    layer = make()
    layer(x)
    assert layer.count_params() == count
    assert sum(w.size for w in layer.get_weights()) == count


@pytest.mark.parametrize("make", [
    lambda: L.LSTM(3, unroll=True), lambda: L.Dense(3, units_=2), lambda: L.GRU(3, implementation=2),
    lambda: L.Dropout(0.1, foo=1), lambda: L.Embedding(3, 2, input_shape=(3,), input_length=3),
    lambda: L.LSTM(0), lambda: L.LSTM(3, activation="tan"), lambda: L.Dense(3, kernel_initializer="gloro"),
    lambda: L.Dense(3, kernel_regularizer="l3"), lambda: L.Dropout(1.0), lambda: L.LSTM(3, input_shape=(0, 1)),
    lambda: L.LSTM(3, return_sequences="yes"), lambda: L.Bidirectional(L.Dense(3)),
    lambda: L.TimeDistributed(L.LSTM(3)),
    lambda: L.RNN(nn.Linear(2, 3)), lambda: L.RNN(3), lambda: L.Bidirectional(L.LSTM(2), merge_mode="max"),
    lambda: L.Masking(float("nan")), lambda: L.Input(), lambda: L.MaxPooling1D(2, strides=1),
    lambda: L.Dense(3, seed=-1), lambda: L.LSTM(3, input_shape=(1, 1), input_dim=1),
])  # fmt: skip
def test_wrong_arguments_are_refused(make):
    with pytest.raises(ArgumentError):
        make()


def test_dropout_is_off_by_default_and_rescales_in_training(x):
    ones = np.ones((200, 50, 4), np.float32)
    layer = L.Dropout(0.25, seed=1)
    np.testing.assert_array_equal(layer(ones), ones)
    noisy = layer(ones, training=True)
    assert set(np.unique(noisy)) == {np.float32(0.0), np.float32(1 / 0.75)}
    assert abs((noisy == 0).mean() - 0.25) < 0.01
    spatial = L.SpatialDropout1D(0.5, seed=1)(ones, training=True)
    np.testing.assert_array_equal(spatial, np.broadcast_to(spatial[:, :1], spatial.shape))


def test_recurrent_dropout_changes_training_only(x):
    layer = shaken(L.LSTM(3, recurrent_dropout=0.5, seed=2), x)
    plain = layer(x)
    np.testing.assert_array_equal(layer(x), plain)
    assert np.abs(layer(x, training=True) - plain).max() > 1e-3


def test_unit_forget_bias_and_initialisers(x):
    layer = L.LSTM(3, bias_initializer="ones", kernel_initializer=L.keras_initialisers.Constant(0.5))
    layer(x)
    np.testing.assert_array_equal(layer.weights["b"].detach(), np.ones(12))
    np.testing.assert_array_equal(layer.weights["W"].detach(), np.full((2, 12), 0.5))
    layer = L.LSTM(3)
    layer(x)
    np.testing.assert_array_equal(layer.weights["b"].detach(), [0] * 3 + [1] * 3 + [0] * 6)
    layer = L.LSTM(3, bias_initializer=L.keras_initialisers.Constant(0.25))
    layer(x)
    np.testing.assert_array_equal(layer.weights["b"].detach(), [0.25] * 3 + [1] * 3 + [0.25] * 6)
    layer = L.LSTM(3, unit_forget_bias=False)
    layer(x)
    np.testing.assert_array_equal(layer.weights["b"].detach(), np.zeros(12))
    same = [L.Dense(4, kernel_initializer=L.keras_initialisers.GlorotUniform(seed=3)) for _ in range(2)]
    np.testing.assert_array_equal(same[0](x), same[1](x))
    assert np.abs(L.Dense(4)(x) - L.Dense(4)(x)).max() > 0


def test_masks_come_out_of_embedding_and_masking():
    ids = np.array([[1, 2, 0, 0], [3, 0, 0, 0]])
    layer = L.Embedding(4, 2, mask_zero=True)
    layer(ids)
    np.testing.assert_array_equal(layer.run(torch.as_tensor(ids)).mask, ids != 0)
    x = np.zeros((1, 3, 2), np.float32)
    x[0, 1] = 1.0
    layer = L.Masking()
    layer(x)
    np.testing.assert_array_equal(layer.run(torch.as_tensor(x)).mask, [[False, True, False]])


def test_layer_gives_tensors_for_tensors(x):
    t = torch.tensor(x, requires_grad=True)
    L.LSTM(3)(t).sum().backward()
    assert t.grad is not None
    assert float(t.grad.abs().max()) > 0


class Step(nn.Module):
    """A hand-written step as in tutorials: no nonlinearity."""

    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.i2o = nn.Linear(input_size + hidden_size, output_size)

    def forward(self, input, hidden):
        combined = torch.cat((input, hidden), 1)
        return self.i2o(combined), self.i2h(combined)


def test_step_module_equals_its_own_loop(x):
    torch.manual_seed(0)
    step = Step(2, 3, 5)
    hidden, outputs = torch.zeros(4, 3), []
    for t in range(6):
        y, hidden = step(torch.as_tensor(x[:, t]), hidden)
        outputs.append(y.detach().numpy())
    ours, h = L.RNN(step, return_sequences=True, return_state=True)(x)
    np.testing.assert_array_equal(ours, np.stack(outputs, 1))
    np.testing.assert_array_equal(h, hidden.detach())
    back = L.RNN(step, go_backwards=True, return_sequences=True)(x[:, ::-1].copy())
    np.testing.assert_array_equal(back, ours)


def test_step_module_obeys_masks(x):
    torch.manual_seed(0)
    layer = L.RNN(Step(2, 3, 5))
    mask = np.array([[1, 1, 1, 0, 0, 0]] * 2 + [[0, 0, 1, 1, 1, 1]] * 2, bool)
    expected = np.concatenate([layer(x[:2, :3]), layer(x[2:, 2:])])
    np.testing.assert_allclose(layer(x, mask), expected, atol=1e-6)


def test_step_module_of_wrong_size_is_refused(x):
    with pytest.raises(ShapeError, match="forward"):
        L.RNN(Step(7, 3, 5))(x)
    with pytest.raises(ShapeError, match="states"):
        L.RNN(Step(3, 2, 5), state_size=3)(x)


def test_own_cell_runs_through_the_same_machine(x):
    from dataclasses import dataclass

    from ostinato.cells.base import Cell

    @dataclass(frozen=True)
    class Leaky(Cell):
        gates = ("h",)

        def step(self, xp, a, U, state, **extra):
            return (0.5 * state[0] + 0.5 * xp.tanh(a + state[0] @ U),)

    layer = shaken(L.RNN(Leaky(3), return_sequences=True), x)
    W, U, b = (layer.weights[k].detach().numpy() for k in ("W", "U", "b"))
    h = np.zeros((4, 3))
    for t in range(6):
        h = 0.5 * h + 0.5 * np.tanh(x[:, t] @ W + b + h @ U)
    np.testing.assert_allclose(layer(x)[:, -1], h, atol=1e-6)
    assert L.Bidirectional(L.RNN(Leaky(3)))(x).shape == (4, 6)


def test_attention_with_query_and_value():
    q, v = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 5, 4))
    scores = np.exp(q @ v.transpose(0, 2, 1))
    expected = scores / scores.sum(-1, keepdims=True) @ v
    np.testing.assert_allclose(L.Attention()([q, v]), expected, atol=1e-5)
    assert L.Attention(query="learned")(v).shape == (2, 4)
