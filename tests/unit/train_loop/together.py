"""What each process of a small run does: `python -m torch.distributed.run … together.py FOLDER`."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from tests.unit.train_loop.long import OBJECTIVE, sequences, tagger

from ostinato import Sequential
from ostinato.errors import ArgumentError
from ostinato.layers import GRU, Dense, Dropout
from ostinato.train import (
    Adam,
    Arrays,
    Batches,
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    Order,
    ReduceLROnPlateau,
    Streams,
    train,
)
from ostinato.train.distributed import team

EPOCHS = range(3)


class Crash(Exception):
    """As if the process had been killed."""


class At(Callback):
    """Does something after a step of the second epoch."""

    lasting = False

    def __init__(self, step, deed):
        super().__init__()
        self.step, self.deed, self.epoch = step, deed, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, self.step):
            self.deed()


def streams(batch_size=3):
    return Streams(*sequences(9, 5, 14, 3, 7), batch_size, 4, seed=1)


def fit(together, *, run=None, callbacks=(), batch_size=3):
    """Weights and history of one training: dropout, rows that end before others, validation, early stopping."""
    stack = tagger(rate=0.2, seed=3)
    x, y = sequences(6, 6, 6, seed=9)
    held = Batches(Arrays(torch.stack(x), torch.stack(y)), Order(0, 2, shuffle=False))
    history = train(
        stack, streams(batch_size), objective=OBJECTIVE, optimizer=Adam(0.01, global_clipnorm=0.5), epochs=EPOCHS,
        valid=held, part=None if run is None else run.part("net"), team=together,
        callbacks=[EarlyStopping(patience=5), *callbacks],
    )  # fmt: skip
    return np.concatenate([w.reshape(-1) for w in stack.get_weights()]), history.history


def keras(folder, *, seed=5, stateful=False):
    """Weights, history and predictions of the Keras face: dropout, a mask, validation, and a file after each epoch."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(14, 8, 2)).astype(np.float32), rng.normal(size=(14, 8, 1)).astype(np.float32)
    shape = {"batch_input_shape": (4, 8, 2), "stateful": True} if stateful else {"input_shape": (None, 2)}
    layers = [GRU(5, return_sequences=True, **shape), Dropout(0.2), Dense(1)]
    model = Sequential(layers, seed=seed)
    model.compile(Adam(0.01), "mse", metrics=["mae"])
    saved = ModelCheckpoint(folder / "{epoch}.safetensors")
    logged = CSVLogger(folder / "log.csv")
    history = model.fit(x[:12], y[:12], batch_size=4, epochs=3, verbose=0, validation_data=(x[12:], y[12:]),
                        bptt=0 if stateful else 3,
                        callbacks=[saved, logged, ReduceLROnPlateau("loss", patience=1, min_delta=9.0)],
                        checkpoint=folder / "run", every=0.0, shuffle=not stateful)  # fmt: skip
    return model, history.history


def keras_too(folder, together, found):
    """What the Keras face does among several processes."""
    model, history = keras(folder)
    found["keras history"] = history
    np.save(folder / f"keras-{together.rank}.npy", np.concatenate([w.reshape(-1) for w in model.get_weights()]))
    for name, deed in (
        ("keras seeds", lambda: keras(folder, seed=together.rank)),
        ("keras stateful", lambda: keras(folder, stateful=True)),
        ("keras batch", lambda: model.train_on_batch(np.zeros((2, 8, 2)), np.zeros((2, 8, 1)))),
    ):
        try:
            deed()
        except ArgumentError as error:
            found[name] = words(error)


def words(error):
    return f"{type(error).__name__} {error}"


def crash():
    raise Crash


def main(folder):
    together = team()
    found = {}
    weights, history = fit(together)
    again, _ = fit(together)
    found["again"] = again.tobytes() == weights.tobytes()

    with Checkpoint(folder / "killed", {}, every=0.0, team=together) as run:
        try:
            fit(together, run=run, callbacks=[At(2, crash)])
        except Crash:
            found["crashed"] = True
    if together.first:
        (folder / "other").mkdir()
        for file in (folder / "killed").iterdir():
            (folder / "other" / file.name).write_bytes(file.read_bytes())
    with Checkpoint(folder / "killed", {}, every=1e9, team=together) as run:
        resumed, later = fit(together, run=run)
    found["resumed"] = resumed.tobytes() == weights.tobytes() and later == history

    def stop():
        if not together.first:
            os.kill(os.getpid(), signal.SIGTERM)

    with Checkpoint(folder / "stopped", {}, every=1e9, team=together) as run:
        fit(together, run=run, callbacks=[At(1, stop)])
        found["halted"] = run.halted()
    with Checkpoint(folder / "stopped", {}, every=1e9, team=together) as run:
        found["went on"] = run.part("net").saved["step"] == 3 and fit(together, run=run)[0].tobytes() == again.tobytes()

    try:
        fit(together, batch_size=1)
    except ArgumentError as error:
        found["empty"] = words(error)
    try:
        together.agree({"seed": str(together.rank), "epochs": "3"})
    except ArgumentError as error:
        found["differ"] = words(error)
    if together.first:
        (folder / "file").write_text("no folder")
    together.wait()
    try:
        Checkpoint(folder / "file", {}, team=together)
    except OSError as error:
        found["unwritable"] = words(error)
    keras_too(folder, together, found)
    np.save(folder / f"{together.rank}.npy", weights)
    (folder / f"{together.rank}.json").write_text(json.dumps({"history": history, "found": found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
