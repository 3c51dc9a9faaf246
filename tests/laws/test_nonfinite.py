"""A loss or gradient that is not finite stops training at its step, with its origin, and good weights come back."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ostinato.cells import CELLS
from ostinato.errors import NonFiniteLoss
from ostinato.layers import Layer, Stack
from ostinato.maps.dense import Dense
from ostinato.scans.recurrent import Recurrent
from ostinato.train import OPTIMIZERS, Adam, Arrays, Callback, Objective, Order, course, train

ROWS, BATCH, TIME = 10, 4, 6
BAD_EPOCH, BAD_STEP = 1, 1
each_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)


class Spoil(Callback):
    """Does something before an epoch (to data, of which steps get copies) or before a step; keeps good weights."""

    def __init__(self, deed, *, step):
        super().__init__()
        self.deed, self.step, self.epoch, self.steps = deed, step, 0, []
        self.good = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if self.step is None and epoch == BAD_EPOCH:
            self.deed()

    def on_train_batch_begin(self, batch, logs=None):
        self.steps.append((self.epoch, batch))
        if (self.epoch, batch) == (BAD_EPOCH, self.step):
            self.deed()

    def on_epoch_end(self, epoch, logs=None):
        self.good.append([p.detach().clone() for p in self.model.parameters()])


class Case:
    """A small model, its data, and what is spoiled."""

    def __init__(self, cell):
        rng = np.random.default_rng(3)
        self.x = torch.from_numpy(rng.normal(size=(ROWS, TIME, 2)).astype(np.float32))
        self.target = torch.from_numpy(rng.normal(size=(ROWS, TIME, 1)).astype(np.float32))
        layers = [Recurrent(cell(3), return_sequences=True), Recurrent(cell(4), return_sequences=True), Dense(1)]
        self.stack = Stack([Layer(part, name=name) for part, name in zip(layers, ("a", "b", "c"), strict=True)])
        self.stack.build((TIME, 2))
        self.order = Order(5, BATCH)
        self.rows = list(self.order.epoch(ROWS, BAD_EPOCH))[BAD_STEP].tolist()
        self.factor, self.root = 1.0, False

    def spoil(self, what):
        """Put NaN or infinity into one place; returns what the error must name."""
        if what == "input":
            self.x[self.rows[-1], TIME - 1, 0] = math.inf
            return "the input"
        if what == "target":
            self.target[self.rows[0], 0] = math.nan
            return "the target"
        if what == "loss":
            self.factor = math.nan
            return "the loss"
        if what == "gradient":
            self.root = True
            return "layer 1 (a), gradient of W"
        layer = self.stack.layers[1]
        key = next(iter(layer.weights))
        with torch.no_grad():
            layer.weights[key].view(-1)[0] = math.nan
        return f"layer 2 (b), weight {key}"

    def loss(self, y, batch, mask):
        squares = (y - batch.target) ** 2
        if self.root:  # the slope of a root at 0
            squares = squares + (squares * 0.0).sqrt()
        return squares.mean() * self.factor, float(len(y))

    def run(self, optimizer, what, *, bptt=0, memory="truncate", step=BAD_STEP):
        """Train until it stops; returns the error, what it must name, and the callback."""
        named = []
        spoil = Spoil(lambda: named.append(self.spoil(what)), step=None if what in ("input", "target") else step)
        to = course(self.stack, Arrays(self.x, self.target), self.order, bptt=bptt, memory=memory)
        options = {"objective": Objective(self.loss), "optimizer": optimizer, "sweep": to.sweep}
        with pytest.raises(NonFiniteLoss) as caught:
            train(self.stack, to.feed, epochs=range(3), callbacks=[spoil], **options)
        return caught.value, named[0], spoil


def check(case, error, named, spoil, *, step=BAD_STEP):
    assert spoil.steps[-1] == (BAD_EPOCH, step), "training went on"
    place, layer, samples = error.where
    assert place == f"epoch {BAD_EPOCH + 1}, step {step + 1}"
    assert layer == named
    assert samples == f"samples {', '.join(map(str, case.rows))}"
    assert len(spoil.good) == BAD_EPOCH
    for now, good in zip(case.stack.parameters(), spoil.good[-1], strict=True):
        assert torch.equal(now, good)
    assert all(not p.grad.any() for p in case.stack.parameters())


PAIRS = [(cell, "adam") for cell in CELLS] + [("lstm", name) for name in OPTIMIZERS if name != "adam"]


@pytest.mark.parametrize(("kind", "name"), PAIRS, ids=lambda x: x)
@pytest.mark.parametrize("what", ["input", "weight", "target", "loss", "gradient"])
def test_training_stops_at_the_step_and_says_where(kind, name, what):
    case = Case(CELLS[kind])
    optimizer = OPTIMIZERS[name](0.01)
    check(case, *case.run(optimizer, what))
    assert not optimizer.slots
    assert optimizer.iterations == 0


@each_cell
@pytest.mark.parametrize("what", ["input", "weight", "gradient"])
@pytest.mark.parametrize(("memory", "windows"), [("truncate", 2), ("store", 1), ("recompute", 1)])
def test_in_windows_too(cell, what, memory, windows):
    case = Case(cell)
    step = BAD_STEP * windows + (windows - 1 if what == "input" else 0)  # the infinite input is in the last window
    given = BAD_STEP * windows
    error, named, spoil = case.run(Adam(0.01), what, bptt=4, memory=memory, step=given)
    check(case, error, named, spoil, step=step)


@each_cell
def test_a_weight_that_is_lost_in_the_last_step_of_an_epoch_is_noticed(cell):
    case = Case(cell)

    class Last(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.noise.step == 5:  # the last of the second epoch, after its update
                with torch.no_grad():
                    self.model.layers[2].weights["W"].view(-1)[0] = math.inf

    good = []
    train_once = {"objective": Objective(case.loss), "optimizer": Adam(0.01), "order": case.order}
    train(case.stack, Arrays(case.x, case.target), epochs=range(1), **train_once)
    good = [p.detach().clone() for p in case.stack.parameters()]
    with pytest.raises(NonFiniteLoss) as caught:
        train(case.stack, Arrays(case.x, case.target), epochs=range(1, 3), callbacks=[Last()], **train_once)
    assert caught.value.where[0] == "epoch 2, step 3"
    assert caught.value.where[1] == "layer 3 (c), weight W"
    for now, kept in zip(case.stack.parameters(), good, strict=True):
        assert torch.equal(now, kept)
