"""Every optimiser takes the steps that torch.optim takes, to rounding."""

from __future__ import annotations

import pytest
import torch
from tests.laws.tolerance import same
from torch import nn

from ostinato.errors import ArgumentError
from ostinato.train import OPTIMIZERS, SGD, Adam, AdamW, RMSprop
from ostinato.train.flat import Flat
from ostinato.train.optimisers import optimizer


def _weights():
    generator = torch.Generator().manual_seed(2)
    shapes = ((3, 4), (4,), (2, 2, 2))
    return [nn.Parameter(torch.randn(s, generator=generator, dtype=torch.float64)) for s in shapes]


def _loss(weights, t):
    return sum(((w - 0.1 * t) ** 2 * (k + 1)).sum() + w.sin().sum() for k, w in enumerate(weights))


class _RMSpropInside(torch.optim.Optimizer):
    """RMSprop with epsilon inside the root, as Keras has it; torch adds it outside."""

    def __init__(self, weights, lr, rho, momentum, eps):
        super().__init__(weights, {"lr": lr, "rho": rho, "momentum": momentum, "eps": eps})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                s = self.state[w]
                s["v"] = group["rho"] * s.get("v", 0.0) + (1 - group["rho"]) * w.grad**2
                s["m"] = group["momentum"] * s.get("m", 0.0) + w.grad / (s["v"] + group["eps"]) ** 0.5
                w -= group["lr"] * s["m"]


CASES = {
    "sgd": (SGD(0.05), lambda w: torch.optim.SGD(w, 0.05)),
    "momentum": (SGD(0.05, 0.9), lambda w: torch.optim.SGD(w, 0.05, momentum=0.9)),
    "nesterov": (SGD(0.05, 0.9, nesterov=True), lambda w: torch.optim.SGD(w, 0.05, momentum=0.9, nesterov=True)),
    "adam": (Adam(0.02), lambda w: torch.optim.Adam(w, 0.02, eps=1e-7)),
    "adam, other betas": (
        Adam(0.02, 0.5, 0.7, epsilon=1e-3),
        lambda w: torch.optim.Adam(w, 0.02, betas=(0.5, 0.7), eps=1e-3),
    ),
    "adamw": (AdamW(0.02, 0.1), lambda w: torch.optim.AdamW(w, 0.02, weight_decay=0.1, eps=1e-7)),
    "adam with decay is adamw": (
        Adam(0.02, weight_decay=0.1),
        lambda w: torch.optim.AdamW(w, 0.02, weight_decay=0.1, eps=1e-7),
    ),
    "rmsprop": (RMSprop(0.02), lambda w: _RMSpropInside(w, 0.02, 0.9, 0.0, 1e-7)),
    "rmsprop, tiny epsilon, is torch's": (
        RMSprop(0.02, 0.8, 0.5, epsilon=1e-30),
        lambda w: torch.optim.RMSprop(w, 0.02, alpha=0.8, momentum=0.5, eps=1e-30),
    ),
}


@pytest.mark.parametrize(("ours", "theirs"), CASES.values(), ids=CASES)
def test_steps_are_those_of_torch(ours, theirs):
    ours.iterations, ours.slots = 0, ()
    a, b = _weights(), _weights()
    flat, other = Flat(a), theirs(b)
    ours.bind(flat)
    for t in range(12):
        _loss(a, t).backward()
        ours.step(flat)
        other.zero_grad()
        _loss(b, t).backward()
        other.step()
        for one, two in zip(a, b, strict=True):
            same(one, two, what=f"weight after step {t + 1}")
    assert ours.iterations == 12


def _gradients_after(limits):
    ours = SGD(1.0, **limits)
    weights = _weights()
    before = [w.detach().clone() for w in weights]
    flat = Flat(weights)
    ours.bind(flat)
    (10.0 * _loss(weights, 1)).backward()
    ours.step(flat)
    return [old - new.detach() for old, new in zip(before, weights, strict=True)]


def _raw():
    weights = _weights()
    (10.0 * _loss(weights, 1)).backward()
    return weights


def test_limits_on_gradients_are_those_of_torch():
    weights = _raw()
    nn.utils.clip_grad_value_(weights, 0.5)
    for a, w in zip(_gradients_after({"clipvalue": 0.5}), weights, strict=True):
        same(a, w.grad, what="clipvalue")
    weights = _raw()
    nn.utils.clip_grad_norm_(weights, 0.7)
    for a, w in zip(_gradients_after({"global_clipnorm": 0.7}), weights, strict=True):
        same(a, w.grad, what="global_clipnorm")
    weights = _raw()
    for w in weights:
        nn.utils.clip_grad_norm_([w], 0.7)
    for a, w in zip(_gradients_after({"clipnorm": 0.7}), weights, strict=True):
        same(a, w.grad, what="clipnorm")
    for a, w in zip(_gradients_after({"clipnorm": 1e9, "clipvalue": 1e9}), _raw(), strict=True):
        same(a, w.grad, what="limits that nothing reaches")


def test_gradients_are_zero_after_a_step_and_memory_survives_binding_again():
    ours, weights = Adam(0.1), _weights()
    flat = Flat(weights)
    ours.bind(flat)
    _loss(weights, 0).backward()
    ours.step(flat)
    assert not flat.grad.any()
    slots = ours.slots
    ours.bind(Flat(weights))
    assert ours.slots is slots
    assert ours.iterations == 1
    ours.bind(Flat(weights[:1]))
    assert ours.iterations == 0
    assert not any(s.any() for s in ours.slots)


def test_optimisers_are_found_by_name():
    assert set(OPTIMIZERS) == {"sgd", "adam", "adamw", "rmsprop", "lbfgs", "hessian_free"}
    assert isinstance(optimizer("Adam"), Adam)
    given = SGD()
    assert optimizer(given) is given
    for wrong in ("adagrad", 3, None):
        with pytest.raises(ArgumentError, match="optimizer must be one of"):
            optimizer(wrong)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(-1.0),
        lambda: SGD(float("nan")),
        lambda: SGD(True),
        lambda: SGD(0.1, 1.0),
        lambda: Adam(beta_1=1.0),
        lambda: Adam(clipnorm=0.0),
        lambda: Adam(clipvalue=-1.0),
        lambda: Adam(weight_decay=-0.1),
        lambda: Adam(learning_rat=0.1),
        lambda: RMSprop(rho=1.0),
        lambda: RMSprop(momentum=-0.5),
        lambda: Adam(epsilon=-1.0),
    ],
)
def test_bad_settings_are_refused(make):
    with pytest.raises(ArgumentError):
        make()
