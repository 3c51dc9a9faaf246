"""Training with products in bf16: close to float32, exact to take up again, and float32 in all that is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.unit.train_loop.long import CELLS, OBJECTIVE, sequences, tagger

from ostinato import Generate, Sequential
from ostinato.cells import CELLS as ALL
from ostinato.errors import ArgumentError, CheckpointMismatch
from ostinato.layers import LSTM, Conv1D, Dense, Layer, Stack
from ostinato.maps import dense
from ostinato.scans.recurrent import Recurrent
from ostinato.tasks.training import Training
from ostinato.train import LBFGS, Adam, Arrays, Callback, Checkpoint, Order, Streams, course, measure, train
from ostinato.train.resume import settings_of

EPSILON = 2.0**-8
"""Half the distance of bf16 numbers near 1."""


def gradient(stack, x, target, precision):
    stack.precision = precision
    for p in stack.parameters():
        p.grad = None
    y = stack.train().run(x)[0]
    assert y.dtype is torch.float32
    ((y - target) ** 2).mean().backward()
    assert all(p.grad.dtype is torch.float32 for p in stack.parameters())
    return y.detach(), torch.cat([p.grad.reshape(-1) for p in stack.parameters()])


@pytest.mark.parametrize("cell", ALL.values(), ids=ALL)
def test_outputs_and_gradients_are_those_of_float32_but_for_rounding(cell):
    layers = [dense.Dense(24, "tanh"), Recurrent(cell(16), return_sequences=True), dense.Dense(8)]
    stack = Stack([Layer(part) for part in layers], seed=1)
    stack.build((None, 6))
    draw = torch.Generator().manual_seed(0)
    x, target = torch.randn(12, 10, 6, generator=draw), torch.randn(12, 10, 8, generator=draw)
    wide, rough = gradient(stack, x, target, "float32"), gradient(stack, x, target, "bf16")
    for a, b in zip(wide, rough, strict=True):
        assert 1e-5 < float((a - b).norm() / a.norm()) < 16 * EPSILON  # layer norm divides by small spreads
    assert torch.equal(stack.eval().run(x)[0], _plain(stack, x))


def _plain(stack, x):
    stack.precision = "float32"
    return stack.eval().run(x)[0]


class Crash(Exception):
    """As if the process had been killed."""


class At(Callback):
    lasting = False

    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise Crash


def run(folder=None, *, crash=None, precision="bf16", memory="truncate"):
    """Carried states, dropout, a cell of the user's own."""
    stack = tagger(CELLS["own"], rate=0.2, seed=3)
    stack.precision = precision
    feed, sweep = course(stack, Streams(*sequences(9, 5, 14, 3, 7), 3, seed=1), None, bptt=4, memory=memory)
    options = {"objective": OBJECTIVE, "optimizer": Adam(0.01), "epochs": range(3), "sweep": sweep}
    callbacks = [] if crash is None else [At(crash)]
    if folder is None:
        history = train(stack, feed, callbacks=callbacks, **options)
    else:
        with Checkpoint(folder, settings_of(stack, feed, **options), every=0.0) as saved:
            history = train(stack, feed, part=saved.part("net"), callbacks=callbacks, **options)
    return np.concatenate([w.reshape(-1) for w in stack.get_weights()]).tobytes(), history.history


def test_a_run_goes_on_to_the_last_bit(tmp_path):
    wanted = run()
    assert run() == wanted != run(precision="float32")
    for step in (2, 5, 8):
        with pytest.raises(Crash):
            run(tmp_path / str(step), crash=step)
        with pytest.raises(CheckpointMismatch, match="precision"):
            run(tmp_path / str(step), precision="float32")
        assert run(tmp_path / str(step)) == wanted
    assert run(memory="store") == run(memory="recompute")


def test_what_is_measured_is_what_the_saved_model_gives():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(20, 6, 2)).astype(np.float32))
    samples = Arrays(x, x.cumsum(1))
    stack = tagger(CELLS["lstm"], last=True)
    stack.precision = "bf16"
    history = train(stack, samples, objective=OBJECTIVE, optimizer=Adam(0.01), order=Order(0, 5), epochs=range(4),
                    valid=samples).history  # fmt: skip
    stack.precision = "float32"
    assert history["val_loss"][-1] == measure(stack, samples, OBJECTIVE, 5)["loss"]
    assert history["loss"][-1] < history["loss"][0]
    assert all(p.dtype is torch.float32 for p in stack.parameters())


def test_layers_whose_products_have_no_bias_stay_on_the_fast_kernels():
    x = np.random.default_rng(0).normal(size=(16, 12, 3)).astype(np.float32)
    model = Sequential([Conv1D(8, 3, input_shape=(12, 3)), LSTM(6), Dense(1, use_bias=False)], seed=0)
    model.precision = "bf16"
    model.compile("adam", "mse")
    losses = model.fit(x, x.sum((1, 2))[:, None], epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_tasks_take_it():
    made = [
        Generate(units=12, training=Training(epochs=2, bptt=32, precision=p)).fit(Generate.sample())
        for p in ("bf16", "float32", "bf16")
    ]
    nats = [model.evaluation_.scores[0].nats for model in made]
    assert nats[0] == nats[2] != nats[1]
    assert nats[0] == pytest.approx(nats[1], rel=0.02)


def test_what_cannot_be_is_refused():
    for wrong in ("float16", None, 16):
        with pytest.raises(ArgumentError, match="precision must be"):
            Training(precision=wrong).check()
    stack = tagger()
    stack.precision = "half"
    with pytest.raises(ArgumentError, match="precision must be"):
        stack.run(torch.zeros(1, 2, 2))
    stack.precision = "bf16"
    x, y = sequences(4)
    with pytest.raises(ArgumentError, match="exact products"):
        train(stack, Streams(x, y, 1), objective=OBJECTIVE, optimizer=LBFGS(), epochs=range(1))
