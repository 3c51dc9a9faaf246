"""A notebook's kernel that is restarted or interrupted while a cell trains: the cell again gives the same bits.

Needs ipykernel and jupyter_client, two dozen packages that nothing else here needs: `make test-notebook`.
"""

from __future__ import annotations

import os
import sys
import time
from typing import NamedTuple

import pytest
from tests.kills.chains import ROOT

from ostinato.train.generations import NAMES

jupyter = pytest.importorskip("jupyter_client.manager", reason="make test-notebook installs a kernel")
pytest.importorskip("ipykernel", reason="make test-notebook installs a kernel")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # what Jupyter warns of is not ours to mend

PATIENCE = 300.0
PREPARE = """
import hashlib, warnings
import numpy as np
import torch
from tests.kills.runs import Slow, numbers, seed_generators
from ostinato import Sequential
from ostinato.errors import InterruptedWarning
from ostinato.layers import GRU, Dense
from ostinato.train import Callback

class Steps(Callback):
    lasting, made = False, 0

    def on_train_batch_end(self, batch, logs=None):
        self.made += 1

warnings.simplefilter("error")
warnings.simplefilter("always", InterruptedWarning)
torch.set_num_threads(1)
x, y = numbers(96)
"""
EPOCHS, STEPS = 60, 6
CELL = """
seed_generators()
model = Sequential([GRU(8, dropout=0.2, input_shape=(12, 3)), Dense(1)], seed=5)
model.compile("adam", "mse")
slow, steps = Slow(), Steps()
history = model.fit(x, y, 16, {epochs}, verbose=0, callbacks=[slow, steps], checkpoint={folder}, every=0.02)
print(len(history.epoch), steps.made)
print(hashlib.sha256(b"".join(w.tobytes() for w in [*model.get_weights(), model.predict(x)])).hexdigest())
print(history.history["loss"][-1:], slow.drawn)
"""
"""Prints what was done, and then what must be the same."""


def cell(folder, *, epochs=EPOCHS):
    return CELL.format(epochs=epochs, folder=None if folder is None else repr(str(folder)))


class Printed(NamedTuple):
    """What a cell has printed.

    Args:
        epochs: In the history.
        steps: That it made itself.
        same: What must be the same.
        errors: Warnings, or the name of what it raised.
    """

    epochs: int
    steps: int
    same: list[str]
    errors: str


class Notebook:
    """A kernel, and the cells that run in it."""

    def __init__(self, folder):
        environment = dict(os.environ, OMP_NUM_THREADS="1", IPYTHONDIR=str(folder), HOME=str(folder),
                           PYTHONPATH=os.pathsep.join([str(ROOT), *filter(None, sys.path)]))  # fmt: skip
        self.kernel = jupyter.KernelManager(connection_file=str(folder / "kernel.json"))
        self.kernel.start_kernel(env=environment)
        self.client = self.kernel.client()
        self.client.start_channels()
        self.begin()

    def begin(self):
        self.client.wait_for_ready(timeout=PATIENCE)
        self.run(PREPARE)

    def run(self, code):
        """Run a cell to its end; returns what it printed and what it complained of."""
        return self.end(self.client.execute(code))

    def end(self, number):
        """What the cell of this number has printed, and warnings or the name of what it raised."""
        out, errors = [], []
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            content = message["content"]
            if message["parent_header"].get("msg_id") != number:
                continue
            if message["msg_type"] == "stream":
                (out if content["name"] == "stdout" else errors).append(content["text"])
            elif message["msg_type"] == "error":
                errors.append(content["ename"])
            elif content.get("execution_state") == "idle":
                return "".join(out), "".join(errors)

    def train(self, code):
        return printed(*self.run(code))

    def restart(self):
        self.kernel.restart_kernel(now=True)
        self.begin()

    def close(self):
        self.client.stop_channels()
        self.kernel.shutdown_kernel(now=True)


def printed(out, errors):
    first, *same = out.splitlines()
    return Printed(*map(int, first.split()), same, errors)


@pytest.fixture
def notebook(tmp_path):
    made = Notebook(tmp_path)
    yield made
    made.close()


def under_way(folder):
    """Wait until both generations of a run are there."""
    until = time.monotonic() + PATIENCE
    while not all((folder / name).exists() for name in NAMES):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_cell_goes_on_after_its_kernel_was_restarted_or_interrupted(notebook, tmp_path):
    whole = notebook.train(cell(tmp_path / "whole"))
    assert (whole.epochs, whole.steps, whole.errors) == (EPOCHS, EPOCHS * STEPS, "")

    notebook.client.execute(cell(tmp_path / "restarted"))
    under_way(tmp_path / "restarted")
    notebook.restart()
    again = notebook.train(cell(tmp_path / "restarted"))
    assert again.same == whole.same
    assert 0 < again.steps < whole.steps

    number = notebook.client.execute(cell(tmp_path / "interrupted"))
    under_way(tmp_path / "interrupted")
    notebook.kernel.interrupt_kernel()
    stopped = printed(*notebook.end(number))
    assert stopped.epochs < whole.epochs
    assert stopped.same != whole.same
    assert "InterruptedWarning" in stopped.errors
    assert "the same command goes on" in stopped.errors
    assert notebook.run("print(np.isfinite(model.predict(x)).all())") == ("True\n", "")
    again = notebook.train(cell(tmp_path / "interrupted"))
    assert again.same == whole.same
    assert again.steps + stopped.steps == whole.steps


def test_a_cell_without_checkpoint_that_is_interrupted_leaves_a_usable_model(notebook):
    told = "Steps.on_train_begin = lambda self, logs=None: print('begun', flush=True)\n"
    number = notebook.client.execute(told + cell(None, epochs=100_000))
    while notebook.client.get_iopub_msg(timeout=PATIENCE)["content"].get("text") != "begun\n":
        pass
    time.sleep(0.2)
    notebook.kernel.interrupt_kernel()
    assert "KeyboardInterrupt" in notebook.end(number)[1]
    usable = "print(np.isfinite(model.predict(x)).all(), model.fit(x, y, 16, 2, verbose=0).epoch)"
    assert notebook.run(usable) == ("True [0, 1]\n", "")
