"""Model files of each task, lines for them, and the command that reads them."""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tests.unit.cli.call import call
from tests.unit.runtime.bundle_samples import bundle
from tests.unit.runtime.forecasters import forecaster
from tests.unit.runtime.generators import TEXT, VOCABULARIES, generator

from ostinato.cells import CELLS
from ostinato.maps.dense import Dense
from ostinato.runtime import forecaster_file, generator_file
from ostinato.runtime.bundle import save
from ostinato.scans.recurrent import Recurrent

_GIVEN = {
    "training_epochs": 1, "training_batch_size": 8, "training_learning_rate": 0.1, "training_weight_decay": 0.0,
    "training_clip_norm": 1.0, "training_patience": 1, "training_members": 2, "training_seed": 0,
    "windows_length": 6, "windows_season": 4, "windows_test": -1, "windows_step": 1, "windows_log": "no",
    "windows_anchor": "season",
}  # fmt: skip


def write_models(folder: Path) -> None:
    """A network of two numbers a step, forecasters with and without times, and generators."""
    parts = [Recurrent(CELLS["lstm"](6), return_sequences=True), Recurrent(CELLS["gru"](5)), Dense(3)]
    save(folder / "network", bundle(parts, (None, 2)))
    save(folder / "other", bundle(parts, (None, 2), seed=1))
    save(folder / "one", bundle([Recurrent(CELLS["gru"](5)), Dense(1)], (None, 1)))
    save(folder / "forecast", forecaster_file.to_bundle(forecaster(timed=True), given=_GIVEN, version="0.1.0"))
    save(folder / "counted", forecaster_file.to_bundle(forecaster(), given=_GIVEN, version="0.1.0"))
    for name in ("characters", "names", "bytes", "words", "midi"):
        save(folder / name, generator_file.to_bundle(generator(VOCABULARIES[name]), version="0.1.0"))


def lines_of(name: str) -> list[bytes]:
    """Forty lines for a model: two streams by name, and one without."""
    rng = np.random.default_rng(4)
    days = [str(day) for day in np.datetime64("2020-02-10", "D") + np.arange(40)]
    lines: list[Any] = []
    for i in range(40):
        stream = {0: {"id": "b"}, 1: {"id": 7}, 2: {}}[i % 3]
        if name == "network":
            x = rng.normal(size=2).tolist()
            lines.append({**stream, "x": x} if stream else x)
        elif name == "forecast":
            lines.append({**stream, "ds": days[i // 3], "y": rng.normal()} if stream else rng.normal())
        else:
            text = TEXT[2 * i : 2 * i + 5]
            lines.append({**stream, "text": text} if stream else text)
    return [json.dumps(line).encode() + b"\n" for line in lines]


class Ran(NamedTuple):
    """What a process left behind."""

    code: int
    out: bytes
    err: str


def words(*more: object) -> list[str]:
    """The command in a process of its own."""
    return [sys.executable, "-m", "ostinato", "stream", *map(str, more)]


def stream(*more: object, given: bytes = b"") -> Ran:
    """Run the command on what is given, inside the process of the tests."""
    with io.TextIOWrapper(tempfile.TemporaryFile()) as sink:
        done = call("stream", *more, reads=given, out=sink)
        sink.buffer.seek(0)
        return Ran(done.code, sink.buffer.read(), done.err)
