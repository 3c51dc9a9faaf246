"""Every loss is its formula, by name and called by hand, and its slopes are finite where probabilities are 0 or 1."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ostinato.errors import DataError, ShapeError
from ostinato.losses import LOSSES, named
from ostinato.losses.named import ALIASES, BY_NAME, loss_named

RNG = np.random.default_rng(3)
TINY = 1e-7


def probabilities(shape: tuple[int, ...]) -> np.ndarray:
    """Rows that sum to 1."""
    p = RNG.uniform(0.01, 1.0, shape)
    return p / p.sum(-1, keepdims=True)


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, x)


NUMBERS = (RNG.normal(0.0, 4.0, (5, 6, 3)), RNG.normal(0.0, 4.0, (5, 6, 3)))
COUNTS = (RNG.uniform(0.1, 5.0, (5, 6, 3)), RNG.integers(0, 6, (5, 6, 3)).astype(float))
SHARES = (RNG.uniform(0.01, 0.99, (5, 6, 3)), RNG.uniform(size=(5, 6, 3)))
CLASSES = RNG.integers(0, 3, (5, 6))
ONE_HOT = (probabilities((5, 6, 3)), np.eye(3)[CLASSES])
FORMULAS = {
    "mean_squared_error": (NUMBERS, lambda y, t: ((y - t) ** 2).mean(-1)),
    "mean_absolute_error": (NUMBERS, lambda y, t: np.abs(y - t).mean(-1)),
    "mean_absolute_percentage_error": (NUMBERS, lambda y, t: 100.0 * np.abs((y - t) / t).mean(-1)),
    "mean_squared_logarithmic_error": (COUNTS, lambda y, t: ((np.log1p(y) - np.log1p(t)) ** 2).mean(-1)),
    "huber": (NUMBERS, lambda y, t: np.where(abs(y - t) <= 1, (y - t) ** 2 / 2, abs(y - t) - 0.5).mean(-1)),
    "log_cosh": (NUMBERS, lambda y, t: np.log(np.cosh(y - t)).mean(-1)),
    "poisson": (COUNTS, lambda y, t: (y - t * np.log(y + TINY)).mean(-1)),
    "binary_crossentropy": (SHARES, lambda y, t: -(t * np.log(y) + (1 - t) * np.log(1 - y)).mean(-1)),
    "categorical_crossentropy": (ONE_HOT, lambda y, t: -(t * np.log(y)).sum(-1)),
    "sparse_categorical_crossentropy": (
        (ONE_HOT[0], CLASSES), lambda y, t: -np.log(np.take_along_axis(y, t[..., None], -1))[..., 0],
    ),
    "kl_divergence": ((ONE_HOT[0], probabilities((5, 6, 3))), lambda y, t: (t * np.log(t / y)).sum(-1)),
    "hinge": ((NUMBERS[0], np.sign(NUMBERS[1])), lambda y, t: np.maximum(1 - t * y, 0).mean(-1)),
}  # fmt: skip


def test_every_loss_has_a_formula_here():
    assert set(FORMULAS) == set(LOSSES) == set(BY_NAME)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_its_formula(name):
    (y, target), formula = FORMULAS[name]
    found = LOSSES[name](torch.as_tensor(y), torch.as_tensor(target))
    np.testing.assert_allclose(found.numpy(), formula(y, target), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(BY_NAME[name](target, y), found)
    class_name = "".join(word.title() for word in name.split("_"))
    made = loss_named(class_name)
    assert made is BY_NAME[name]
    assert loss_named(name.upper()) is made


def test_other_spellings_and_names_that_are_none():
    assert all(loss_named(alias) is BY_NAME[name] for alias, name in ALIASES.items())
    assert loss_named("msee") is None
    made = [make() for name, make in vars(named).items() if callable(make) and name in CLASS_NAMES]
    assert {loss.name for loss in made} == set(BY_NAME)


CLASS_NAMES = {
    "MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "Huber",
    "LogCosh", "Poisson", "KLDivergence", "Hinge", "BinaryCrossentropy", "CategoricalCrossentropy",
    "SparseCategoricalCrossentropy",
}  # fmt: skip


def test_options():
    y, target = NUMBERS
    d = np.abs(y - target)
    huber = np.where(d <= 2.5, d * d / 2, 2.5 * (d - 1.25)).mean(-1)
    np.testing.assert_allclose(named.Huber(2.5)(target, y), huber, rtol=1e-12)
    p, t = SHARES
    smooth = 0.8 * t + 0.1
    want = -(smooth * np.log(p) + (1 - smooth) * np.log(1 - p)).mean(-1)
    np.testing.assert_allclose(named.BinaryCrossentropy(label_smoothing=0.2)(t, p), want, rtol=1e-6)
    logits = np.log(p / (1 - p))
    np.testing.assert_allclose(
        named.BinaryCrossentropy(from_logits=True, label_smoothing=0.2)(t, logits), want, rtol=1e-6
    )
    p, t = ONE_HOT
    smooth = 0.7 * t + 0.1
    want = -(smooth * np.log(p)).sum(-1)
    np.testing.assert_allclose(named.CategoricalCrossentropy(label_smoothing=0.3)(t, p), want, rtol=1e-6)
    both = named.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3)(t, 5.0 + np.log(p))
    np.testing.assert_allclose(both, want, rtol=1e-6)
    sparse = named.SparseCategoricalCrossentropy(from_logits=True)(CLASSES, np.log(p) - 3.0)
    np.testing.assert_allclose(sparse, -(t * np.log(p)).sum(-1), rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in LOSSES if "entropy" in name or name == "kl_divergence"])
def test_sure_probabilities_have_finite_losses_and_slopes(name):
    for wide in (torch.float32, torch.float64):
        y = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=wide, requires_grad=True)
        target = (
            torch.tensor([1, 2]) if "sparse" in name else torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=wide)
        )
        loss = LOSSES[name](y, target)
        loss.sum().backward()
        assert loss.isfinite().all()
        assert y.grad.isfinite().all()
        assert loss[0] > 3.0 > loss[1] > -1e-6


def test_far_numbers_have_finite_losses():
    y = torch.tensor([[1e4], [-1e4]], requires_grad=True)
    loss = LOSSES["log_cosh"](y, torch.zeros(2, 1))
    loss.sum().backward()
    torch.testing.assert_close(loss, torch.full((2,), 1e4 - math.log(2.0)))
    torch.testing.assert_close(y.grad, torch.tensor([[1.0], [-1.0]]))


def test_what_does_not_fit_is_refused():
    sparse = BY_NAME["sparse_categorical_crossentropy"]
    for target in ([0, 3], [-1, 0], [0.5, 1.0], [math.nan, 0.0]):
        with pytest.raises(DataError, match="from 0 to 2") as caught:
            sparse(np.array(target), np.full((2, 3), 1 / 3))
        assert "1 others" in caught.value.got
    for loss, target in ((sparse, np.zeros(3)), (BY_NAME["hinge"], np.zeros((3, 1))), (named.Huber(), np.zeros(3))):
        with pytest.raises(ShapeError, match="nothing is broadcast"):
            loss(target, np.full((2, 3), 1 / 3))
    np.testing.assert_array_equal(sparse([[0], [2]], np.eye(3)[[0, 2]]), sparse([0, 2], np.eye(3)[[0, 2]]))
    assert BY_NAME["mean_squared_error"]([1, 2], [2, 4]).tolist() == 2.5
