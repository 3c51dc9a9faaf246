"""Kills one run several times in a row, then lets it end, and looks at what it gives.

The processes that are killed are forked from this one, which has imported torch but never computed with it: a new
interpreter would be at work a hundred times shorter than it starts. The uninterrupted run that all are compared with,
and the last run, are new interpreters.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import NamedTuple

from tests.kills import runs
from tests.kills.worker import out_of, work

from ostinato.train.generations import NAMES
from ostinato.train.snapshots import Scene, Standing

ROOT = Path(__file__).parents[2]
LINKS = 5
"""Most kills of one run."""
LAST = 20.0
"""Seconds that a process may take to notice that another one is gone."""


class Tally(NamedTuple):
    """What was counted.

    Args:
        kills: Kills that came while the run was at work.
        writing: Those of them that came while a checkpoint was being written.
        whole: Runs that were killed, taken up, and compared.
    """

    kills: int
    writing: int
    whole: int


class Run(NamedTuple):
    """A run in a folder.

    Args:
        name: Its configuration.
        folder: Of its checkpoint.
        out: Where it puts its digests.
    """

    name: str
    folder: Path
    out: Path

    @property
    def processes(self):
        return runs.CONFIGURATIONS[self.name].processes

    def digests(self):
        """What each of its processes has found; all must have found the same."""
        found = [json.loads(out_of(self.out, rank).read_text()) for rank in range(self.processes)]
        assert all(f == found[0] for f in found), f"{self.name}: processes of one run differ, {found}"
        return found[0]

    def generations(self):
        return [(self.folder / name).read_bytes() for name in NAMES]

    def unfinished(self):
        """Files that a write had not finished."""
        return {path.name for path in self.folder.glob(".ostinato-*.new")}

    def errors(self):
        return "\n".join(path.read_text() for path in sorted(self.out.parent.glob(f"{self.out.name}.*.errors")))


def survives(name, place, *, kills, seed):
    """Kill runs of a configuration until so many kills have hit; raises `AssertionError` where one ends otherwise.

    Args:
        name: The configuration.
        place: An empty folder.
        kills: How many.
        seed: Decides the instants.
    """
    rng = random.Random(seed)
    reference = Run(name, place / "whole", place / "whole.out")
    in_a_new_interpreter(reference)
    wanted = reference.digests()
    length = lasts(Run(name, place / "timed", place / "timed.out"), wanted)
    tally = Tally(0, 0, 0)
    while tally.kills < kills:
        run = Run(name, place / str(tally.whole), place / f"{tally.whole}.out")
        tally = chain(run, wanted, tally, kills=kills, length=length, rng=rng)
    return tally


def chain(run, wanted, tally, *, kills, length, rng):
    """Kill a run a few times, at any instants, and let it end."""
    hits, writing = 0, 0
    while hits < min(LINKS, kills - tally.kills):
        before = run.unfinished()
        if not killed(run, after=rng.uniform(0.0, 2.0 * length / LINKS), victims=some(run, rng)):
            break
        hits += 1
        writing += bool(run.unfinished() - before)
    tally = Tally(tally.kills + hits, tally.writing + writing, tally.whole + 1)
    finish = in_a_new_interpreter if hits and tally.kills == kills else ends
    finish(run)
    found = run.digests()
    assert found == wanted, f"{run.name}: after {hits} kills {differing(found, wanted)} not the same"
    assert {f.name for f in run.folder.iterdir() if f.suffix != ".old"} == set(
        NAMES
    )  # .old: killed after its last save
    kept = run.generations()
    ends(run)  # a run that is done is recognised
    assert run.digests() == wanted
    assert run.generations() == kept
    return tally


def differing(found, wanted):
    return ", ".join(key for key in wanted if found[key] != wanted[key]) + " are"


def lasts(run, wanted):
    """Seconds of the run in forked processes, which must give the same."""
    begin = time.monotonic()
    ends(run)
    length = time.monotonic() - begin
    assert run.digests() == wanted
    return length


def in_a_new_interpreter(run):
    """Let a run end, as the user would start it."""
    words = ["-m", "tests.kills.worker", run.name, str(run.folder), str(run.out)]
    if run.processes > 1:
        words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(run.processes), *words]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
                       OMP_NUM_THREADS="1", PYTHONWARNINGS="" if run.processes > 1 else "error")  # fmt: skip
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, cwd=ROOT,
                          timeout=600, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def ends(run):
    """Let a run end in forked processes."""
    for process in start(run):
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert status == 0, f"{run.name} ended with {status}: {run.errors()}"


def some(run, rng):
    """Whom a kill takes: of several processes one of them, or all."""
    ranks = list(range(run.processes))
    return ranks if run.processes == 1 or rng.random() < 0.25 else [rng.choice(ranks)]


def killed(run, *, after, victims):
    """Start a run, kill some of its processes after a time; returns whether they were at work.

    The others must end by themselves, with an error that says so.
    """
    processes = start(run)
    time.sleep(after)
    for rank in victims:
        os.kill(processes[rank], signal.SIGKILL)  # of a process that has ended there is still the status
    status = [None if rank in victims else left(process) for rank, process in enumerate(processes)]
    for rank in victims:
        status[rank] = os.waitstatus_to_exitcode(os.waitpid(processes[rank], 0)[1])
    hit = all(status[rank] == -signal.SIGKILL for rank in victims)
    lost = [s for rank, s in enumerate(status) if rank not in victims]
    assert all(s in (0, 1, -signal.SIGKILL) for s in (*status,)), f"{run.name} ended with {status}: {run.errors()}"
    assert not any(s == 1 for s in lost) or "ProcessLost" in run.errors(), run.errors()
    return hit and not any(s == 0 for s in lost)


def left(process):
    """How a process ends whose partner is gone; one that still waits for it to join is ended, as torchrun does."""
    until = time.monotonic() + LAST
    while time.monotonic() < until:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def start(run):
    """Fork the processes of a run."""
    told = {"WORLD_SIZE": str(run.processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [fork(run, told | {"RANK": str(rank)}) for rank in range(run.processes)]


def fork(run, environment):
    """A process that does its part of a run and is gone."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.environ |= environment
        errors = os.open(f"{run.out}.{environment['RANK']}.errors", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(errors, 1)
        os.dup2(errors, 2)
        work(run.name, run.folder, run.out)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def forget(piece):
    """From now on, a forked run goes on with all that was saved but this piece: do the kills notice?"""
    put = Scene.put

    def partly(scene, saved):
        begun = scene.take(Standing(saved["epoch"], saved["step"]))
        return put(scene, {**saved, piece: begun[piece]})

    Scene.put = partly


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
