"""The runs that are killed: ten configurations, each a function of the checkpoint's folder that gives digests.

They are of one to three seconds, most of them asleep after each step, and are saved every twentieth of a second or so.
"""

from __future__ import annotations

import hashlib
import random
import time
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from tests.unit.train_loop.long import CELLS, OBJECTIVE, sequences, tagger
from torch.utils.data import DataLoader, Dataset

from ostinato import Forecast, Generate, Sequential
from ostinato.layers import GRU, LSTM, Dense, Dropout, Embedding
from ostinato.tasks.training import Training
from ostinato.train import (
    LBFGS,
    SGD,
    Adam,
    Arrays,
    Batch,
    Batches,
    Callback,
    Checkpoint,
    CosineDecay,
    EarlyStopping,
    Feed,
    HessianFree,
    Order,
    Piece,
    ReduceLROnPlateau,
    RMSprop,
    Streams,
    WarmUp,
    Whole,
    course,
    curvature,
    predict,
    train,
)
from ostinato.train.distributed import team
from ostinato.train.resume import settings_of

curvature._prepare()  # what Hessian-free would load in each forked process for a second
EVERY = 0.02


class Slow(Callback):
    """Takes its time after each step, and draws from the generators of the process, as a user's callback may."""

    def __init__(self, pause=0.002):
        super().__init__()
        self._pause, self.drawn = pause, 0.0

    def state(self):
        return {"drawn": self.drawn}

    def load_state(self, state):
        self.drawn = state["drawn"]

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(self._pause)
        self.drawn += random.random() + float(np.random.rand()) + float(torch.rand(()))


class Digests(NamedTuple):
    """What must be the same; each is a SHA-256."""

    weights: str
    history: str
    predictions: str


def digest(*values):
    """SHA-256 of arrays, and of other things by their text."""
    found = hashlib.sha256()
    for value in values:
        found.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return found.hexdigest()


def seed_generators():
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)


def numbers(n):
    x = np.random.default_rng(0).normal(size=(n, 12, 3)).astype(np.float32)
    return x, x.sum((1, 2))[:, None] / 6.0


def fitted(model, x, y, slow, **options):
    """Train a model of the Keras face."""
    history = model.fit(x, y, 16, verbose=0, every=EVERY, **options)
    model.reset_states()
    return Digests(
        digest(*model.get_weights()), digest(history.epoch, history.history, slow.drawn), digest(model.predict(x[:16]))
    )


def early_stopping(folder):
    """GRU, dropout, shuffling, a rate that falls on a plateau, and an early stop."""
    x, y = numbers(96)
    layers = [GRU(8, dropout=0.2, recurrent_dropout=0.2, input_shape=(12, 3)), Dropout(0.2), Dense(1)]
    model, slow = Sequential(layers, seed=5), Slow()
    model.compile(Adam(0.01), "mse", metrics=["mae"])
    stopping = EarlyStopping(patience=16, restore_best_weights=True)
    found = fitted(model, x, y, slow, epochs=400, callbacks=[slow, stopping, ReduceLROnPlateau(patience=8)],
                   validation_data=(x[:32] + 0.1, y[:32]), checkpoint=folder)  # fmt: skip
    assert 0 < stopping.stopped_epoch < 399
    return found


def stateful(folder):
    """An LSTM whose states go on from batch to batch."""
    x, y = numbers(96)
    model, slow = Sequential([LSTM(8, stateful=True, batch_input_shape=(16, 12, 3)), Dense(1)], seed=5), Slow()
    model.compile(SGD(WarmUp(CosineDecay(0.05, 360), 40), momentum=0.9), "mse")
    return fitted(model, x, y, slow, epochs=60, callbacks=[slow], shuffle=False, checkpoint=folder)


def classifier(folder):
    """Products in bf16, sequences of different lengths, class weights, averaged weights."""
    rng = np.random.default_rng(0)
    x = [rng.integers(1, 12, size=n) for n in rng.integers(3, 12, size=96)]
    y = np.array([int(line.max()) % 3 for line in x])
    layers = [Embedding(12, 16, input_shape=(12,)), LSTM(8), Dropout(0.2), Dense(16, activation="relu"),
              Dense(3, activation="softmax")]  # fmt: skip
    model, slow = Sequential(layers, seed=5), Slow()
    model.precision = "bf16"
    model.compile(RMSprop(0.005, use_ema=True, ema_momentum=0.9), "sparse_categorical_crossentropy", ["accuracy"])
    return fitted(model, x, y, slow, epochs=60, callbacks=[slow], class_weight={0: 1.0, 1: 2.0, 2: 0.5},
                  validation_split=0.25, checkpoint=folder)  # fmt: skip


def trained(model, feed, folder, *, slow, together=None, **options):
    """Train by the loop itself."""
    options = {"sweep": Whole(), **options}
    options |= {"objective": OBJECTIVE, "callbacks": [slow, *options.get("callbacks", ())]}
    with Checkpoint(folder, settings_of(model, feed, **options), every=EVERY, team=together) as run:
        history = train(model, feed, part=run.part("model"), team=together, **options)
    x = sequences(30, seed=9)[0][0]
    return Digests(
        digest(*model.get_weights()),
        digest(history.epoch, history.history, slow.drawn),
        digest(predict(model, x[None], batch_size=1).numpy()),
    )


def streams(folder, *, cell, memory, epochs, together=None, callbacks=()):
    """Carried states, dropout, shuffling; the cell may be a user's own."""
    x, y = sequences(*([700] if memory == "truncate" else [40, 33, 25, 40, 9, 31]))
    model = tagger(CELLS[cell], rate=0.3)
    feed, sweep = course(model, Streams(x, y, 3, seed=4), None, bptt=10, memory=memory)
    rule = Adam(0.01, global_clipnorm=1.0) if memory == "truncate" else SGD(0.02, momentum=0.9)
    return trained(model, feed, folder, slow=Slow(), together=together, optimizer=rule, epochs=range(epochs),
                   sweep=sweep, valid=feed, callbacks=callbacks)  # fmt: skip


