"""SIGKILL at random instants, then the same command again: the same bits of weights, history and predictions.

`python -m tests.kills.test_kills` prints the table of fifty kills.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from ostinato.train.generations import NAMES

ROOT = Path(__file__).parents[2]
CONFIGURATIONS = (
    "gru with dropout and early stopping",
    "stateful lstm",
    "own cell in truncated streams",
    "gru in windows computed again",
    "ensemble",
)
KILLS, LONGEST = 10, 0.5


def start(name, folder, out):
    """A worker that is about to train."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), *filter(None, sys.path)]))
    worker = subprocess.Popen(
        [sys.executable, "-W", "error", str(Path(__file__).with_name("worker.py")), name, str(folder), str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
    )  # fmt: skip
    assert worker.stdout.readline().strip() == "ready", worker.communicate()[1]
    return worker


def finish(name, folder, out):
    """Let a worker run to its end; returns its digests."""
    worker = start(name, folder, out)
    _, errors = worker.communicate(timeout=300)
    assert worker.returncode == 0, errors
    return json.loads(out.read_text())


def kill(name, folder, out, *, after):
    """Start a worker and kill it; returns whether it was still at work."""
    worker = start(name, folder, out)
    time.sleep(after)
    worker.send_signal(signal.SIGKILL)
    worker.communicate(timeout=60)
    return worker.returncode == -signal.SIGKILL


def survives(name, tmp_path, *, kills, seed, longest=LONGEST):
    """Returns how many kills came while the run was at work."""
    rng = random.Random(seed)
    wanted = finish(name, tmp_path / "whole", tmp_path / "whole.json")
    folder, out = tmp_path / "killed", tmp_path / "killed.json"
    hit = sum(kill(name, folder, out, after=rng.uniform(0.0, longest)) for _ in range(kills))
    assert hit >= kills // 2, f"only {hit} of {kills} kills came before the end"
    assert not [f for f in folder.iterdir() if f.name not in NAMES and not f.name.startswith(".ostinato-")]
    assert finish(name, folder, out) == wanted
    before = [(folder / f).read_bytes() for f in NAMES]
    assert finish(name, folder, out) == wanted  # a run that is done is recognised
    assert before == [(folder / f).read_bytes() for f in NAMES]
    return hit


def test_a_run_that_is_killed_ends_as_if_nothing_had_happened(tmp_path):
    survives("lstm in truncated streams", tmp_path, kills=3, seed=0, longest=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_fifty_kills(name, tmp_path):
    survives(name, tmp_path, kills=KILLS, seed=CONFIGURATIONS.index(name))


def main():
    """Print how each configuration came through its kills."""
    for seed, name in enumerate(CONFIGURATIONS):
        with tempfile.TemporaryDirectory() as place:
            hit = survives(name, Path(place), kills=KILLS, seed=seed)
        print(f"| {name} | {KILLS} | {hit} | yes |", flush=True)


if __name__ == "__main__":
    main()
