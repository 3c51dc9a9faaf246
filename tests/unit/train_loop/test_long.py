"""What windows along time refuse, what a closure sees, and how much memory a million steps take."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from tests.laws.tolerance import exact
from tests.unit.train_loop.long import LSTM, OBJECTIVE, sequences, tagger

from ostinato.errors import ArgumentError, DataError, ShapeError
from ostinato.layers import Layer, Stack
from ostinato.maps.conv1d import Conv1D
from ostinato.maps.dense import Dense
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent
from ostinato.train import SGD, Adam, Arrays, Order, Streams, Windowed, course, measure, train


def _stack(*parts):
    made = Stack([Layer(part, name=f"l{i}") for i, part in enumerate(parts)])
    made.build((None, 2))
    return made


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ((Bidirectional(Recurrent(LSTM(2), return_sequences=True)), Dense(2)), "layer 1 (l0)"),
        ((Recurrent(LSTM(2), return_sequences=True, reverse=True), Dense(2)), "layer 1 (l0)"),
        ((Recurrent(LSTM(2), return_sequences=True), Conv1D(2, 3), Dense(2)), "layer 2 (l1)"),
        ((Dense(2),), "no recurrent layer"),
    ],
)
def test_layers_that_need_the_whole_sequence_are_named(parts, named):
    x, y = sequences(12)
    model = _stack(*parts)
    for call in (
        lambda: train(model, Streams(x, y, 1, bptt=4), objective=OBJECTIVE, optimizer=SGD(), epochs=range(1)),
        lambda: measure(model, Streams(x, y, 1, bptt=4), OBJECTIVE),
        lambda: train(model, Arrays(x[0][None], y[0][None]), objective=OBJECTIVE, optimizer=SGD(), order=Order(0, 1),
                      epochs=range(1), sweep=Windowed(4)),
    ):  # fmt: skip
        with pytest.raises(ArgumentError, match="layers that run forward") as caught:
            call()
        assert named in str(caught.value)


def test_streams_refuse_what_they_cannot_lay_out():
    x, y = sequences(5, 7)
    for bad in ((x, y[:1]), (x, y[::-1]), ([], []), ([x[0][:0]], [y[0][:0]])):
        with pytest.raises(DataError):
            Streams(*bad, 2)
    with pytest.raises(DataError, match="6 rows"):
        Streams(x[:1], y[:1], 6)
    for options in ({"batch_size": 0}, {"batch_size": 2, "bptt": 0}, {"batch_size": True}):
        with pytest.raises(ArgumentError):
            Streams(x, y, **options)


def test_targets_without_a_time_axis_are_refused():
    x = torch.zeros(3, 8, 2)
    with pytest.raises(ShapeError, match="one value per step"):
        train(tagger(), Arrays(x, torch.zeros(3, 2)), objective=OBJECTIVE, optimizer=SGD(), order=Order(0, 3),
              epochs=range(1), sweep=Windowed(4))  # fmt: skip


def test_a_feed_has_its_own_order_and_samples_have_none():
    x, y = sequences(12)
    for data, order in ((Streams(x, y, 1, bptt=4), Order(0, 1)), (Arrays(x[0][None], y[0][None]), None)):
        with pytest.raises(ArgumentError, match="order must be given"):
            train(tagger(), data, objective=OBJECTIVE, optimizer=SGD(), order=order, epochs=range(1))
    with pytest.raises(ArgumentError, match="memory must be"):
        course(tagger(), Streams(x, y, 1), None, bptt=4, memory="most")


def test_a_closure_finds_the_same_loss_and_gradient_again():
    seen = []

    class Twice(SGD):
        closures = True

        def step(self, flat, closure=None):
            kept = flat.grad.clone()
            seen.append(closure.gradient())
            exact(flat.grad, kept, what="gradients")
            super().step(flat)

    x, y = sequences(23, 9)
    for feed in (Streams(x, y, 2, bptt=4), Streams(x, y, 2)):
        seen.clear()
        plain, twice = tagger(rate=0.3), tagger(rate=0.3)
        for model, rule in ((plain, SGD(0.1)), (twice, Twice(0.1))):
            train(model, feed, objective=OBJECTIVE, optimizer=rule, epochs=range(2))
        assert len(seen) == sum(feed.steps(e) for e in range(2))
        for a, b in zip(plain.get_weights(), twice.get_weights(), strict=True):
            exact(a, b, what="weights")
    with pytest.raises(ArgumentError, match="at once"):
        train(tagger(), feed, objective=OBJECTIVE, optimizer=Twice(), epochs=range(1), sweep=Windowed(2))


def test_a_loss_that_is_not_finite_is_named_in_the_middle_of_a_stream():
    x, y = sequences(23)
    y[0][13] = torch.inf
    with pytest.raises(ArithmeticError, match=r"epoch 1, step 4; the target; samples 0\."):
        train(tagger(), Streams(x, y, 1, bptt=4, shuffle=False), objective=OBJECTIVE, optimizer=Adam(), epochs=range(1))


_MILLION = """
import torch
from ostinato.cells.lstm import LSTM
from ostinato.layers import Layer, Stack
from ostinato.maps.dense import Dense
from ostinato.scans.recurrent import Recurrent
from ostinato.train import Adam, Objective, Streams, course, train
stack = Stack([Layer(Recurrent(LSTM(16), return_sequences=True)), Layer(Dense(1))])
stack.build((None, 4))
x = torch.randn(1_000_000, 4, generator=torch.Generator().manual_seed(0))
objective = Objective(lambda y, batch, mask: (((y - batch.target) ** 2).mean(), float(y.numel())))
feed, sweep = course(stack, Streams([x], [x[:, :1].roll(1, 0)], 1), None, bptt=%d, memory=%r)
history = train(stack, feed, objective=objective, optimizer=Adam(), epochs=range(1), sweep=sweep)
assert feed.steps(0) == %d
assert history.history["loss"][0] < 2.0
status = dict(line.split(":") for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) / 1024)  # ru_maxrss would count the process that started this one, too
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads Linux's /proc")
@pytest.mark.parametrize(("memory", "steps"), [("truncate", 1000), ("recompute", 1)])
def test_a_million_steps_train_in_a_gigabyte(memory, steps):
    code = _MILLION % (1000, memory, steps)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) < 1000.0
