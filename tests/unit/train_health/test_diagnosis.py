"""What is said about made-up networks, and that each gate is counted under its own name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.laws.own_cell import Leaky
from tests.unit.train_health.test_gradient_by_lag import made

from ostinato.cells import CELLS
from ostinato.cells.base import Cell
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.report import health_section
from ostinato.train import Adam, Arrays, ExplodingSteps, Objective, Order, gradient_health, train
from ostinato.train.diagnosis import lag_below

X = torch.from_numpy(np.random.default_rng(5).normal(size=(8, 60, 2)).astype(np.float32))


def kinds(stack, x=X, **options):
    return {finding.kind for finding in gradient_health(stack, x, **options).findings()}


def recurrent(a, *, activation="linear", size=0.1):
    """A recurrence whose every unit is multiplied by `a` a step."""
    stack = made(SimpleRNN(4, activation=activation))
    with torch.no_grad():
        w = stack.layers[0].weights
        w["U"].copy_(a * torch.eye(4))
        w["W"].normal_(0.0, size, generator=torch.Generator().manual_seed(1))
        w["b"].zero_()
    return stack


def test_a_vanishing_net_is_said_to_vanish_at_the_right_step():
    stack = recurrent(0.5)
    found = gradient_health(stack, X)
    assert not found.healthy
    assert found.layers[0].lag_below(1e-6) == 20  # 0.5^19 > 1e-6 > 0.5^20
    assert "rnn (SimpleRNN): gradients fall below 1e-6 of their first size after 20 steps" in found.diagnosis()
    assert "LSTM or GRU" in found.diagnosis()
    assert kinds(stack, X[:, :20]) == {"healthy"}
    assert kinds(stack, X[:, :21]) == {"vanishing"}


def test_an_exploding_net_is_said_to_explode():
    stack = recurrent(1.1)
    assert kinds(stack, X[:, :49]) == {"healthy"}  # 1.1^48 < 100 < 1.1^49
    assert kinds(stack, X[:, :50]) == {"exploding"}
    assert "clip_norm" in gradient_health(stack, X).diagnosis()


def test_a_saturated_net_is_said_to_be_saturated():
    stack = made(LSTM(4))
    assert "saturated" not in kinds(stack)
    assert "saturated" in kinds(stack, X * 100.0)
    assert "scale the inputs" in gradient_health(stack, X * 100.0).diagnosis()
    assert "saturated" in kinds(recurrent(0.9, activation="tanh", size=100.0), X[:, :5])


def test_a_healthy_net_is_said_to_be_healthy():
    stack = recurrent(0.95, activation="tanh")
    found = gradient_health(stack, X)
    assert found.healthy
    assert "healthy. 59 steps back, the gradient has" in found.diagnosis()


def test_an_open_forget_gate_is_no_fault():
    stack = made(LSTM(4))
    with torch.no_grad():
        for name in ("W", "U"):
            stack.layers[0].weights[name].mul_(0.1)
        stack.layers[0].weights["b"].copy_(torch.tensor([0.0, 9.0, 0.0, 0.0]).repeat_interleave(4))
    found = gradient_health(stack, X)
    shares = {share.name: share for share in found.layers[0].shares}
    assert (shares["f"].low, shares["f"].high) == (0.0, 1.0)
    assert shares["i"].both == 0.0
    assert found.healthy


def test_a_net_without_gradient_is_said_to_be_cut_off():
    stack = made(LSTM(4))
    with torch.no_grad():
        stack.layers[1].weights["W"].zero_()
    assert kinds(stack) == {"cut off"}


PUSHED = [
    (name, gate)
    for name, cls in CELLS.items()
    for gate in cls(4).gates
    if name != "layer_norm_simple_rnn"  # its normalisation takes a common push out again
]


@pytest.mark.parametrize(("name", "gate"), PUSHED)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_each_gate_is_counted_under_its_own_name(name, gate, sign):
    cell = CELLS[name](4)
    stack = made(cell)
    with torch.no_grad():
        w = stack.layers[0].weights
        for key in ("W", "U"):
            w[key].mul_(0.02)
        for key, value in w.items():
            if key.startswith(("gain_x", "gain_h")):
                value.fill_(0.02)
            if key in ("b", "b_rec"):
                value.zero_()
        block = cell.gates.index(gate) * 4
        w["b"][block : block + 4] = 8.0 * sign
    shares = {s.name: s for s in gradient_health(stack, X).layers[0].shares}
    assert set(cell.gates) <= set(shares)
    for other in cell.gates:
        expected = (float(sign < 0), float(sign > 0)) if other == gate else (0.0, 0.0)
        assert (shares[other].low, shares[other].high) == expected, other


class Private(Cell):
    """A user's cell that takes its nonlinearity from elsewhere."""

    gates = ("v",)

    def step(self, xp, a, U, state, **extra):
        return (torch.tanh(a + state[0] @ U),)


