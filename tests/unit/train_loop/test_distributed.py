"""Several processes do what one does; and a share of the rows keeps its states."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.train_loop import together

from ostinato.errors import ArgumentError, ResumeWarning
from ostinato.train import Batches, Checkpoint, Streams
from ostinato.train.distributed import Share, Team, team
from ostinato.train.feeds import Cut

ROOT = Path(__file__).parents[3]
needs_gloo = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this torch was built without gloo"
)


def launch(*words, restarts=0):
    """Start two processes."""
    environment = dict(
        os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "src"), *filter(None, sys.path)]),
        OMP_NUM_THREADS="1",
    )  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d",
         "--rdzv-endpoint", "127.0.0.1:0", "--max-restarts", str(restarts), *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=ROOT,
    )  # fmt: skip


def finish(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


@needs_gloo
def test_two_processes_do_what_one_does(tmp_path):
    finish(launch(together.__file__, tmp_path))
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    both = [np.load(tmp_path / f"{rank}.npy") for rank in (0, 1)]
    alone, history = together.fit(None)
    assert both[0].tobytes() == both[1].tobytes()
    assert first["history"] == second["history"]
    np.testing.assert_allclose(both[0], alone, rtol=0, atol=2e-6)
    assert set(history) == {"loss", "error", "val_loss", "val_error"} == set(first["history"])
    for name, values in history.items():
        np.testing.assert_allclose(first["history"][name], values, rtol=1e-5)

    (tmp_path / "alone").mkdir()
    model, history = together.keras(tmp_path / "alone")
    ours = np.concatenate([w.reshape(-1) for w in model.get_weights()])
    both = [np.load(tmp_path / f"keras-{rank}.npy") for rank in (0, 1)]
    assert both[0].tobytes() == both[1].tobytes()
    np.testing.assert_allclose(both[0], ours, rtol=0, atol=2e-6)
    for name in ("1.safetensors", "3.safetensors", "log.csv"):
        assert (tmp_path / name).exists()
    assert (tmp_path / "log.csv").read_text().count("\n") == 4

    for found in (first["found"], second["found"]):
        assert found["keras history"].keys() == history.keys()
        for name, values in found.pop("keras history").items():
            np.testing.assert_allclose(values, history[name], rtol=1e-5)
        assert "the same options and the same data" in found["keras seeds"]
        assert "seed is" in found.pop("keras seeds") or found is first["found"]
        assert "several processes" in found.pop("keras stateful")
        assert "train_on_batch must be called in one process" in found.pop("keras batch")
        assert all(found.pop(name) for name in ("again", "crashed", "resumed", "halted", "went on"))
        assert "1 rows, so that a process has an empty share" in found.pop("empty")
        assert "the same options and the same data" in found["differ"]
        assert "epochs" not in found.pop("differ")
        assert found.pop("unwritable").startswith("CheckpointWriteError")
        assert not found

    with pytest.warns(ResumeWarning, match="processes 2 -> 1"):
        saved = Checkpoint(tmp_path / "other", {}, every=1e9)
    with saved as run:
        assert run.part("net").saved["step"] == 2  # in the middle of an epoch
        np.testing.assert_allclose(together.fit(None, run=run)[0], alone, rtol=0, atol=2e-6)


def test_a_process_alone_is_no_team(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert team.__wrapped__() is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ArgumentError, match="without RANK"):
        team.__wrapped__()


@given(
    lengths=st.lists(st.integers(1, 12), min_size=3, max_size=8), rows=st.integers(3, 5), bptt=st.integers(1, 5),
    size=st.integers(1, 3), epoch=st.integers(0, 3),
)  # fmt: skip
def test_shares_make_up_the_whole_and_keep_their_states(lengths, rows, bptt, size, epoch):
    x = [torch.arange(n) + 100 * i for i, n in enumerate(lengths)]
    whole = Streams(x, x, rows, bptt)
    pieces = list(whole.pieces(epoch))
    states = [[(step, int(lane)) for lane in piece.lanes] for step, piece in enumerate(pieces)]
    for first in range(len(pieces)):
        shares = [list(Share(whole, Team(r, size), whole=True).pieces(epoch, first)) for r in range(size)]
        for own in shares:
            state = states[first - 1] if first else None
            for step, piece in enumerate(own, first):
                if state is not None:
                    state = state if piece.keep is None else [state[k] for k in piece.keep]
                    assert [lane for _, lane in state] == piece.lanes.tolist()
                state = [(step, int(lane)) for lane in piece.lanes]
        for step, piece in enumerate(pieces[first:]):
            own = [share[step] for share in shares]
            at = torch.cat([p.among[0] for p in own])
            assert sorted(at.tolist()) == list(range(len(piece.batch.x)))
            assert torch.equal(torch.cat([p.batch.x for p in own]), piece.batch.x[at])


@pytest.mark.parametrize("kind", [Batches, Cut])
def test_shares_of_batches(kind):
    x, y = (torch.stack(part) for part in together.sequences(6, 6, 6, 6, 6))
    order = together.Order(0, 2)
    feed = Batches(together.Arrays(x, y), order) if kind is Batches else Cut(together.Arrays(x, y), order, 4)
    shares = [Share(feed, Team(r, 2), whole=True).pieces(0) for r in (0, 1)]
    for piece, one, other in zip(feed.pieces(0), *shares, strict=True):
        assert torch.equal(torch.cat([one.batch.x, other.batch.x]), piece.batch.x)
        assert torch.equal(torch.cat([one.numbers, other.numbers]), piece.numbers)


def command(text, out, folder):
    return [
        "-m", "ostinato", "fit", "generate", text, "--out", out, "--units", "8", "--epochs", "6", "--bptt", "20",
        "--batch-size", "8", "--checkpoint", folder, "--every", "0",
    ]  # fmt: skip


@needs_gloo
@pytest.mark.slow
def test_a_killed_process_and_a_restart_end_in_the_same_bytes(tmp_path):
    rng = np.random.default_rng(0)
    text = tmp_path / "text.txt"
    text.write_text("".join(rng.choice(list("abcd ef\n"), 6000)))
    for name in ("whole", "again"):
        output = finish(launch(*command(text, tmp_path / f"{name}.safetensors", tmp_path / name)))
        assert output.count("report  ") == 1
    wanted = (tmp_path / "whole.safetensors").read_bytes()
    assert (tmp_path / "again.safetensors").read_bytes() == wanted
    for rank in ("0", "1"):
        folder = tmp_path / f"killed {rank}"
        run = launch(*command(text, tmp_path / "killed.safetensors", folder), restarts=1)
        try:
            victim = worker(run.pid, rank)
            while not any(folder.glob("ostinato-b*")):
                assert run.poll() is None
                time.sleep(0.05)
            os.kill(victim, signal.SIGKILL)
        finally:
            output = finish(run)
        assert "exitcode" in output or "Signal 9" in output or "-9" in output, output
        assert (tmp_path / "killed.safetensors").read_bytes() == wanted
        (tmp_path / "killed.safetensors").unlink()
        shutil.rmtree(folder)


def worker(parent, rank):
    """The process of this rank among the children of torchrun."""
    while True:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                status = (entry / "stat").read_text().rpartition(")")[2].split()
                environment = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if status[1] == str(parent) and f"RANK={rank}".encode() in environment:
                return int(entry.name)
        time.sleep(0.05)
