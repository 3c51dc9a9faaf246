"""Schedules against torch's and plain formulas, in optimisers, and in files."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
import torch
from tests.unit.train_loop.small import arrays, fit, stack

from ostinato import Sequential, load_model
from ostinato.errors import ArgumentError
from ostinato.layers import Dense
from ostinato.train import (
    SGD,
    Adam,
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    LambdaCallback,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
    ReduceLROnPlateau,
    Schedule,
    WarmUp,
)
from ostinato.train.flat import Flat
from ostinato.train.schedules import SCHEDULES, from_settings, to_settings

EXAMPLES = [
    CosineDecay(0.1, 20), CosineDecay(0.0, 20, 0.1, warmup_target=0.2, warmup_steps=5), ExponentialDecay(0.1, 7, 0.5),
    ExponentialDecay(0.1, 7, 0.5, staircase=True), InverseTimeDecay(0.1, 5, 0.3), OneCycle(0.1, 30),
    PiecewiseConstantDecay([3, 9], [0.1, 0.01, 0.001]), PolynomialDecay(0.1, 20, power=2.0),
    PolynomialDecay(0.1, 8, cycle=True), WarmUp(0.1, 6), WarmUp(OneCycle(0.2, 20, 0.4), 4, start=0.5),
]  # fmt: skip


def _torch(make, n, lr):
    rule = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr)
    schedule = make(rule)
    rates = []
    for _ in range(n):
        rates.append(rule.param_groups[0]["lr"])
        rule.step()
        schedule.step()
    return rates


L = torch.optim.lr_scheduler


@pytest.mark.parametrize(
    ("ours", "theirs", "lr"),
    [
        (CosineDecay(0.1, 20, 0.1), lambda r: L.CosineAnnealingLR(r, 20, eta_min=0.01), 0.1),
        (ExponentialDecay(0.1, 1, 0.9), lambda r: L.ExponentialLR(r, 0.9), 0.1),
        (ExponentialDecay(0.1, 7, 0.5, staircase=True), lambda r: L.StepLR(r, 7, 0.5), 0.1),
        (PolynomialDecay(0.1, 20, 0.0, power=2.0), lambda r: L.PolynomialLR(r, 20, 2.0), 0.1),
        (OneCycle(0.1, 21), lambda r: L.OneCycleLR(r, 0.1, total_steps=21, cycle_momentum=False), 0.1),
        (OneCycle(0.3, 21, 0.5, 10.0, 100.0),
         lambda r: L.OneCycleLR(r, 0.3, total_steps=21, pct_start=0.5, div_factor=10.0, final_div_factor=100.0,
                                cycle_momentum=False), 0.1),
        (WarmUp(0.1, 8, start=0.25), lambda r: L.LinearLR(r, 0.25, 1.0, 8), 0.1),
    ],
)  # fmt: skip
def test_rates_are_those_of_torch(ours, theirs, lr):
    np.testing.assert_allclose([ours(k) for k in range(20)], _torch(theirs, 20, lr), rtol=1e-9, atol=1e-14)


def test_rates_are_those_of_the_plain_formulas():
    cosine = CosineDecay(0.0, 20, 0.1, warmup_target=0.2, warmup_steps=5)
    assert [cosine(k) for k in range(5)] == pytest.approx([0.0, 0.04, 0.08, 0.12, 0.16])
    assert cosine(5) == 0.2
    assert cosine(15) == pytest.approx(0.2 * 0.55)
    assert cosine(25) == cosine(900) == pytest.approx(0.02)
    assert InverseTimeDecay(0.1, 5, 0.3)(10) == pytest.approx(0.1 / 1.6)
    assert InverseTimeDecay(0.1, 5, 0.3, staircase=True)(9) == pytest.approx(0.1 / 1.3)
    pieces = PiecewiseConstantDecay([3, 9], [0.1, 0.01, 0.001])
    assert [pieces(k) for k in (0, 3, 4, 9, 10)] == [0.1, 0.1, 0.01, 0.01, 0.001]
    assert PolynomialDecay(0.1, 8, 0.0, cycle=True)(12) == pytest.approx(0.1 * 0.25)
    assert PolynomialDecay(0.1, 8, 0.02)(99) == 0.02
    assert OneCycle(0.1, 30)(1000) == pytest.approx(0.1 / 25 / 1e4)
    nested = WarmUp(ExponentialDecay(0.1, 1, 0.5), 4)
    assert [nested(k) for k in (0, 2, 4, 5)] == pytest.approx([0.0, 0.05, 0.1, 0.05])


def test_every_schedule_has_an_example_and_survives_a_file(tmp_path):
    assert {type(e) for e in EXAMPLES} == set(SCHEDULES.values())
    for schedule in EXAMPLES:
        assert from_settings(to_settings(schedule)) == schedule
        model = Sequential([Dense(1, input_shape=(2,))], seed=0)
        model.compile(Adam(schedule, clipnorm=1.0, gradient_accumulation_steps=2), "mse")
        model.save(tmp_path / "m")
        again = load_model(tmp_path / "m").optimizer
        assert again.schedule == schedule
        assert (again.clipnorm, again.gradient_accumulation_steps) == (1.0, 2)


class Own(Schedule):
    """A schedule of somebody's own."""

    def __call__(self, step):
        return 0.1 / (1 + step)


