"""The loop against a loop written by hand, and what happens when numbers stop being finite."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.laws.tolerance import exact, same
from tests.unit.train_loop.small import arrays, fit, mean_squared, stack
from torch import nn

from ostinato.errors import NonFiniteLoss
from ostinato.train import SGD, Adam, Arrays, Callback, EarlyStopping, Objective, Order, measure, predict, train
from ostinato.train.flat import Flat
from ostinato.train.history import History


def test_the_loop_is_a_plain_loop():
    model, samples = stack(), arrays()
    twin = stack()
    rule = torch.optim.SGD(twin.parameters(), 0.1)
    losses = []
    for epoch in range(3):
        total = 0.0
        for index in Order(0, 6).epoch(20, epoch):
            rule.zero_grad()
            loss = ((twin(samples.x[index]) - samples.target[index]) ** 2).mean()
            loss.backward()
            rule.step()
            total += float(loss.detach()) * len(index)
        losses.append(total / 20)
    history = fit(model, samples, SGD(0.1), epochs=range(3))
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        same(a, b, what="weights")
    assert history.history["loss"] == pytest.approx(losses, rel=1e-6)
    assert history.epoch == [0, 1, 2]
    assert losses[2] < losses[0]


def test_metrics_are_weighted_over_the_whole_epoch_and_validation_changes_nothing():
    samples, valid = arrays(), arrays(7)

    def error(y, batch, mask):
        return float((y - batch.target).abs().sum()), float(len(y))

    objective = Objective(mean_squared, {"error": error})
    results = []
    for given in (None, valid):
        model = stack()
        history = train(
            model, samples, objective=objective, optimizer=SGD(0.0), order=Order(0, 6), epochs=range(1), valid=given
        )
        results.append(history.history)
    y = predict(model, samples.x, batch_size=20)
    assert results[0]["error"] == pytest.approx([float((y - samples.target).abs().mean())], rel=1e-5)
    assert results[0]["loss"] == pytest.approx([float(((y - samples.target) ** 2).mean())], rel=1e-5)
    assert results[1]["val_loss"] == pytest.approx([measure(model, valid, objective, 3)["loss"]], rel=1e-5)
    assert results[1]["error"] == results[0]["error"]


def _stopped(model, samples, rule, **options):
    good = model.get_weights()
    with pytest.raises(NonFiniteLoss) as caught:
        fit(model, samples, rule, **options)
    assert caught.value.code == "nonfinite_loss"
    assert not model.training
    return good, caught.value


def test_nan_in_the_input_is_named_and_the_weights_come_back():
    samples = arrays()
    samples.x[13, 2, 1] = math.nan
    model = stack()
    good, error = _stopped(model, samples, Adam(0.01))
    step, index = next((k, index) for k, index in enumerate(Order(0, 6).epoch(20, 0), 1) if 13 in index)
    first = ", ".join(map(str, index[:5].tolist()))
    assert error.where == (f"epoch 1, step {step}", "the input", f"samples {first}" + ", …" * (len(index) > 5))
    for a, b in zip(model.get_weights(), good, strict=True):
        exact(a, b, what="weights")


def test_nan_in_the_target_is_named():
    samples = arrays()
    samples.target[3] = math.inf
    _, error = _stopped(stack(), samples, Adam(0.01))
    assert error.where[1] == "the target"


def test_the_weights_of_the_last_good_epoch_come_back():
    kept = {}

    class Keep(Callback):
        def on_epoch_end(self, epoch, logs=None):
            kept[epoch] = self.model.get_weights()

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                rule.learning_rate = 1e30

    model, rule = stack(), SGD(0.05)
    _, error = _stopped(model, arrays(), rule, epochs=range(5), callbacks=[Keep()])
    assert error.where[0].startswith("epoch 3, step ")
    assert error.where[1] == "the loss"  # weights of 1e29 are finite, squares of their outputs are not
    assert set(kept) == {0, 1}
    for a, b in zip(model.get_weights(), kept[1], strict=True):
        exact(a, b, what="weights")


def test_a_nan_weight_is_named_with_its_layer():
    model = stack()
    with torch.no_grad():
        model.layers[1].weights["W"][0, 0] = math.nan
    _, error = _stopped(model, arrays(), SGD(0.05))
    assert error.where[:2] == ("epoch 1, step 1", "layer 2 (middle), weight W")
    assert "learning rate" in str(error)


def test_training_can_go_on_after_it_stopped_with_the_same_optimiser():
    samples = arrays()
    spoiled = Arrays(samples.x, samples.target.clone())
    spoiled.target[:] = 1e25  # the loss overflows in float32
    model, rule = stack(), Adam(0.01)
    fit(model, samples, rule, epochs=range(1))
    _stopped(model, spoiled, rule, epochs=range(1, 2))

    def steep(y, batch, mask):  # a finite loss with an infinite gradient
        return (y * 0.0).sum() + (y.sum() - y.sum().detach()).abs().sqrt(), 1.0

    with pytest.raises(NonFiniteLoss):
        train(model, samples, objective=Objective(steep), optimizer=rule, order=Order(0, 6), epochs=range(1))
    history = fit(model, samples, rule, epochs=range(1, 6))
    assert all(math.isfinite(v) for v in history.history["loss"])
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_flat_keeps_views():
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    module[1].bias.requires_grad_(requires_grad=False)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    flat = Flat(module.parameters())
    assert flat.data.shape == (3 * 2 + 2 + 4,)
    for name, p in module.named_parameters():
        exact(p, before[name], what=name)
    module(torch.ones(1, 3)).sum().backward()
    assert float(flat.grad.abs().sum()) == pytest.approx(
        sum(float(p.grad.abs().sum()) for p in module.parameters() if p.requires_grad), rel=1e-5
    )
    kept = flat.copy()
    flat.data.zero_()
    assert all(not p.any() for p in module.parameters() if p.requires_grad)
    exact(module[1].bias, before["1.bias"], what="a weight that is not trained")
    flat.restore(kept)
    for name, p in module.named_parameters():
        exact(p, before[name], what=name)
    assert flat.finite()
    module[0].weight.data[0, 0] = math.nan
    assert not flat.finite()
    again = Flat(module.parameters())
    assert again.data.data_ptr() != flat.data.data_ptr()
    assert module[0].weight.data_ptr() == again.data.data_ptr()


def test_flat_takes_shared_weights_once_and_nothing():
    one = nn.Linear(2, 2, bias=False)
    other = nn.Linear(2, 2, bias=False)
    other.weight = one.weight
    assert Flat([one.weight, other.weight]).data.shape == (4,)
    empty = Flat([])
    assert empty.data.shape == (0,)
    assert empty.finite()


def test_early_stopping_ends_and_brings_the_best_weights_back():
    kept = []

    class Keep(Callback):
        def on_epoch_end(self, epoch, logs=None):
            kept.append(self.model.get_weights())
            rule.learning_rate = 0.05 if epoch < 2 else -0.3  # uphill from the fourth epoch on

    model, rule = stack(), SGD(0.05)
    early = EarlyStopping("loss", patience=2, restore_best_weights=True)
    history = fit(model, arrays(), rule, epochs=range(30), callbacks=[Keep(), early])
    losses = history.history["loss"]
    best = int(np.argmin(losses))
    assert early.best_epoch == history.best("loss") == best
    assert len(losses) == best + 3 < 30
    assert early.stopped_epoch == best + 2
    for a, b in zip(model.get_weights(), kept[best], strict=True):
        exact(a, b, what="best weights")


def test_hooks_are_called_in_order():
    calls = []

    class Watch(Callback):
        def on_train_begin(self, logs=None):
            calls.append("begin")

        def on_epoch_begin(self, epoch, logs=None):
            calls.append(f"epoch {epoch}")

        def on_train_batch_begin(self, batch, logs=None):
            calls.append(f"step {batch}")

        def on_train_batch_end(self, batch, logs=None):
            assert math.isfinite(logs["loss"])
            calls.append(f"end {batch}")

        def on_epoch_end(self, epoch, logs=None):
            assert set(logs) == {"loss"}
            calls.append(f"done {epoch}")

        def on_train_end(self, logs=None):
            calls.append("over")

    watch = Watch()
    fit(stack(), arrays(12), SGD(0.1), epochs=range(3, 5), callbacks=[watch])
    steps = ["step 0", "end 0", "step 1", "end 1"]
    assert calls == ["begin", "epoch 3", *steps, "done 3", "epoch 4", *steps, "done 4", "over"]
    assert watch.params["steps"] == 2


def test_history_finds_the_best_epoch():
    history = History()
    for epoch, value in enumerate((3.0, 1.0, 2.0)):
        history.add(epoch + 4, {"val_loss": value, "loss": -value})
    assert history.best() == 5
    assert history.best("loss") == 4
