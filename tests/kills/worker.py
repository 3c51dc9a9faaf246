"""One run that is saved while it goes: `python worker.py CONFIGURATION FOLDER OUT`; OUT gets digests of its results."""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from tests.unit.train_loop.long import CELLS, OBJECTIVE, sequences, tagger

from ostinato.layers.keras_maps import Dense, Dropout
from ostinato.layers.keras_recurrent import GRU, LSTM
from ostinato.models.sequential import Sequential
from ostinato.tasks.forecast import Forecast
from ostinato.tasks.training import Training
from ostinato.train import (
    SGD,
    Adam,
    Callback,
    Checkpoint,
    EarlyStopping,
    ReduceLROnPlateau,
    Streams,
    course,
    predict,
    train,
)
from ostinato.train.resume import settings_of

EVERY = 0.02


class Slow(Callback):
    """Takes its time after each step, and draws from the generators of the process, as a user's callback may."""

    def __init__(self):
        super().__init__()
        self.drawn = 0.0

    def state(self):
        return {"drawn": self.drawn}

    def load_state(self, state):
        self.drawn = state["drawn"]

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(0.002)
        self.drawn += random.random() + float(np.random.rand()) + float(torch.rand(()))


def digest(*values):
    """SHA-256 of arrays, and of other things by their text."""
    found = hashlib.sha256()
    for value in values:
        found.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return found.hexdigest()


def sequential(folder, *, stateful):
    """A recurrent model of the Keras face; with dropout, shuffling and early stopping, or stateful."""
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    x = np.random.default_rng(0).normal(size=(96, 12, 3)).astype(np.float32)
    y = x.sum((1, 2))[:, None] / 6.0
    if stateful:
        layers = [LSTM(8, stateful=True, batch_input_shape=(16, 12, 3)), Dense(1)]
    else:
        layers = [GRU(8, dropout=0.2, recurrent_dropout=0.2, input_shape=(12, 3)), Dropout(0.2), Dense(1)]
    model = Sequential(layers, seed=5)
    model.compile(Adam(0.01), "mse", metrics=["mae"])
    slow = Slow()
    callbacks = [slow, EarlyStopping(patience=40, restore_best_weights=True), ReduceLROnPlateau(patience=10)]
    history = model.fit(x, y, 16, 200, verbose=0, callbacks=callbacks, validation_data=(x[:32] + 0.1, y[:32]),
                        shuffle=not stateful, checkpoint=folder, every=EVERY)  # fmt: skip
    model.reset_states()
    return (
        digest(*model.get_weights()),
        digest(history.epoch, history.history, slow.drawn),
        digest(model.predict(x[:16])),
    )


def streams(folder, *, cell, memory, epochs):
    """Carried states, dropout, shuffling; the cell may be a user's own."""
    x, y = sequences(*([700] if memory == "truncate" else [40, 33, 25, 40, 9, 31]))
    model = tagger(CELLS[cell], rate=0.3)
    feed, sweep = course(model, Streams(x, y, 3, seed=4), None, bptt=10, memory=memory)
    rule = Adam(0.01, global_clipnorm=1.0) if memory == "truncate" else SGD(0.02, momentum=0.9)
    slow = Slow()
    options = {"objective": OBJECTIVE, "optimizer": rule, "epochs": range(epochs),
               "sweep": sweep, "valid": feed, "callbacks": [slow]}  # fmt: skip
    with Checkpoint(folder, settings_of(model, feed, **options), every=EVERY) as run:
        history = train(model, feed, part=run.part("model"), **options)
    return (
        digest(*model.get_weights()),
        digest(history.epoch, history.history),
        digest(predict(model, x[0][None], batch_size=1).numpy()),
    )


def ensemble(folder):
    """A forecast: networks, calibration networks and final networks, each with early stopping."""
    training = Training(epochs=100, members=3, patience=10, checkpoint=folder, every=EVERY)
    model = Forecast(horizon=3, units=4, training=training).fit(Forecast.sample())
    found = model.predict()
    columns = [np.asarray(found[name], np.float64) for name in found if "LSTM" in name]
    weights = [w for member in model.forecaster_.members for layer in member for w in layer.values()]
    return digest(*weights), digest(*(t.history for t in model.fit_.trained)), digest(*columns)


CONFIGURATIONS = {
    "gru with dropout and early stopping": lambda folder: sequential(folder, stateful=False),
    "stateful lstm": lambda folder: sequential(folder, stateful=True),
    "own cell in truncated streams": lambda folder: streams(folder, cell="own", memory="truncate", epochs=25),
    "gru in windows computed again": lambda folder: streams(folder, cell="gru", memory="recompute", epochs=80),
    "ensemble": ensemble,
    "lstm in truncated streams": lambda folder: streams(folder, cell="lstm", memory="truncate", epochs=8),
}


def main():
    """Run, and write down the digests."""
    name, folder, out = sys.argv[1:]
    torch.set_num_threads(1)
    print("ready", flush=True)
    found = CONFIGURATIONS[name](folder)
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
