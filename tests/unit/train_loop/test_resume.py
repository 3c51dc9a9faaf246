"""A run that stops after any step and goes on in new objects ends in the same bits; nothing of its state is spare."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
import torch
from tests.laws.tolerance import exact
from tests.unit.train_loop.long import CELLS, OBJECTIVE, sequences, tagger

from ostinato.errors import ArgumentError, CheckpointMismatch, ResumeWarning
from ostinato.train import (
    Adam,
    Arrays,
    Batches,
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    LearningRateScheduler,
    Order,
    ReduceLROnPlateau,
    Streams,
    Windowed,
    resume,
    snapshots,
    train,
)
from ostinato.train.history import History
from ostinato.train.resume import settings_of
from ostinato.train.snapshots import Scene


class Stop(Exception):
    """What ends a run in the tests, as a kill would: nothing is tidied up."""


class Killer(Callback):
    """Ends the run before a step; counts steps and draws from the process's generators."""

    def __init__(self, at=None):
        super().__init__()
        self._until, self.step, self.drawn = at, 0, 0.0

    def state(self):
        return {"step": self.step, "drawn": self.drawn}

    def load_state(self, state):
        self.step, self.drawn = state["step"], state["drawn"]

    def on_train_batch_begin(self, batch, logs=None):
        if self.step == self._until:
            raise Stop
        self.step += 1
        self.drawn += random.random() + float(np.random.rand()) + float(torch.rand(()))


def feeds():
    x, y = sequences(17, 9, 4)
    many = Arrays(torch.stack([v[:8] for v in sequences(*[8] * 5)[0]]), torch.zeros(5, 8, 2))
    return {
        "one stream": (Streams(x[:1], y[:1], 2, bptt=4, seed=1), None),
        "streams": (Streams(x, y, 2, bptt=4, seed=1), None),
        "windows": (Batches(many, Order(1, 2)), Windowed(3, recompute=True)),
        "batches": (Batches(many, Order(1, 2)), None),
    }


class Run:
    """A run with everything on, in new objects each time."""

    def __init__(self, folder, which="streams", cell="gru", *, at=None, every=0.0, epochs=4):
        random.seed(1)
        np.random.seed(2)
        torch.manual_seed(3)
        feed, sweep = feeds()[which]
        self.log = folder.parent / "log.csv"
        self.killer = Killer(at)
        rule = Adam(0.01, global_clipnorm=1.0)
        self.model = tagger(CELLS[cell], rate=0.3)
        self.callbacks = [
            self.killer,
            LearningRateScheduler(lambda epoch, lr: lr * 0.9),
            EarlyStopping("val_loss", patience=2, restore_best_weights=True),
            ReduceLROnPlateau("loss", patience=1, min_delta=1e9),
            CSVLogger(self.log),
        ]
        self.history = History()
        options = {"objective": OBJECTIVE, "optimizer": rule, "epochs": range(epochs), "valid": feed,
                   "callbacks": self.callbacks} | ({} if sweep is None else {"sweep": sweep})  # fmt: skip
        told = options if sweep is not None else options | {"sweep": Windowed(1)}
        with Checkpoint(folder, settings_of(self.model, feed, **told), every=every) as run:
            train(self.model, feed, history=self.history, part=run.part("model"), **options)

    def end(self):
        return (
            [*self.model.get_weights()],
            (self.history.epoch, self.history.history, self.killer.drawn, self.killer.step),
            self.log.read_text(),
        )


def same(one, other):
    for a, b in zip(one[0], other[0], strict=True):
        exact(a, b, what="weights")
    assert one[1:] == other[1:]


@pytest.mark.parametrize("which", feeds())
def test_a_run_may_stop_before_any_step(which, tmp_path):
    wanted = Run(tmp_path / "whole", which).end()
    steps = wanted[1][3]
    assert steps >= 8
    for at in range(steps):
        with pytest.raises(Stop):
            Run(tmp_path / str(at), which, at=at)
        same(Run(tmp_path / str(at), which).end(), wanted)


@pytest.mark.parametrize("cell", CELLS)
def test_a_run_may_stop_again_and_again(cell, tmp_path):
    wanted = Run(tmp_path / "whole", cell=cell).end()
    for at in range(1, wanted[1][3], 2):
        with pytest.raises(Stop):
            Run(tmp_path / "stopped", cell=cell, at=at)
    same(Run(tmp_path / "stopped", cell=cell).end(), wanted)


def test_saving_changes_nothing(tmp_path):
    same(Run(tmp_path / "often").end(), Run(tmp_path / "never", every=1e9).end())


def test_a_run_that_is_done_is_not_trained_again(tmp_path):
    wanted = Run(tmp_path / "run").end()
    same(Run(tmp_path / "run", at=0).end(), wanted)  # would stop before its first step


