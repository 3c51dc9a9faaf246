"""The callbacks that Keras users know."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import ostinato
from ostinato import Sequential, train
from ostinato.errors import ArgumentError, NonFiniteLoss
from ostinato.layers import Dense

X = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
Y = X.sum(1)


def model(lr=0.05):
    made = Sequential([Dense(1, input_shape=(3,))], seed=0)
    made.compile(train.SGD(lr), "mse", ["mae"])
    return made


class Rates(train.Callback):
    """Sets a learning rate an epoch, so that the loss first falls and then grows."""

    def __init__(self, *rates):
        super().__init__()
        self.rates, self.weights = rates, []

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = self.rates[epoch]

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())


def test_early_stopping_restores_the_best_weights():
    made, rates = model(), Rates(0.05, 0.05, 2.0, 2.0, 2.0)
    stop = train.EarlyStopping(monitor="val_loss", patience=1, restore_best_weights=True)
    h = made.fit(X, Y, epochs=5, validation_data=(X, Y), callbacks=[rates, stop], verbose=0)
    assert len(h.epoch) == 3
    assert (stop.best_epoch, stop.stopped_epoch) == (1, 2)
    np.testing.assert_array_equal(made.get_weights()[0], rates.weights[1][0])
    assert abs(made.evaluate(X, Y)[0] - min(h.history["val_loss"])) < 1e-6


def test_checkpoint_keeps_the_best_model(tmp_path):
    made, rates = model(), Rates(0.05, 0.05, 2.0)
    best, each = tmp_path / "best.safetensors", tmp_path / "epoch-{epoch}.safetensors"
    made.fit(X, Y, epochs=3, verbose=0, validation_data=(X, Y), callbacks=[
        rates,
        train.ModelCheckpoint(best, save_best_only=True),
        train.ModelCheckpoint(each),
    ])  # fmt: skip
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "best.safetensors", "epoch-1.safetensors", "epoch-2.safetensors", "epoch-3.safetensors",
    ]  # fmt: skip
    np.testing.assert_array_equal(ostinato.load_model(best).get_weights()[0], rates.weights[1][0])
    assert ostinato.load_model(best).optimizer.learning_rate == 0.05
    with pytest.raises(ArgumentError, match="filepath"):
        made.fit(X, Y, verbose=0, callbacks=train.ModelCheckpoint(tmp_path / "{val_loss}"))


def test_plateau_reduces_the_rate_and_no_lower_than_its_limit():
    made = model()
    callback = train.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=2, min_lr=0.3)
    freeze = train.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(loss=1.0))
    made.compile(train.SGD(1e-12), "mse")
    made.optimizer.learning_rate = 1.0
    seen = []
    watch = train.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(made.optimizer.learning_rate))
    made.fit(X * 0, Y * 0, epochs=7, verbose=0, callbacks=[watch, freeze, callback])
    assert seen == [1.0, 1.0, 1.0, 0.5, 0.5, 0.3, 0.3]


def test_scheduler_sets_the_rate():
    made = model()
    h = made.fit(X, Y, epochs=3, verbose=0, callbacks=train.LearningRateScheduler(lambda epoch, lr: lr / 2))
    assert h.history["learning_rate"] == [0.025, 0.0125, 0.00625]
    made.fit(X, Y, epochs=1, verbose=0, callbacks=train.LearningRateScheduler(lambda epoch: 0.5))
    assert made.optimizer.learning_rate == 0.5
    with pytest.raises(ArgumentError, match="schedule"):
        made.fit(X, Y, verbose=0, callbacks=train.LearningRateScheduler(lambda epoch: -1.0))


def test_csv_log(tmp_path):
    log, history = train.CSVLogger(tmp_path / "log.csv"), train.HistoryCallback()
    h = model().fit(X, Y, epochs=3, verbose=0, callbacks=[log, history], validation_split=0.5)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [float(r["loss"]) for r in rows] == h.history["loss"] == history.history["loss"]
    assert list(rows[0]) == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    model().fit(X, Y, epochs=1, verbose=0, callbacks=train.CSVLogger(tmp_path / "log.csv", append=True))
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 5


def test_nan_stops_training_with_good_weights():
    with pytest.raises(NonFiniteLoss, match="step"):
        model(lr=1e25).fit(X, Y, epochs=20, batch_size=8, verbose=0)
    callback, made = train.TerminateOnNaN(), model(lr=1e25)
    h = made.fit(X, Y, epochs=20, batch_size=8, verbose=0, callbacks=callback)
    assert len(h.epoch) < 20
    assert made.stop_training
    assert isinstance(callback.error, NonFiniteLoss)
    assert all(np.isfinite(w).all() for w in made.get_weights())


def test_hooks_that_would_never_be_called_are_refused():
    class Typo(train.Callback):
        def on_epoch_ends(self, epoch, logs=None):
            raise AssertionError

    with pytest.raises(ArgumentError, match="on_epoch_ends"):
        model().fit(X, Y, verbose=0, callbacks=Typo())
    with pytest.raises(ArgumentError, match="hooks"):
        train.LambdaCallback(on_end=print)


def test_validation_frequency():
    h = model().fit(X, Y, epochs=4, validation_data=(X, Y), validation_freq=2, verbose=0)
    assert (len(h.history["loss"]), len(h.history["val_loss"])) == (4, 2)


def test_early_stopping_speaks_only_if_asked(capsys):
    made = model()
    made.fit(X, Y, epochs=3, verbose=0, callbacks=train.EarlyStopping("loss", 1e9, 1))
    assert capsys.readouterr().out == ""
    made.fit(X, Y, epochs=3, verbose=0, callbacks=train.EarlyStopping("loss", 1e9, 1, verbose=1))
    assert "stopped" in capsys.readouterr().out


def fixed(*values):
    """Makes `loss` of the epochs these values."""
    return train.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(loss=values[epoch]))


def test_plateau_counts_nothing_while_it_cools_down():
    made, seen = model(1.0), []
    callback = train.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, cooldown=2)
    watch = train.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(made.optimizer.learning_rate))
    made.fit(X * 0, Y * 0, epochs=7, verbose=0, callbacks=[watch, fixed(*[1.0] * 7), callback])
    assert seen == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_early_stopping_leaves_out_the_first_epochs():
    stop = train.EarlyStopping(monitor="loss", patience=1, start_from_epoch=2)
    h = model().fit(X, Y, epochs=9, verbose=0, callbacks=[fixed(0.0, 9.0, 5.0, 4.0, 6.0, 1.0), stop])
    assert len(h.epoch) == 5
    assert (stop.best, stop.best_epoch) == (4.0, 3)


def test_early_stopping_takes_the_largest_of_what_should_be_large():
    for monitor, mode, stays in (("accuracy", "auto", True), ("loss", "max", True), ("loss", "auto", False)):
        logs = train.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(accuracy=epoch, loss=epoch))
        stop = train.EarlyStopping(monitor=monitor, mode=mode)
        h = model().fit(X, Y, epochs=4, verbose=0, callbacks=[logs, stop])
        assert (len(h.epoch) == 4) == stays, (monitor, mode)


def test_a_checkpoint_of_weights_holds_weights_alone(tmp_path):
    made, path = model(), tmp_path / "weights.safetensors"
    made.fit(X, Y, epochs=2, verbose=0, callbacks=train.ModelCheckpoint(path, save_weights_only=True))
    other = model()
    other.load_weights(path)
    np.testing.assert_array_equal(other.get_weights()[0], made.get_weights()[0])


def test_a_checkpoint_must_beat_its_threshold(tmp_path):
    each = train.ModelCheckpoint(
        tmp_path / "{epoch}", monitor="loss", save_best_only=True, initial_value_threshold=2.0
    )  # fmt: skip
    model().fit(X, Y, epochs=4, verbose=0, callbacks=[fixed(3.0, 1.0, 1.5, 0.5), each])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2", "4"]


@pytest.mark.parametrize("make", [
    lambda: train.EarlyStopping(mode="best"), lambda: train.ReduceLROnPlateau(factor=1.0),
    lambda: train.ModelCheckpoint("m", save_freq=10),
])  # fmt: skip
def test_options_out_of_range_are_refused(make):
    with pytest.raises(ArgumentError):
        make()


def test_a_figure_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ArgumentError, match="loss, mae") as caught:
        model().fit(X, Y, verbose=0, callbacks=train.EarlyStopping())
    assert "validation data" in caught.value.fix