def test_a_users_cell_has_gates_or_states():
    shares = gradient_health(made(Leaky(4)), X).layers[0].shares
    assert [share.name for share in shares] == ["v", "v (sigmoid)"]
    stack = made(Private(4))
    (share,) = gradient_health(stack, X).layers[0].shares
    assert (share.name, share.kind) == ("h", "state")
    assert "saturated" not in kinds(stack, X)
    assert "saturated" in kinds(stack, 1000.0 * X)


def test_padding_counts_in_no_share():
    stack = made(LSTM(4))
    mask = torch.arange(60)[None] < torch.tensor([[30]] * 8)
    spoilt = torch.where(mask[:, :, None], X, 1000.0)
    assert (
        gradient_health(stack, spoilt, mask=mask).layers[0].shares == gradient_health(stack, X[:, :30]).layers[0].shares
    )


@pytest.mark.parametrize(
    ("norms", "share", "lag"),
    [([1.0, 0.1], 0.5, 1), ([1.0, 0.1, 1.0], 0.5, None), ([1.0, 0.1, 0.6, 0.1], 0.5, 3), ([0.0, 1.0], 0.5, None),
     ([], 0.5, None), ([1.0], 0.5, None)],
)  # fmt: skip
def test_lag_below(norms, share, lag):
    assert lag_below(norms, share) == lag


def test_steps_that_explode_are_counted():
    watched, rng = ExplodingSteps(), np.random.default_rng(0)
    norms = np.exp(rng.normal(0.0, 0.3, 500))
    norms[[5, 100, 300]] *= 1000.0
    norms[301] = np.nan
    for norm in norms:
        watched.add(float(norm))
    assert (watched.count, watched.seen) == (3, 500)
    assert [one.step for one in watched.steps] == [100, 300, 301]  # the first 20 are not judged
    for one in watched.steps:
        median = np.sort(np.nan_to_num(norms[max(0, one.step - 101) : one.step], nan=np.inf))
        median = median[len(median) // 2]
        assert one.times == pytest.approx(norms[one.step] / median, nan_ok=True) or one.norm == np.inf
    assert watched.largest is not None
    assert watched.largest.step == 301
    watched.on_train_begin()
    assert (watched.count, watched.seen, watched.largest) == (0, 0, None)


def test_training_is_watched_before_clipping():
    stack = made(LSTM(3))
    x = X.repeat(8, 1, 1)
    y = torch.zeros(64, 1)
    y[40] = 1e5
    watched, lengths = ExplodingSteps(), []

    class Lengths(ExplodingSteps):
        def on_gradient(self, batch, gradient):
            lengths.append(float(gradient.norm()))

    train(
        stack,
        Arrays(x, y),
        objective=Objective(lambda out, batch, mask: ((out - batch.target).square().mean(), float(len(out)))),
        optimizer=Adam(1e-4, global_clipnorm=1e-3),
        order=Order(0, 1, shuffle=False),
        epochs=range(1),
        callbacks=[watched, Lengths()],
    )
    assert [one.step for one in watched.steps] == [40]
    assert watched.steps[0].norm == pytest.approx(lengths[40])
    assert lengths[40] > 1.0
    found = gradient_health(stack, x[:4, :10], watched=watched)
    assert found.findings()[-1].kind == "exploding steps"
    assert "1 of 64 training steps" in found.diagnosis()


def test_the_plot_and_the_section_show_every_layer():
    found = gradient_health(made(LSTM(3)), X)
    axes = found.plot()
    assert axes.get_yscale() == "log"
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), found.layers[0].norms)
    section = health_section(found.facts())
    assert section.heading == "Gradient health"
    assert "rnn (LSTM): gradients fall below 1e-6" in section.body
    assert section.body.count("<tr>") == 1 + len(found.layers[0].shares)
    assert "<svg" in section.body
    assert "rnn (LSTM)" in section.body
    zeros = {**found.facts(), "norms": {"<b>": [1.0, 0.0, 0.0]}, "sentences": ["<i>"], "gates": []}
    body = health_section(zeros).body
    assert "<b>" not in body
    assert "<i>" not in body
