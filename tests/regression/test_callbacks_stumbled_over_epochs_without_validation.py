"""With validation data measured after every second epoch, callbacks refused to run and a log lost its figures."""

import csv
import errno

import numpy as np
import pytest

from ostinato import Sequential, train
from ostinato.errors import ArgumentError
from ostinato.layers import Dense
from ostinato.runtime import atomic

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


def fit(callback, epochs=6, **options):
    """Six epochs of a model that gets worse after the second one."""
    made = Sequential([Dense(1, input_shape=(3,))], seed=0)
    made.compile(train.SGD(0.01), "mse")
    rates = train.LearningRateScheduler(lambda epoch: 0.01 if epoch < 2 else 0.9)
    options = {"validation_data": (X, X.sum(1)), "validation_freq": 2} | options
    return made.fit(X, X.sum(1), epochs=epochs, verbose=0, callbacks=[rates, callback], **options)


def test_early_stopping_waits_for_epochs_with_the_figure():
    stop = train.EarlyStopping(patience=1)
    assert len(fit(stop).epoch) == 4
    assert stop.best_epoch == 1


def test_a_checkpoint_is_of_an_epoch_with_the_figure(tmp_path):
    fit(train.ModelCheckpoint(tmp_path / "{epoch}", save_best_only=True))
    assert [p.name for p in tmp_path.iterdir()] == ["2"]


def test_a_plateau_counts_epochs_with_the_figure():
    callback = train.ReduceLROnPlateau(patience=2, factor=0.5)
    seen = []
    watch = train.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(callback._wait))
    made = Sequential([Dense(1, input_shape=(3,))], seed=0)
    made.compile(train.SGD(0.0), "mse")
    data = (X, X.sum(1))
    made.fit(*data, epochs=4, validation_data=data, validation_freq=2, verbose=0, callbacks=[callback, watch])
    assert made.optimizer.learning_rate == 0.0
    assert seen == [0, 0, 0, 1]


def test_a_log_has_the_figures_of_the_epochs_that_have_them(tmp_path):
    history = fit(train.CSVLogger(tmp_path / "log.csv")).history
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == list("012345")
    assert [float(row["loss"]) for row in rows] == history["loss"]
    assert [row["val_loss"] == "" for row in rows] == [True, False] * 3
    assert [float(row["val_loss"]) for row in rows if row["val_loss"]] == history["val_loss"]


def test_a_log_that_cannot_have_a_new_column_is_as_it_was(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        fit(train.CSVLogger(tmp_path / "log.csv"))
    assert [line.split(",")[0] for line in (tmp_path / "log.csv").read_text().splitlines()] == ["epoch", "0"]


def test_a_figure_that_no_epoch_has_is_refused():
    for options in ({"validation_data": None}, {"validation_freq": 1}):
        with pytest.raises(ArgumentError, match="monitor must be"):
            fit(train.EarlyStopping("val_los"), **options)
    with pytest.raises(ArgumentError, match="monitor must be"):
        fit(train.EarlyStopping("val_los"))