def test_a_schedule_of_ones_own_works_and_is_not_saved(tmp_path):
    model = Sequential([Dense(1, input_shape=(2,))], seed=0)
    model.compile(SGD(Own()), "mse")
    x = np.ones((6, 2), np.float32)
    model.fit(x, x[:, :1], batch_size=2, epochs=2, verbose=0)
    assert model.optimizer.learning_rate == pytest.approx(0.1 / 7)
    model.save(tmp_path / "m")
    assert load_model(tmp_path / "m").optimizer is None
    model.compile(SGD(WarmUp(Own(), 3)), "mse")
    model.save(tmp_path / "m")
    assert load_model(tmp_path / "m").optimizer is None


@pytest.mark.parametrize("accumulate", [None, 2])
def test_steps_count_batches_over_all_epochs(accumulate):
    seen = []
    rule = SGD(OneCycle(0.05, 8), gradient_accumulation_steps=accumulate)
    watch = LambdaCallback(on_train_batch_begin=lambda batch, logs: seen.append(rule.learning_rate))
    fit(stack(), arrays(), rule, epochs=range(1), callbacks=[watch])
    fit(watch.model, arrays(), rule, epochs=range(1, 2), callbacks=[watch])
    assert seen == [OneCycle(0.05, 8)(k) for k in range(8)]


def test_the_step_takes_the_rate_of_its_own_batch():
    weights = [torch.nn.Parameter(torch.zeros(1))]
    flat, rule = Flat(weights), SGD(PiecewiseConstantDecay([0, 1], [1.0, 10.0, 100.0]), gradient_accumulation_steps=2)
    rule.bind(flat)
    for _ in range(2):
        flat.grad.fill_(1.0)
        rule.step(flat)
    assert weights[0].item() == -10.0


def test_a_schedule_is_not_overruled():
    model = stack()
    rule = SGD(ExponentialDecay(0.1, 5, 0.5))
    with pytest.raises(ArgumentError, match="schedule"):
        rule.learning_rate = 0.5
    with pytest.raises(ArgumentError, match="schedule"):
        fit(model, arrays(), rule, epochs=range(4),
            callbacks=[ReduceLROnPlateau("loss", patience=1, min_delta=1e9)])  # fmt: skip
    rule.learning_rate = OneCycle(0.1, 5)
    assert rule.schedule == OneCycle(0.1, 5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CosineDecay(0.1, 0), lambda: CosineDecay(-0.1, 5), lambda: CosineDecay(0.1, 5, warmup_steps=-1),
        lambda: ExponentialDecay(0.1, 1.5, 0.5), lambda: PiecewiseConstantDecay([3, 2], [1, 2, 3]),
        lambda: PiecewiseConstantDecay([3], [0.1]), lambda: OneCycle(0.1, 1), lambda: OneCycle(0.1, 9, 1.5),
        lambda: OneCycle(math.nan, 9), lambda: WarmUp(WarmUp(0.1, 2), 2), lambda: WarmUp("0.1", 2),
        lambda: from_settings({"": "exec"}), lambda: from_settings({"": "one_cycle"}), lambda: from_settings({}),
        lambda: from_settings({"": 0.1, "x": 2}), lambda: SGD("0.1"),
        lambda: from_settings({"": "warm_up", "warmup_steps": 1, "start": 0.0, "learning_rate": "one_cycle"}),
    ],
)  # fmt: skip
def test_bad_settings_are_refused(make):
    with pytest.raises(ArgumentError):
        make()


def test_schedules_are_data():
    for cls in SCHEDULES.values():
        assert fields(cls)
        assert cls.__dataclass_params__.frozen
