"""Feeds damaged and hostile input to everything that reads files, and reports what is neither accepted nor refused.

    python -m tests.fuzz.fuzz_model_file --seconds 600 --seed 1 [--target model] [--keep FOLDER]

An input must be accepted or refused by an `OstinatoError`, within a second of work and a gigabyte of memory. Anything
else is a finding: it is kept in FOLDER, and the command ends with 1. Inputs that are answered in a new way (another
code, another rule) are mutated again, so that the search goes deeper than its seeds.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

from tests.attacks.build import forecast, generate, model, numbers
from tests.attacks.make_attacks import ATTACKS, SNAPSHOTS
from tests.attacks.snapshot_attacks import KIND, MODEL
from tests.attacks.snapshot_attacks import snapshot as valid_snapshot
from tests.fuzz import mutate
from tests.fuzz.work import SECONDS, TooLong

from ostinato.convert.source import read_source
from ostinato.data import read_panel, read_texts, read_tune, write_tune
from ostinato.data.inputs import Note, Tune
from ostinato.errors import OstinatoError
from ostinato.runtime import load
from ostinato.runtime.snapshot import unpack

MODELS = sorted((Path(__file__).parents[1] / "golden/models").glob("*/*.safetensors"))
KERAS = Path(__file__).parents[1] / "golden/model.keras"
H5 = KERAS.with_name("chain.h5")
MEMORY = 1 << 30
MOST_SEEDS = 3000

Mutate = Callable[[Random, bytes, bytes], bytes]


@dataclass(frozen=True)
class Target:
    """One reader.

    Args:
        seeds: Inputs to begin with.
        read: Reads a file; what it raises beyond `OstinatoError` is a finding.
        mutators: One is drawn for each input.
        ending: How the file's name ends.
        seconds: How much work an input may take.
    """

    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    mutators: tuple[Mutate, ...] = (mutate.raw,)
    ending: str = ""
    seconds: float = SECONDS


CSV = [
    b"ds,y\n2024-01-01,1\n2024-01-02,2.5\n2024-01-03,\n2024-01-04,-3e2\n",
    b"unique_id;ds;y\na;1949-01;1,5\na;1949-02;2\nb;1949-01;3\nb;1949-02;4\n",
    b'id\ttime\tvalue\n"x ""q"""\t31/01/2020\t1\n"line\nbreak"\t28/02/2020\t2\n',
    b"\xef\xbb\xbfdate,a,b\r\n2020-01-01T00:00:00+02:00,1,2\r\n2020-01-01T01:00:00+02:00,3,4\r\n",
    b"step,y\n1,1\n2,2\n3,4\n5,8\n", b"y\n1\n2\nNaN\n4\n", b"quarter,y\n2020Q1,1\n2020Q2,2\n2020Q3,3\n",
]  # fmt: skip
TEXTS = [b"the rain\nfalls on\n\nthe sea\n", "h\u00e4\u96e8 \U0001f327\n".encode() * 3, b"\xef\xbb\xbfa\r\nb\rc", b"a"]


def _tunes() -> list[bytes]:
    notes = [Note(i * 6, i * 6 + 9, 60 + i * 5 % 12, 40 + i) for i in range(12)]
    tracks = b"MTrk\0\0\0\4\0\xff\x2f\0", b"MTrk\0\0\0\x0e\0\xc0\5\0\x90\x40\x40\x60\x80\x40\0\0\xff\x2f\0"
    several = b"MThd\0\0\0\6\0\1\0\2\0\x60" + b"".join(tracks)
    return [write_tune(Tune.of(notes)), write_tune(Tune.of(notes[:1], steps_per_beat=1, tempo=1)), several]


def _panel(path: Path) -> object:
    return read_panel(path)


def _texts(path: Path) -> object:
    return [
        read_texts(path, items=items, errors=errors)
        for items in ("stream", "lines")
        for errors in ("strict", "replace")
    ]


def _unpack(path: Path) -> object:
    return unpack(path.read_bytes(), MODEL, KIND)


def _state_dicts() -> list[bytes]:
    found = []
    for gates in (4, 3, 1):
        shapes = {"weight_ih_l0": [2 * gates, 3], "weight_hh_l0": [2 * gates, 2], "bias_ih_l0": [2 * gates],
                  "bias_hh_l0": [2 * gates]}  # fmt: skip
        tensors = {f"rnn.{name}": numbers("F32", shape) for name, shape in shapes.items()}
        tensors |= {"head.weight": numbers("F32", [5, 2]), "head.bias": numbers("F32", [5])}
        header, at = {}, 0
        for name, (kind, shape, data) in tensors.items():
            header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + len(data)]}
            at += len(data)
        text = json.dumps(header).encode()
        found.append(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))
    return found


def _keras() -> list[bytes]:
    return [KERAS.read_bytes()]