def test_early_stopping_holds_when_a_run_goes_on(tmp_path):
    """Saved after the epoch in which it was decided to stop, and before training ended."""

    class Late(Killer):
        def on_train_end(self, logs=None):
            raise Stop

    def go(killer):
        model, (feed, _) = tagger(), feeds()["streams"]
        callbacks = [EarlyStopping("loss", min_delta=1e9, patience=1, restore_best_weights=True), killer]
        history = History()
        with Checkpoint(tmp_path, {}, every=0.0) as run:
            train(model, feed, objective=OBJECTIVE, optimizer=Adam(), epochs=range(9), callbacks=callbacks,
                  history=history, part=run.part("model"))  # fmt: skip
        return history

    with pytest.raises(Stop):
        go(Late())
    killer = Killer()
    assert go(killer).epoch == [0, 1]


@pytest.mark.parametrize(
    "lost",
    ["carried", "totals", "weights", "optimizer", "callbacks", "history", "random", "step"],
)
def test_nothing_in_the_state_is_spare(lost, tmp_path, monkeypatch):
    wanted = Run(tmp_path / "whole").end()
    with pytest.raises(Stop):
        Run(tmp_path / "stopped", at=9)
    put = Scene.put

    def worse(self, saved):
        new = {"carried": [], "step": 0, "totals": {name: [0.0, 0.0] for name in saved["totals"]}}
        mine = dict(saved)
        if lost in new:
            mine[lost] = new[lost]
        elif lost == "history":
            mine["history"] = {"epoch": [], "history": {}}
        elif lost == "weights":
            mine["weights"] = self.flat.copy()
        elif lost == "random":
            random.seed(9)
            np.random.seed(9)
            torch.manual_seed(9)
            mine["random"] = snapshots._generators()
        else:
            mine[lost] = self.optimizer.state() if lost == "optimizer" else [c.state() for c in self.callbacks]
        return put(self, mine)

    monkeypatch.setattr(Scene, "put", worse)
    try:
        found = Run(tmp_path / "stopped").end()
    except (TypeError, KeyError):  # without the states, a piece in the middle of a row cannot begin
        return
    with pytest.raises(AssertionError):
        same(found, wanted)


def test_other_settings_are_named_with_both_values(tmp_path):
    with pytest.raises(Stop):
        Run(tmp_path / "run", at=5)
    before = {f.name: f.read_bytes() for f in (tmp_path / "run").iterdir()}
    with pytest.raises(CheckpointMismatch, match="epochs was 4, now 5"):
        Run(tmp_path / "run", epochs=5)
    with pytest.raises(CheckpointMismatch, match=r"layer 1 was .*GRU.*now .*LSTM"):
        Run(tmp_path / "run", cell="lstm")
    with pytest.raises(CheckpointMismatch, match=r"data: inputs is not the same \(sha256 \w+, now \w+\)"):
        Run(tmp_path / "run", which="one stream")
    assert before == {f.name: f.read_bytes() for f in (tmp_path / "run").iterdir()}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"optimizer": Adam(0.02)}, "optimizer learning_rate was 0.001, now 0.02"),
        ({"optimizer": Adam(clipnorm=2.0)}, "optimizer clipnorm was None, now 2.0"),
        ({"callbacks": [EarlyStopping(patience=4)]}, "callback 1 patience was 3, now 4"),
        ({"callbacks": []}, "callback 1 patience was 3, now not there"),
        ({"sweep": Windowed(8)}, "gradient was Windowed.bptt=4.*now Windowed.bptt=8"),
        ({"valid": None}, "validation data"),
        ({"feed": Batches(Arrays(torch.zeros(3, 4, 2), torch.zeros(3, 4, 2)), Order(1, 2))}, "batch_size was 3, now 2"),
        (
            {"feed": Batches(Arrays(torch.ones(3, 4, 2), torch.zeros(3, 4, 2)), Order(1, 3))},
            "data: samples is not the same",
        ),
    ],
)
def test_each_setting_counts(change, named, tmp_path):
    def settings(**other):
        feed = Batches(Arrays(torch.zeros(3, 4, 2), torch.zeros(3, 4, 2)), Order(1, 3))
        given = {"feed": feed, "objective": OBJECTIVE, "optimizer": Adam(), "sweep": Windowed(4), "epochs": range(3),
                 "valid": feed, "callbacks": [EarlyStopping(patience=3)]}  # fmt: skip
        return settings_of(tagger(), **(given | other))

    Checkpoint(tmp_path, settings()).save()
    Checkpoint(tmp_path, settings())
    with pytest.raises(CheckpointMismatch, match=named):
        Checkpoint(tmp_path, settings(**change))


def test_other_conditions_are_a_warning(tmp_path, monkeypatch):
    Checkpoint(tmp_path, {}).save()
    here = resume.environment()
    monkeypatch.setattr(resume, "environment", lambda: here | {"ISA": "abacus", "threads": "99"})
    with pytest.warns(ResumeWarning, match=f"not bit-exact: ISA {here['ISA']} -> abacus, threads 1 -> 99|-> 99"):
        Checkpoint(tmp_path, {})
    monkeypatch.undo()
    with warnings.catch_warnings():
        Checkpoint(tmp_path, {})


def test_every_must_be_a_number(tmp_path):
    for every in (-1.0, float("nan"), "30s", True):
        with pytest.raises(ArgumentError, match="every"):
            Checkpoint(tmp_path, {}, every=every)
