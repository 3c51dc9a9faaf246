"""Hessian-free against explicit matrices, its damping rule, and what it must solve at once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from tests.laws.tolerance import exact

from ostinato import Sequential
from ostinato.cells import CELLS
from ostinato.errors import ArgumentError
from ostinato.kernels.choose import outputs
from ostinato.layers import LSTM, Dense, Layer, Stack
from ostinato.losses.named import BY_NAME, BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from ostinato.maps.dense import Dense as DenseMap
from ostinato.models.objective import objective
from ostinato.scans.recurrent import Recurrent
from ostinato.train import Adam, Batch, Closure, HessianFree
from ostinato.train.flat import Flat
from ostinato.train.optimisers._conjugate_gradients import conjugate_gradients
from ostinato.train.optimisers.hessian_free import _next

N, T, F = 4, 3, 2


def _net(cell, out="linear", *, units=2, sequences=False, n_out=2):
    stack = Stack([Layer(Recurrent(cell(3), return_sequences=sequences)), Layer(DenseMap(n_out, out))], seed=1)
    stack.build((T, F))
    return stack.to(torch.float64)


def _batch(kind, *, n_out=2, sequences=False, mask=False):
    r = np.random.default_rng(3)
    shape = (N, T) if sequences else (N,)
    x = torch.from_numpy(r.normal(size=(N, T, F)))
    target = {
        "numbers": r.normal(size=(*shape, n_out)),
        "shares": r.uniform(size=(*shape, n_out)),
        "one_hot": np.eye(n_out)[r.integers(n_out, size=shape)],
        "classes": r.integers(n_out, size=shape).astype(float),
    }[kind]
    keep = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 1, 1]]).bool() if mask else None
    return Batch(x, torch.from_numpy(target), None, keep)


def _jacobian(stack, flat, f):
    """d f / d weights, row by row with plain autograd through the plain formula."""
    y = f()
    rows = []
    for value in y.reshape(-1):
        parts = torch.autograd.grad(value, flat.parameters, retain_graph=True, allow_unused=True)
        rows.append(
            torch.cat([torch.zeros_like(p).reshape(-1) if g is None else g.reshape(-1)
                       for p, g in zip(flat.parameters, parts, strict=True)])
        )  # fmt: skip
    return torch.stack(rows)


def _matrix(product, n):
    return torch.stack([product(e) for e in torch.eye(n, dtype=torch.float64)], 1)


def _closure(stack, loss, batch, penalty=None):
    flat = Flat(stack.parameters())
    made = objective(loss, (), penalty=penalty)
    return flat, made, Closure(stack, flat, batch, made.loss, penalty=made.penalty, curvature=made.curvature)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_products_are_those_of_the_explicit_matrix(name, mask):
    stack, batch = _net(CELLS[name], sequences=True), _batch("numbers", sequences=True, mask=mask)
    flat, made, closure = _closure(stack, BY_NAME["mean_squared_error"], batch)
    jacobian = _jacobian(stack, flat, lambda: stack.run(batch.x, mask=batch.mask)[0])
    y = stack.run(batch.x, mask=batch.mask)[0].detach()
    hessian = torch.autograd.functional.hessian(lambda y: made.loss(y, batch, batch.mask)[0], y).reshape(
        2 * (y.numel(),)
    )
    got = _matrix(closure.curvature().product, flat.data.numel())
    torch.testing.assert_close(got, jacobian.T @ hessian @ jacobian, rtol=1e-9, atol=1e-12)

    def states():
        with outputs() as found:
            stack.run(batch.x, mask=batch.mask)
        return found[0]

    h = _jacobian(stack, flat, states)
    got = _matrix(lambda v: closure.curvature().product(v, structural=0.7), flat.data.numel()) - got
    torch.testing.assert_close(got, 0.7 * h.T @ h / (N * T), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("probabilities", "scores", "activation", "kind"),
    [
        (BY_NAME["categorical_crossentropy"], CategoricalCrossentropy(from_logits=True), "softmax", "one_hot"),
        (BY_NAME["sparse_categorical_crossentropy"], SparseCategoricalCrossentropy(from_logits=True), "softmax",
         "classes"),
        (BY_NAME["binary_crossentropy"], BinaryCrossentropy(from_logits=True), "sigmoid", "shares"),
        (CategoricalCrossentropy(label_smoothing=0.1), CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
         "softmax", "one_hot"),
    ],
)  # fmt: skip
def test_the_curvature_of_probabilities_is_that_of_scores(probabilities, scores, activation, kind):
    batch = _batch(kind, n_out=3)
    found = []
    for loss, out in ((probabilities, activation), (scores, "linear")):
        stack = _net(CELLS["lstm"], out, n_out=3)
        flat, _, closure = _closure(stack, loss, batch)
        found.append((_matrix(closure.curvature().product, flat.data.numel()), closure.gradient(), flat.grad.clone()))
    torch.testing.assert_close(found[0], found[1], rtol=1e-8, atol=1e-11)
    assert float(torch.linalg.eigvalsh(found[0][0]).min()) > -1e-12


def test_regularised_weights_add_their_own_curvature_and_absolute_errors_have_none():
    stack, batch = _net(CELLS["gru"]), _batch("numbers")
    head = stack.layers[1].weights["W"]
    flat, _, plain = _closure(stack, BY_NAME["mean_squared_error"], batch)
    n = flat.data.numel()
    _, _, closure = _closure(
        stack, BY_NAME["mean_squared_error"], batch, lambda: 0.5 * (head**2).sum() + head.abs().sum()
    )
    more = _matrix(closure.curvature().product, n) - _matrix(plain.curvature().product, n)
    diagonal = torch.cat([torch.full((p.numel(),), float(p is head), dtype=torch.float64) for p in flat.parameters])
    torch.testing.assert_close(more, torch.diag(diagonal), rtol=1e-9, atol=1e-12)
    _, _, closure = _closure(stack, BY_NAME["mean_absolute_error"], batch)
    assert not closure.curvature().product(torch.ones(n, dtype=torch.float64)).any()


def test_rows_choose_part_of_the_batch_and_squares_are_unbiased():
    stack, batch = _net(CELLS["simple_rnn"]), _batch("numbers")
    flat, made, closure = _closure(stack, BY_NAME["mean_squared_error"], batch)
    rows = torch.tensor([3, 1])
    part = Closure(stack, flat, Batch(batch.x[rows], batch.target[rows]), made.loss)
    v = torch.ones_like(flat.data)
    torch.testing.assert_close(closure.curvature(rows).product(v), part.curvature().product(v))
    truth = torch.zeros_like(v)
    for i in range(N):
        Closure(stack, flat, Batch(batch.x[i : i + 1], batch.target[i : i + 1]), made.loss).gradient()
        truth += flat.grad**2 / N
    got = closure.curvature().squares(600, torch.Generator().manual_seed(0))
    torch.testing.assert_close(got, truth, rtol=0.3, atol=1e-3)


@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("diagonal", [False, True])
def test_conjugate_gradients_solve_linear_equations(start, diagonal):
    r = np.random.default_rng(0)
    a = r.normal(size=(12, 12))
    a = torch.from_numpy(a @ a.T + np.diag(np.logspace(0, 3, 12)))
    b, x = torch.from_numpy(r.normal(size=12)), torch.from_numpy(r.normal(size=12)) * float(start)
    course = conjugate_gradients(
        lambda v: a @ v, b, x, diagonal=a.diagonal() if diagonal else None, most=60, tolerance=0
    )
    torch.testing.assert_close(course.points[-1], torch.linalg.solve(a, b), rtol=1e-6, atol=1e-9)
    values = [float(0.5 * p @ a @ p - b @ p) for p in course.points]
    assert all(b <= a + 1e-9 * abs(a) for a, b in pairwise(values))
    free = conjugate_gradients(lambda v: a @ v, b, 0 * x, most=60, tolerance=0)
    scaled = conjugate_gradients(lambda v: a @ v, b, 0 * x, diagonal=a.diagonal(), most=4, tolerance=0)
    assert float((a @ scaled.points[-1] - b).norm()) < float((a @ free.points[3] - b).norm())


def test_conjugate_gradients_stop_where_nothing_is_gained_or_the_curvature_is_not_positive():
    b = torch.ones(400)
    a = torch.logspace(0, 4, 400)
    assert conjugate_gradients(lambda v: a * v, b, 0 * b, most=400).iterations < 200
    assert conjugate_gradients(lambda v: -v, b, 0 * b, most=50).iterations == 0
    assert conjugate_gradients(lambda v: v, b, 0 * b, most=50).iterations == 1
    assert conjugate_gradients(lambda v: a * v, b, 0 * b, most=7).iterations == 7


def test_a_quadratic_loss_is_solved_in_one_step():
    x = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
    y = x @ np.arange(5, dtype=np.float32)[:, None] + 2.0
    model = Sequential([Dense(1, input_shape=(5,))], seed=0)
    model.compile(HessianFree(damping=1e-9, cg_momentum=0.0, preconditioner=0), "mse")
    history = model.fit(x, y, batch_size="full", epochs=1, verbose=0)
    assert history.history["loss"][0] > 1.0
    assert model.evaluate(x, y) < 1e-9
    assert model.optimizer.current_damping == pytest.approx(1e-9 / 1.5)


def test_the_damping_follows_the_rule():
    assert _next(-0.8, -1.0) == pytest.approx(2 / 3)
    assert _next(-1.5, -1.0) == pytest.approx(2 / 3)
    assert _next(-0.5, -1.0) == 1.0
    assert _next(-0.2, -1.0) == 1.5
    assert _next(0.3, -1.0) == 1.5
    assert _next(-1.0, 0.5) == 1.5
    assert _next(float("inf"), -1.0) == 1.5
    assert _next(float("nan"), -1.0) == 1.5


def _lstm(optimizer, seed=0, **options):
    model = Sequential([LSTM(6, input_shape=(8, 2)), Dense(1)], seed=seed)
    model.compile(optimizer, "mse", **options)
    return model


def _sums(n=32):
    x = np.random.default_rng(1).normal(size=(n, 8, 2)).astype(np.float32)
    return x, (x[:, :, 0] * x[:, :, 1]).sum(1, keepdims=True)


def test_it_learns_what_adam_needs_far_more_steps_for_and_two_runs_are_equal():
    x, y = _sums()
    made = [_lstm(HessianFree(damping=0.1, structural=0.1, curvature_share=0.5)) for _ in range(2)]
    histories = [m.fit(x, y, batch_size="full", epochs=6, verbose=0).history["loss"] for m in made]
    assert histories[0] == histories[1]
    for a, b in zip(made[0].get_weights(), made[1].get_weights(), strict=True):
        exact(a, b, what="weights")
    adam = _lstm(Adam(0.01)).fit(x, y, batch_size="full", epochs=20, verbose=0).history["loss"]
    assert histories[0][-1] < 0.9 * adam[-1]
    assert made[0].optimizer.current_damping != 0.1


def test_a_step_never_raises_the_loss_of_its_batch():
    x, y = _sums(32)
    model = _lstm(HessianFree(damping=1e-8))
    losses = model.fit(x, y, batch_size="full", epochs=6, verbose=0).history["loss"]
    assert all(b <= a for a, b in pairwise(losses))


def test_two_calls_of_fit_are_one():
    x, y = _sums(32)
    one, two = _lstm(HessianFree()), _lstm(HessianFree())
    one.fit(x, y, batch_size=16, epochs=2, verbose=0)
    two.fit(x, y, batch_size=16, epochs=1, verbose=0)
    two.fit(x, y, batch_size=16, initial_epoch=1, epochs=2, verbose=0)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        exact(a, b, what="weights")


@pytest.mark.parametrize(
    "options",
    [
        {"damping": -1.0}, {"structural": -0.1}, {"cg_iterations": 0}, {"preconditioner": -1}, {"cg_momentum": 1.0},
        {"curvature_share": 0.0}, {"curvature_share": 1.5}, {"clipnorm": 1.0}, {"gradient_accumulation_steps": 2},
    ],
)  # fmt: skip
def test_bad_settings_are_refused(options):
    with pytest.raises(ArgumentError):
        HessianFree(**options)
    weight = torch.nn.Parameter(torch.ones(2))
    flat, rule = Flat([weight]), HessianFree()
    rule.bind(flat)
    with pytest.raises(ArgumentError, match="data of its step"):
        rule.step(flat)


def test_the_last_step_is_where_the_next_one_begins():
    x, y = _sums()
    model = _lstm(HessianFree(cg_iterations=3, preconditioner=0))
    first = torch.cat([torch.from_numpy(w).reshape(-1) for w in model.get_weights()])
    model.fit(x, y, batch_size="full", epochs=1, verbose=0)
    moved = torch.cat([torch.from_numpy(w).reshape(-1) for w in model.get_weights()]) - first
    last = model.optimizer.own[0]
    share = float(moved @ last) / float(last @ last)
    assert 0.0 < share <= 1.0 + 1e-4
    torch.testing.assert_close(moved, share * last, rtol=1e-3, atol=1e-5)