def _models() -> list[bytes]:
    hostile = [data for data in (make()[1] for make in ATTACKS.values()) if len(data) < 4096]
    return [*(path.read_bytes() for path in MODELS), model(), forecast(), generate(), *hostile]


TARGETS: dict[str, Target] = {
    "model": Target(_models, load, (mutate.model_file, mutate.model_file, mutate.model_file, mutate.raw)),
    "snapshot": Target(
        lambda: [valid_snapshot(), *(data for data in (make()[1] for make in SNAPSHOTS.values()) if len(data) < 4096)],
        _unpack, (mutate.snapshot, mutate.snapshot, mutate.raw),
    ),
    "csv": Target(lambda: list(CSV), _panel, (mutate.table, mutate.table, mutate.raw), ".csv"),
    "csv_gz": Target(lambda: [gzip.compress(data, mtime=0) for data in CSV], _panel, ending=".csv.gz"),
    "text": Target(lambda: list(TEXTS), _texts, ending=".txt"),
    "state_dict": Target(_state_dicts, read_source, (mutate.plain_tensors, mutate.plain_tensors, mutate.raw)),
    **({"keras": Target(_keras, read_source, (mutate.archive, mutate.archive, mutate.raw), ".keras"),
        "h5": Target(lambda: [H5.read_bytes()], read_source, ending=".h5", seconds=5.0)}
       if find_spec("h5py") else {}),
    **({"midi": Target(_tunes, read_tune, ending=".mid")} if find_spec("mido") else {}),
}  # fmt: skip


@dataclass
class Found:
    """What came out.

    Args:
        executions: How many inputs were read.
        answers: How often each answer was given: "accepted", or the code of an error.
        faults: What went wrong, and the input.
    """

    executions: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, bytes]] = field(default_factory=list)


def fuzz(target: Target, *, seed: int, seconds: float = 1e9, executions: int = 10**12) -> Found:
    """Read mutants until time or number is reached; the same seed and number give the same inputs."""
    rng, found, seeds = Random(seed), Found(), target.seeds()
    known: set[str] = set()
    end = time.monotonic() + seconds
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder, Limits():
        path = Path(folder, "input" + target.ending)
        while found.executions < executions and time.monotonic() < end and len(found.faults) < 20:
            data = rng.choice(target.mutators)(rng, rng.choice(seeds), rng.choice(seeds))
            path.write_bytes(data)
            answer, fault = once(target.read, path, target.seconds)
            found.executions += 1
            found.answers[answer.partition(":")[0]] += 1
            if fault and answer not in known:
                found.faults.append((fault, data))
            if answer not in known:
                known.add(answer)
                if not fault and len(seeds) < MOST_SEEDS:
                    seeds.append(data)
    return found


def once(read: Callable[[Path], object], path: Path, seconds: float = SECONDS) -> tuple[str, str]:
    """How an input was answered, and what is wrong with that, if anything."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # what NumPy says of numbers, which no user understands
            read(path)
    except OstinatoError as error:
        signal.setitimer(signal.ITIMER_PROF, 0)
        text = str(error)
        shown = text.replace("…", "").replace("·", "").replace("×", "")
        fine = shown.isprintable() and not re.search(r" object at 0x|Traceback \(", text)
        strange = "" if fine else f"a message that must not be shown: {text!r:.300}"
        return f"{error.code}:{re.sub('[0-9]+', '0', error.rule)[:60]}", strange
    except (Exception, TooLong, RecursionError):
        signal.setitimer(signal.ITIMER_PROF, 0)
        place = "".join(traceback.format_exc(limit=-2).splitlines()[1:4])
        return f"fault:{place}", traceback.format_exc(limit=-4)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "accepted", ""


class Limits:
    """Within it too much work raises `TooLong`, and too much memory `MemoryError`."""

    def __enter__(self) -> None:
        def stop(*_: Any) -> None:
            raise TooLong

        self._handler = signal.signal(signal.SIGPROF, stop)
        self._space = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, self._space[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_AS, self._space)
        signal.signal(signal.SIGPROF, self._handler)


def main(arguments: Sequence[str]) -> int:
    """Fuzz, print, keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=TARGETS, action="append", help="one or several; by default all")
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="where findings go")
    given = parser.parse_args(arguments)
    names = given.target or list(TARGETS)
    faults = 0
    for name in names:
        begin = time.monotonic()
        found = fuzz(TARGETS[name], seed=given.seed, seconds=given.seconds / len(names))
        speed = found.executions / (time.monotonic() - begin)
        shown = ", ".join(f"{code} {count}" for code, count in found.answers.most_common())
        print(
            f"{name}: {found.executions} inputs, {speed:.0f} a second, {len(found.faults)} findings ({shown})",
            flush=True,
        )
        for fault, data in found.faults:
            given.keep.mkdir(parents=True, exist_ok=True)
            path = given.keep / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
            path.write_bytes(data)
            print(f"--- {path}\n{fault}", flush=True)
        faults += len(found.faults)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
