"""A run ends in the same bits wherever it is saved and whichever process trains; where it cannot be, it says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.laws.test_full_disks import disk, fill
from tests.unit.cli.call import TINY, call
from tests.unit.train_loop.places import EPOCHS, STEPS, Stop, X, digest, fit

from ostinato.errors import CheckpointWriteError
from ostinato.models.loading import load_model
from ostinato.train import Callback, CSVLogger, ModelCheckpoint

ROOT = Path(__file__).parents[3]
PLACES = {
    "spaces": Path("a folder", " with  spaces "),
    "Unicode": Path("Übung", "音樂 🎼", "e\u0301 und \u00e9", "\u05d0\u202e"),
    "signs": Path("it's 100% #1 & $HOME; (x) [y] *?!\\n", "-o", "~"),
    "260 characters and more": Path(*["long" * 40] * 4),
}
places = pytest.mark.parametrize("place", PLACES.values(), ids=list(PLACES))


class Crash(Exception):
    """As if the process had been killed."""


def crash():
    raise Crash


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    return digest(*fit(tmp_path_factory.mktemp("plain")))


@places
def test_a_run_goes_on_in_a_folder_of_any_name(place, tmp_path, wanted):
    folder = tmp_path / place

    def others():
        return [ModelCheckpoint(folder / "model {epoch}.safetensors"), CSVLogger(folder / "log.csv")]

    with pytest.raises(Crash):
        fit(folder / "run", callbacks=[Stop(7, crash), *others()])
    stop = Stop(None, None)
    model, history = fit(folder / "run", callbacks=[stop, *others()])
    assert digest(model, history) == wanted
    assert stop._step == EPOCHS * STEPS
    again = load_model(folder / f"model {EPOCHS}.safetensors")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert (folder / "log.csv").read_text().count("\n") == 1 + EPOCHS
    models = {f"model {n + 1}.safetensors" for n in range(EPOCHS)}
    assert {f.name for f in folder.iterdir()} == {"run", "log.csv", *models}


@places
def test_the_command_line_takes_paths_of_any_name(place, tmp_path):
    rows = [f"{t},{10 + np.sin(t / 3.0) + 0.1 * np.cos(t):.4f}" for t in range(120)]
    models = []
    for folder in (tmp_path / "plain", tmp_path / place):
        folder.mkdir(parents=True)
        (folder / "data.csv").write_text("ds,y\n" + "\n".join(rows) + "\n")
        done = call("fit", "forecast", folder / "data.csv", "--out", folder / "m.safetensors",
                    "--checkpoint", folder / "run", *TINY)  # fmt: skip
        assert done.code == 0
        assert all("network" in line for line in done.err.splitlines()), done.err  # progress, no complaint
        assert f"model   {folder / 'm.safetensors'}" in done.out
        assert (folder / "m.html").exists()
        done = call("predict", folder / "m.safetensors", "--out", folder / "next.csv")
        assert (done.code, done.err) == (0, "")
        models.append(((folder / "m.safetensors").read_bytes(), (folder / "next.csv").read_bytes()))
    assert models[0] == models[1]


class Steps(Callback):
    """Counts the steps that this process makes."""

    lasting, made = False, 0

    def on_train_batch_end(self, batch, logs=None):
        self.made += 1


def remount(folder, how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def test_a_disk_that_fills_up_ends_the_run_and_room_lets_it_go_on(tmp_path, wanted):
    with disk(tmp_path / "small", size="1m") as folder:
        with pytest.raises(CheckpointWriteError, match="No space left on device") as caught:
            fit(folder / "run", callbacks=[Stop(7, lambda: fill(folder))])
        assert str(folder / "run") in str(caught.value)
        (folder / "filler").unlink()
        seen = Steps()
        assert digest(*fit(folder / "run", callbacks=[Stop(None, None), seen])) == wanted
        assert seen.made == EPOCHS * STEPS - 7


def test_a_folder_that_becomes_read_only_ends_the_run_which_then_goes_on(tmp_path, wanted):
    with disk(tmp_path / "small", size="1m") as folder:
        with pytest.raises(CheckpointWriteError, match="Read-only file system"):
            fit(folder / "run", callbacks=[Stop(7, lambda: remount(folder, "ro"))])
        remount(folder, "rw")
        assert digest(*fit(folder / "run")) == wanted


def test_a_read_only_folder_is_known_before_the_first_step(tmp_path):
    with disk(tmp_path / "small", size="1m") as folder:
        (folder / "run").mkdir()
        remount(folder, "ro")
        for inner in ("run", "new"):
            seen = Steps()
            with pytest.raises(CheckpointWriteError, match="must be writable"):
                fit(folder / inner, callbacks=[seen])
            assert seen.made == 0


slowly = [pytest.param(method, marks=pytest.mark.slow) for method in ("forkserver", "spawn")]


@pytest.mark.parametrize("method", ["fork", *slowly])
def test_a_child_process_trains_as_its_parent(method, tmp_path):
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-W", "error", str(Path(__file__).with_name("children.py")), str(tmp_path), method],
        env=dict(os.environ, PYTHONPATH=paths, OMP_NUM_THREADS="1"), capture_output=True, text=True, cwd=ROOT,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
