"""SIGKILL at random instants, then the same command again: the same bits of weights, history and predictions.

`python -m tests.kills.test_kills --kills 50` prints the table of five hundred kills over ten configurations.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch.distributed as dist
from tests.kills.chains import ROOT, forget, survives
from tests.kills.runs import CONFIGURATIONS

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")


def command(name, *, kills, options=()):
    """Kill runs of one configuration, in a process that has not computed with torch, so that it can be forked."""
    if CONFIGURATIONS[name].processes > 1 and not (dist.is_available() and dist.is_gloo_available()):
        pytest.skip("this torch was built without gloo")
    words = ["-m", "tests.kills.test_kills", "--kills", str(kills), *options, "--only", name]
    done = subprocess.run(
        [sys.executable, "-W", "error", *words],
        env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), *filter(None, sys.path)]), OMP_NUM_THREADS="1"),
        capture_output=True, text=True, cwd=ROOT, timeout=1800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@forks
def test_a_run_that_is_killed_ends_as_if_nothing_had_happened():
    assert command("stateful LSTM", kills=3).startswith("| stateful LSTM | 3 |")


@forks
@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_five_kills(name):
    assert command(name, kills=5).startswith(f"| {name} | 5 |")


@forks
@pytest.mark.slow
@pytest.mark.parametrize("piece", ["random", "optimizer", "kept"])
def test_a_piece_that_is_left_out_is_noticed(piece):
    assert "are not the same" in command("stateful LSTM", kills=5, options=["--forget", piece])


def main():
    """Print how each configuration came through its kills."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kills", type=int, default=5, help="of each configuration")
    parser.add_argument("--only", nargs="*", default=list(CONFIGURATIONS), metavar="NAME")
    parser.add_argument("--seed", type=int, default=0, help="decides the instants")
    parser.add_argument("--forget", metavar="PIECE", help="of what is saved, to see who notices: random, optimizer, …")
    asked = parser.parse_args()
    if asked.forget:
        forget(asked.forget)
    for name in asked.only:
        seed = 1000 * asked.seed + list(CONFIGURATIONS).index(name)
        with tempfile.TemporaryDirectory() as place:
            try:
                tally = survives(name, Path(place), kills=asked.kills, seed=seed)
            except AssertionError as error:
                if not asked.forget:
                    raise
                print(f"| {name} | {error!s:.200} |".replace("\n", " "), flush=True)
                continue
        print(f"| {name} | {tally.kills} | {tally.writing} | {tally.whole} | yes |", flush=True)


if __name__ == "__main__":
    main()
