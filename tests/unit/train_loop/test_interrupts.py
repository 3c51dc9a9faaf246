"""Ctrl-C and SIGTERM in the middle of a run: saved, usable, and the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from tests.laws.tolerance import exact

from ostinato.errors import Interrupted, InterruptedWarning, Terminated
from ostinato.layers.keras_maps import Dense
from ostinato.layers.keras_recurrent import GRU
from ostinato.models.sequential import Sequential
from ostinato.tasks.forecast import Forecast
from ostinato.tasks.learning import networks
from ostinato.tasks.training import Training
from ostinato.train import Callback
from ostinato.train.interrupts import Interrupts
from ostinato.train.resume import Checkpoint

X = np.random.default_rng(0).normal(size=(20, 5, 2)).astype(np.float32)
Y = X.sum((1, 2))[:, None]


class Raise(Callback):
    """Sends this process a signal in the given steps."""

    def __init__(self, *at, number=signal.SIGINT):
        super().__init__()
        self._at, self._number, self._step, self.seen = at, number, 0, 0

    def state(self):
        return {"step": self._step}

    def load_state(self, state):
        self._step = state["step"]

    def on_train_batch_begin(self, batch, logs=None):
        self._step += 1
        self.seen += 1
        for _ in range(self._at.count(self._step)):
            os.kill(os.getpid(), self._number)


def model():
    made = Sequential([GRU(4, dropout=0.2, input_shape=(5, 2)), Dense(1)], seed=2)
    made.compile("adam", "mse")
    return made


def fit(made, folder, callback, **options):
    return made.fit(X, Y, 4, 4, verbose=0, callbacks=[callback], checkpoint=folder, **options)


def test_ctrl_c_returns_a_usable_model_and_the_call_goes_on(tmp_path):
    whole = model()
    wanted = fit(whole, tmp_path / "whole", Raise())
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    stopped, callback = model(), Raise(8)
    with pytest.warns(InterruptedWarning, match="the same command goes on"):
        history = fit(stopped, tmp_path / "run", callback)
    assert callback.seen == 8
    assert history.epoch == [0]
    assert np.isfinite(stopped.predict(X)).all()
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    for made in (stopped, model()):  # in the same process as in another
        callback = Raise()
        history = fit(made, tmp_path / "run", callback)
        assert callback.seen == (12 if made is stopped else 0)
        assert history.history == wanted.history
        for a, b in zip(made.get_weights(), whole.get_weights(), strict=True):
            exact(a, b, what="weights")


def test_a_second_ctrl_c_acts_at_once(tmp_path):
    callback = Raise(8, 8)
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(model(), tmp_path, callback)
    assert not isinstance(caught.value, Interrupted)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sigterm_saves_and_ends_with_143(tmp_path):
    with pytest.raises(SystemExit) as caught:
        fit(model(), tmp_path, Raise(8, number=signal.SIGTERM))
    assert caught.value.code == 143
    assert str(tmp_path) in caught.value.note
    callback = Raise()
    fit(model(), tmp_path, callback)
    assert callback.seen == 12


def test_signals_act_at_once_outside_a_training():
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.caught == signal.SIGINT


def test_a_run_in_another_thread_is_saved_without_handlers(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    found = []
    thread = threading.Thread(target=lambda: found.append(fit(model(), tmp_path, Raise())))
    thread.start()
    thread.join()
    assert len(found[0].epoch) == 4
    assert signal.getsignal(signal.SIGINT) is before


def test_saving_a_run_of_the_keras_face_changes_nothing(tmp_path):
    one, other = model(), model()
    fit(one, tmp_path, Raise(), every=0.0)
    other.fit(X, Y, 4, 4, verbose=0)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        exact(a, b, what="weights")


FORECAST = ["--epochs", "20", "--members", "1", "--units", "4", "--horizon", "3", "--every", "0.05"]


def _command(folder, *arguments):
    code = "import sys; sys.argv[0] = 'ostinato'; from ostinato.cli.main import main; main()"
    return [sys.executable, "-c", code, "fit", "forecast", str(folder / "data.csv"), "--out", str(folder / "m.st"),
            "--checkpoint", str(folder / "run"), *FORECAST, *arguments]  # fmt: skip


@pytest.fixture
def table(tmp_path):
    values = [f"{t},{10 + np.sin(t / 3.0) + 0.1 * np.cos(t):.4f}" for t in range(120)]
    (tmp_path / "data.csv").write_text("ds,y\n" + "\n".join(values) + "\n")
    return tmp_path


def run_cli(folder, *arguments, number=None):
    process = subprocess.Popen(_command(folder, *arguments), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if number is not None:
        while process.poll() is None and len(list((folder / "run").glob("*.safetensors"))) < 2:
            time.sleep(0.01)
        process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_line_says_how_to_go_on(table, number, code):
    found, errors = run_cli(table, number=number)
    assert found == code, errors
    assert "is saved in" in errors
    assert "the same command goes on" in errors
    assert not (table / "m.st").exists()
    found, errors = run_cli(table)
    assert found == 0, errors


def test_the_command_line_refuses_another_run_and_damaged_files(table):
    assert run_cli(table, "--epochs", "2")[0] == 0
    found, errors = run_cli(table, "--epochs", "2", "--seed", "4")
    assert found == 2
    assert "seed was 0, now 4" in errors
    for path in (table / "run").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    kept = {p.name: p.read_bytes() for p in (table / "run").iterdir()}
    found, errors = run_cli(table, "--epochs", "2")
    assert found == 3
    assert errors.count("\n") == 1
    assert all(name in errors for name in kept)
    assert kept == {p.name: p.read_bytes() for p in (table / "run").iterdir()}


def test_ctrl_c_in_a_task_says_that_its_run_is_saved(tmp_path, monkeypatch):
    def task():
        return Forecast(horizon=3, units=4, training=Training(epochs=3, members=2, checkpoint=str(tmp_path / "run")))

    wanted = Forecast(horizon=3, units=4, training=Training(epochs=3, members=2)).fit(Forecast.sample()).predict()

    class Ends(networks.EarlyStopping):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            if epoch == 1:
                os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(networks, "EarlyStopping", Ends)
        with pytest.raises(Interrupted, match="is saved in"):
            task().fit(Forecast.sample())
    found = task().fit(Forecast.sample()).predict()
    assert {k: list(v) for k, v in found.items()} == {k: list(v) for k, v in wanted.items()}


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, Interrupted), (signal.SIGTERM, Terminated)])
def test_a_signal_between_two_trainings_says_how_to_go_on(tmp_path, number, kind):
    run = Checkpoint(tmp_path / "run", {"x": 1})
    run._done["first"] = {}
    run.save()
    with pytest.raises((KeyboardInterrupt, SystemExit)) as caught, run:
        signal.raise_signal(number)
    assert type(caught.value) is kind
    assert "is saved in" in (caught.value.note if kind is Terminated else str(caught.value))
    assert signal.getsignal(number) is not run.interrupts._note


def test_a_signal_before_anything_was_saved_promises_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt) as caught, Checkpoint(tmp_path / "run", {"x": 1}):
        signal.raise_signal(signal.SIGINT)
    assert type(caught.value) is KeyboardInterrupt
