"""L-BFGS against torch's, against the full matrix of the BFGS formula, and its line search."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from ostinato import Sequential
from ostinato.errors import ArgumentError
from ostinato.layers import GRU, Dense
from ostinato.train import LBFGS
from ostinato.train.flat import Flat
from ostinato.train.optimisers._line_search import Point, strong_wolfe
from ostinato.train.optimisers.lbfgs import _direction


class Function:
    """A function of flat weights as the data of a step; counts its calls."""

    def __init__(self, f, flat):
        self.f, self.flat, self.calls = f, flat, 0

    def gradient(self):
        self.calls += 1
        self.flat.grad.zero_()
        with torch.enable_grad():
            value = self.f(self.flat.parameters[0])
            value.backward()
        return float(value.detach())


def _rosenbrock(w):
    return (100.0 * (w[1:] - w[:-1] ** 2) ** 2 + (1.0 - w[:-1]) ** 2).sum()


def _minimise(f, start, rule, steps):
    weight = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    flat = Flat([weight])
    rule.bind(flat)
    data = Function(f, flat)
    for _ in range(steps):
        data.gradient()
        rule.step(flat, data)
    return weight.detach(), data.calls


def test_it_finds_the_minimum_as_fast_as_torch():
    start = [-1.2, 1.0, 0.5, -0.7, 1.3]
    ours, calls = _minimise(_rosenbrock, start, LBFGS(tolerance_change=0.0), 6)
    theirs = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    rule = torch.optim.LBFGS([theirs], history_size=10, line_search_fn="strong_wolfe", tolerance_change=0.0)
    count = 0

    def closure():
        nonlocal count
        count += 1
        rule.zero_grad()
        value = _rosenbrock(theirs)
        value.backward()
        return value

    for _ in range(6):
        rule.step(closure)
    assert float(_rosenbrock(theirs.detach())) < 1e-10
    torch.testing.assert_close(ours, torch.ones(5, dtype=torch.float64), rtol=1e-6, atol=1e-6)
    assert calls <= 1.5 * count + 12


def test_directions_are_those_of_the_full_matrix():
    r = np.random.default_rng(0)
    a = r.normal(size=(6, 6))
    a = a @ a.T + np.eye(6)
    s = r.normal(size=(4, 6))
    y, g = s @ a, r.normal(size=6)
    for count in range(5):
        h = np.eye(6)
        if count:
            h *= (s[-1] @ y[-1]) / (y[-1] @ y[-1])
        for i in range(4 - count, 4):
            rho = 1.0 / (y[i] @ s[i])
            v = np.eye(6) - rho * np.outer(y[i], s[i])
            h = v.T @ h @ v + rho * np.outer(s[i], s[i])
        got = _direction(*map(torch.from_numpy, (g, s, y)), count)
        np.testing.assert_allclose(got, -h @ g, rtol=1e-9, atol=1e-12)


LINES = {
    "parabola": (lambda t: (t - 3.0) ** 2, lambda t: 2.0 * (t - 3.0)),
    "far": (lambda t: (t / 500.0 - 1.0) ** 2, lambda t: 2.0 * (t / 500.0 - 1.0) / 500.0),
    "near": (lambda t: (500.0 * t - 1.0) ** 2, lambda t: 1000.0 * (500.0 * t - 1.0)),
    "wavy": (lambda t: -t / (1 + t**2) + 0.01 * np.sin(30 * t),
             lambda t: -(1 - t**2) / (1 + t**2) ** 2 + 0.3 * np.cos(30 * t)),
    "rough": (lambda t: 0.1 * (t - 1) ** 2 + 0.632 * np.sin(27.208 * t + 1.253) / 27.208,
              lambda t: 0.2 * (t - 1) + 0.632 * np.cos(27.208 * t + 1.253)),
    "not a number": (lambda t: np.inf if t > 0.3 else (t - 0.2) ** 2, lambda t: np.nan if t > 0.3 else 2 * (t - 0.2)),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("first", [1e-3, 1.0, 58.675, 1e3])
def test_the_line_search_meets_the_wolfe_conditions(name, first):
    f, df = LINES[name]
    start = Point(0.0, float(f(0.0)), float(df(0.0)), torch.zeros(1))
    tries = []

    def evaluate(t):
        tries.append(t)
        return Point(t, float(f(t)), float(df(t)), torch.zeros(1))

    found = strong_wolfe(evaluate, start, first)
    assert found.loss <= start.loss + 1e-4 * found.at * start.slope
    assert abs(found.slope) <= 0.9 * abs(start.slope)
    assert found.at > 0.0
    assert len(tries) <= 25


def test_a_line_that_only_rises_ends_where_it_began():
    start = Point(0.0, 0.0, -1.0, torch.zeros(1))
    assert strong_wolfe(lambda t: Point(t, 1.0 + t, 1.0, torch.zeros(1)), start, 1.0) is start


def test_it_trains_a_recurrent_model_and_goes_on_exactly():
    x = np.random.default_rng(0).normal(size=(48, 6, 2)).astype(np.float32)
    y = x[:, :, :1].sum(1)

    def made():
        model = Sequential([GRU(5, input_shape=(6, 2)), Dense(1)], seed=0)
        model.compile("lbfgs", "mse")
        return model

    one, two = made(), made()
    losses = one.fit(x, y, batch_size="full", epochs=6, verbose=0).history["loss"]
    two.fit(x, y, batch_size="full", epochs=2, verbose=0)
    two.fit(x, y, batch_size="full", initial_epoch=2, epochs=6, verbose=0)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert losses[-1] < 0.02 * losses[0]
    assert all(b <= a for a, b in pairwise(losses))


def test_bad_settings_are_refused():
    for wrong in ({"max_iter": 0}, {"history_size": 0}, {"tolerance_grad": -1.0}, {"clipvalue": 1.0}):
        with pytest.raises(ArgumentError):
            LBFGS(**wrong)
    flat, rule = Flat([torch.nn.Parameter(torch.ones(2))]), LBFGS()
    rule.bind(flat)
    with pytest.raises(ArgumentError, match="data of its step"):
        rule.step(flat)
