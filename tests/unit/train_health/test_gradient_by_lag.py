"""The gradient by lag is the product of Jacobians, for every cell, mask and direction."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.laws.own_cell import Leaky
from tests.laws.problems import UNITS, problem

from ostinato import Sequential, layers, train
from ostinato.cells import CELLS
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.errors import ArgumentError, NotBuiltError, ShapeError
from ostinato.kernels.base import TORCH
from ostinato.layers import Layer, Stack
from ostinato.maps.dense import Dense
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent
from ostinato.train import gradient_health

ALL = {name: cls(UNITS) for name, cls in CELLS.items()} | {
    "relu": SimpleRNN(UNITS, activation="relu"),
    "other activations": LSTM(UNITS, activation="softsign", recurrent_activation="hard_sigmoid"),
    "a user's own": Leaky(UNITS),
}


def made(cell, *, features=2, seed=0, **options):
    """A stack of one recurrent layer and one number out, with unequal random weights."""
    stack = Stack([Layer(Recurrent(cell, **options), name="rnn"), Layer(Dense(1), name="head")], seed=seed)
    stack.build((None, features))
    w = problem(cell, features=features).w
    with torch.no_grad():
        for name, value in stack.layers[0].weights.items():
            if name in w:
                value.copy_(torch.from_numpy(w[name]))
    return stack


def jacobians(stack, x, *, zone=0.0):
    """Norms of v J_T … J_{T-k+1} for one row `x [time, features]`, v the slope of the output at the last states."""
    cell = stack.layers[0].part.cell
    w = {k: v.detach().double() for k, v in stack.layers[0].tensors().items()}
    a = cell.project(x[None].double(), w["W"], w["b"])
    n, extra = cell.units, {name: w[name] for name in cell.extra()}

    def step(flat, t):
        state = tuple(flat[None].split(n, 1))
        new = torch.cat(cell.step(TORCH, a[:, t], w["U"], state, **extra), 1)[0]
        return new + zone * (flat - new)

    flat, products = torch.zeros(n * len(cell.states), dtype=torch.float64), []
    for t in range(len(x)):
        products.append(torch.autograd.functional.jacobian(lambda s, t=t: step(s, t), flat))
        flat = step(flat, t)
    v = torch.zeros_like(flat)
    v[:n] = stack.layers[1].weights["W"].detach().double()[:, 0]
    norms = [float(v.norm())]
    for jacobian in products[:0:-1]:
        v = v @ jacobian
        norms.append(float(v.norm()))
    return norms


@pytest.mark.parametrize("cell", ALL.values(), ids=ALL)
@pytest.mark.parametrize("zone", [0.0, 0.25])
def test_it_is_the_product_of_jacobians(cell, zone):
    stack = made(cell, zoneout=zone)
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 7, 2)).astype(np.float32))
    expected = np.mean([jacobians(stack, row, zone=zone) for row in x], axis=0)
    found = gradient_health(stack, x).layers[0]
    np.testing.assert_allclose(found.norms, expected, rtol=1e-9)


@pytest.mark.parametrize("a", [0.5, 0.9, 1.0, 1.25])
def test_a_linear_recurrence_has_powers(a):
    stack = made(SimpleRNN(1, activation="linear"), features=1)
    with torch.no_grad():
        stack.layers[0].weights["U"].fill_(a)
        stack.layers[1].weights["W"].fill_(3.0)
    found = gradient_health(stack, torch.randn(4, 60, 1)).layers[0].norms
    np.testing.assert_allclose(found, 3.0 * np.float32(a).astype(float) ** np.arange(60), rtol=1e-9)


def test_it_is_the_derivative_by_finite_differences():
    cell = LSTM(3)
    stack = made(cell).double()
    x = torch.from_numpy(np.random.default_rng(2).normal(size=(1, 5, 2)))
    target, k = torch.tensor([[0.7]], dtype=torch.float64), 3
    states = stack.run(x[:, : 5 - k])[2][0]
    slopes = []
    for place in range(6):
        losses = []
        for move in (1e-6, -1e-6):
            moved = torch.cat(states, 1).detach().clone()
            moved[0, place] += move
            y = stack.run(x[:, 5 - k :], states=(tuple(moved.split(3, 1)), ()))[0]
            losses.append(float((y - target).square().sum().detach()))
        slopes.append((losses[0] - losses[1]) / 2e-6)
    found = gradient_health(stack, x, target, loss="mean_squared_error").layers[0]
    assert found.norms[k] == pytest.approx(np.linalg.norm(slopes), rel=1e-6)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", [LSTM(4), Leaky(4)], ids=["lstm", "own"])
def test_ragged_rows_are_aligned_at_their_ends(cell, reverse):
    stack = made(cell, reverse=reverse)
    x = torch.randn(3, 6, 2)
    lengths = (6, 2, 4)
    alone = [gradient_health(stack, x[i : i + 1, :n]).layers[0].norms for i, n in enumerate(lengths)]
    expected = [np.mean([row[k] for row in alone if k < len(row)]) for k in range(6)]
    after = torch.arange(6)[None] < torch.tensor(lengths)[:, None]
    spoilt = torch.where(after[:, :, None], x, torch.nan)
    np.testing.assert_allclose(gradient_health(stack, spoilt, mask=after).layers[0].norms, expected, rtol=1e-9)
    before = torch.stack([torch.roll(row, 6 - n, 0) for row, n in zip(x, lengths, strict=True)])
    found = gradient_health(stack, before, mask=after.flip(1)).layers[0]
    np.testing.assert_allclose(found.norms, expected, rtol=1e-9)


def test_the_loss_of_a_given_step():
    stack = made(LSTM(4), return_sequences=True)
    x = torch.randn(2, 8, 2)
    short = gradient_health(stack, x[:, :5]).layers[0].norms
    np.testing.assert_allclose(gradient_health(stack, x, step=4).layers[0].norms, short, rtol=1e-9)
    np.testing.assert_allclose(gradient_health(stack, x, step=-4).layers[0].norms, short, rtol=1e-9)
    y = torch.randn(2, 8, 1)
    whole = gradient_health(stack, x, y, loss="mean_squared_error", step=4).layers[0].norms
    part = gradient_health(stack, x[:, :5], y[:, :5], loss="mean_squared_error").layers[0].norms
    np.testing.assert_allclose(whole, part, rtol=1e-9)
    with pytest.raises(ArgumentError, match="step"):
        gradient_health(stack, x, step=8)


def test_layers_and_directions_have_lines_of_their_own():
    both = Bidirectional(Recurrent(LSTM(3), return_sequences=True))
    stack = Stack([Layer(both, name="both"), Layer(Recurrent(LSTM(2)), name="top"), Layer(Dense(1), name="head")])
    stack.build((None, 2))
    x = torch.randn(2, 9, 2)
    found = {layer.name: layer.norms for layer in gradient_health(stack, x).layers}
    assert list(found) == ["both (LSTM, forward)", "both (LSTM, backward)", "top (LSTM)"]
    assert all(len(norms) == 9 for norms in found.values())
    # the backward half feeds the last output through its first state only: farthest back in its own order
    assert found["both (LSTM, backward)"][-1] > found["both (LSTM, backward)"][0]


def test_losses_of_every_form_agree():
    stack, x, y = made(LSTM(3)), torch.randn(3, 4, 2), torch.randn(3, 1)
    forms = ["mean_squared_error", lambda o, t: (o - t).square().mean(), lambda o, t: (o - t).square()]
    one, *others = [gradient_health(stack, x, y, loss=form).layers[0].norms for form in forms]
    for other in others:
        np.testing.assert_allclose(other, one, rtol=1e-9)


def test_long_sequences_are_cut_to_their_last_real_steps():
    stack, x = made(LSTM(3)), torch.randn(2, 30, 2)
    found = gradient_health(stack, x, steps=10)
    assert found.cut
    np.testing.assert_allclose(found.layers[0].norms, gradient_health(stack, x[:, -10:]).layers[0].norms, rtol=1e-9)
    mask = torch.arange(30)[None] < torch.tensor([[12], [4]])
    expected = gradient_health(stack, x[:, :12], mask=mask[:, :12])
    assert not expected.cut
    found = gradient_health(stack, x, mask=mask, steps=12)
    np.testing.assert_allclose(found.layers[0].norms, expected.layers[0].norms, rtol=1e-9)
    model = Sequential([layers.LSTM(3, return_sequences=True), layers.Flatten(), layers.Dense(1)])
    model.build((None, 30, 2))
    assert len(model.gradient_health(x).layers[0].norms) == 30
    with pytest.raises(ArgumentError, match="steps=30"):
        model.gradient_health(x, steps=10)


def test_a_keras_model_takes_what_fit_takes():
    model = Sequential([layers.Embedding(9, 4, mask_zero=True), layers.GRU(5), layers.Dense(3, activation="softmax")])
    model.compile(loss="sparse_categorical_crossentropy")
    x, y = [[1, 2, 3], [4, 5], [6, 7, 8, 1]], [0, 2, 1]
    found = model.gradient_health(x, y)
    assert [layer.name for layer in found.layers] == ["gru (GRU)"]
    assert len(found.layers[0].norms) == 4
    assert len(model.gradient_health(x).layers[0].norms) == 4


def test_nothing_is_changed():
    model = Sequential([layers.LSTM(3, stateful=True, dropout=0.5, batch_input_shape=(2, 4, 2)), layers.Dense(1)])
    model.compile(loss="mse")
    x, y = np.random.default_rng(0).normal(size=(2, 4, 2)), np.zeros((2, 1))
    before = [w.copy() for w in model.get_weights()]
    one, two = (model.gradient_health(x, y).layers[0].norms for _ in range(2))
    assert one == two
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(p.grad is None for p in model.parameters())


def test_bad_arguments_are_refused():
    stack, x = made(LSTM(3)), torch.randn(2, 4, 2)
    for options in ({"y": torch.zeros(2, 1)}, {"loss": "mean_squared_error"}, {"rows": 0}, {"steps": True}):
        with pytest.raises(ArgumentError):
            gradient_health(stack, x, **options)
    with pytest.raises(ArgumentError, match="loss"):
        gradient_health(stack, x, torch.zeros(2, 1), loss="nothing")
    with pytest.raises(ShapeError):
        gradient_health(stack, x[:0])
    with pytest.raises(ShapeError):
        gradient_health(stack, x, mask=torch.ones(2, 3))
    with pytest.raises(ShapeError):
        gradient_health(stack, x, torch.zeros(3, 1), loss="mean_squared_error")
    with pytest.raises(NotBuiltError):
        gradient_health(Stack([Layer(Dense(1))]), x)
    plain = Stack([Layer(Dense(1), name="d")])
    plain.build((2,))
    with pytest.raises(ArgumentError, match="recurrent"):
        gradient_health(plain, torch.zeros(2, 2))


def test_it_is_public():
    assert {"gradient_health", "Health", "LayerHealth", "Finding", "ExplodingSteps"} <= set(train.__all__)