def two_processes(folder):
    """Streams shared out to two processes, which agree on an early stop."""
    return streams(folder, cell="gru_reset_after", memory="truncate", epochs=8, together=team(),
                   callbacks=[EarlyStopping(patience=3)])  # fmt: skip


class Noisy(Dataset):
    """Sequences with noise that is drawn anew for each epoch, by whichever process is asked."""

    def __len__(self):
        return 60

    def __getitem__(self, key):
        epoch, number = key
        x = sequences(15, seed=number)[0][0]
        noise = np.random.default_rng([epoch, number]).normal(0.0, 0.1, size=(15, 2)).astype(np.float32)
        return x + torch.from_numpy(noise), x


@dataclass(frozen=True)
class Loaded(Feed):
    """Batches that the worker processes of torch's `DataLoader` prepare."""

    data: Dataset
    order: Order

    def steps(self, epoch):
        return self.most()

    def most(self):
        return self.order.steps(len(self.data))

    def pieces(self, epoch, first=0):
        steps = list(islice(self.order.epoch(len(self.data), epoch), first, None))
        keys = [[(epoch, number) for number in step.tolist()] for step in steps]
        own = torch.Generator()  # a loader draws from that of the process otherwise, each time it begins
        loader = DataLoader(self.data, batch_sampler=keys, num_workers=2, generator=own)
        for step, (x, y) in zip(steps, loader, strict=True):
            yield Piece(Batch(x, y), step)

    def still(self):
        return Loaded(self.data, Order(0, self.order.batch_size, shuffle=False))


def loader(folder):
    """A feed from two worker processes."""
    feed = Loaded(Noisy(), Order(4, 2))
    rule = Adam(0.01, gradient_accumulation_steps=3)
    return trained(tagger(CELLS["gru"], rate=0.2), feed, folder, slow=Slow(0.005), optimizer=rule, epochs=range(4))


def newton(folder):
    """Optimisers that look at each step several times: Hessian-free, then L-BFGS, as two trainings of one run."""
    x, y = (torch.stack(part) for part in sequences(*[8] * 32))
    parts, found = [Batches(Arrays(x, y), Order(3, 16)), Batches(Arrays(x, y), Order(3, 32))], []
    with Checkpoint(folder, {"data": [x, y]}, every=EVERY) as run:
        for feed, rule, epochs in zip(parts, (HessianFree(damping=1.0), LBFGS()), (4, 15), strict=True):
            model, slow = tagger(CELLS["lstm"]), Slow()
            options = {"objective": OBJECTIVE, "optimizer": rule, "epochs": range(epochs), "callbacks": [slow]}
            history = train(model, feed, part=run.part(type(rule).__name__), **options)
            found.append((digest(*model.get_weights()), digest(history.history, slow.drawn),
                          digest(predict(model, x, batch_size=8).numpy())))  # fmt: skip
    return Digests(*map(digest, *found))


def ensemble(folder):
    """A forecast: networks, calibration networks and final networks, each with early stopping."""
    training = Training(epochs=30, members=2, patience=3, learning_rate=0.03, checkpoint=folder, every=EVERY)
    model = Forecast(horizon=3, units=4, training=training).fit(Forecast.sample())
    assert all(t.epochs < len(t.history.epoch) < 30 for t in model.fit_.trained)
    found = model.predict()
    columns = [np.asarray(found[name], np.float64) for name in found if "LSTM" in name]
    weights = [w for member in model.forecaster_.members for layer in member for w in layer.values()]
    return Digests(digest(*weights), digest(*(t.history for t in model.fit_.trained)), digest(*columns))


def text(folder):
    """Characters with carried states, accumulated gradients, averaged weights, a rate that falls on a plateau."""
    training = Training(epochs=60, bptt=16, batch_size=8, patience=2, accumulate=2, average=0.9, schedule="plateau",
                        learning_rate=0.1, checkpoint=folder, every=EVERY)  # fmt: skip
    model = Generate(units=[12, 12], training=training).fit(Generate.sample())
    trained = model.fit_.fitted.trained
    assert trained.epochs < len(trained.history.epoch) < 60
    weights = [w for layer in trained.weights for w in layer.values()]
    written = model.generate("the ", length=200, seed=1)
    return Digests(digest(*weights), digest(trained.history.epoch, trained.history.history), digest(written))


class Configuration(NamedTuple):
    """A run, and how many processes do it together."""

    run: object
    processes: int = 1


CONFIGURATIONS = {
    "GRU with dropout, plateau schedule and early stopping": Configuration(early_stopping),
    "stateful LSTM": Configuration(stateful),
    "cell of one's own in truncated streams": Configuration(
        lambda folder: streams(folder, cell="own", memory="truncate", epochs=5)
    ),
    "GRU in windows computed again": Configuration(
        lambda folder: streams(folder, cell="gru", memory="recompute", epochs=15)
    ),
    "classifier in bf16 with averaged weights": Configuration(classifier),
    "two worker processes of a DataLoader, accumulated gradients": Configuration(loader),
    "two processes (gloo)": Configuration(two_processes, processes=2),
    "Hessian-free, then L-BFGS": Configuration(newton),
    "ensemble of forecasters": Configuration(ensemble),
    "text generator with accumulated gradients and averaged weights": Configuration(text),
}


def run(name, folder):
    """The digests of a run, which goes on with what the folder holds."""
    torch.set_num_threads(1)
    seed_generators()
    return CONFIGURATIONS[name].run(folder)._asdict()
