"""The same seed gives the same bytes, run after run, with one thread and with two."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ostinato import Forecast, Generate, Sequential
from ostinato.layers import GRU, LSTM, Dense, Dropout
from ostinato.tasks.training import Training
from ostinato.train import Adam

ROOT = Path(__file__).parents[2]
RUNS = 50


def _sequential(cell):
    """Layers wide enough that threads share their work."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 20, 16)).astype(np.float32)
    model = Sequential([cell(160, return_sequences=True, dropout=0.2), cell(96), Dropout(0.2), Dense(1)], seed=5)
    model.compile(Adam(0.003, global_clipnorm=1.0), "mse")
    history = model.fit(x, x.sum((1, 2))[:, None], 32, 2, verbose=0)
    return [*model.get_weights(), model.predict(x), np.array(history.history["loss"])]


def _forecast():
    model = Forecast(horizon=3, units=64, training=Training(epochs=2, members=2)).fit(Forecast.sample())
    frame = model.predict()
    return [w for member in model.forecaster_.members for layer in member for w in layer.values()] + [
        np.asarray(frame[name]) for name in frame if name.startswith("LSTM")
    ]


def _generate():
    model = Generate(units=192, training=Training(epochs=2, bptt=32)).fit(Generate.sample())
    text = model.generate("the ", length=80, seed=3)
    return [*(w for layer in model.generator_.weights for w in layer.values()), np.array([text])]


CASES = {
    "lstm": lambda: _sequential(LSTM),
    "gru": lambda: _sequential(GRU),
    "forecast": _forecast,
    "generate": _generate,
}


def digest(name: str, threads: int) -> str:
    """SHA-256 of weights, history and predictions of a training."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = hashlib.sha256()
        for value in CASES[name]():
            found.update(np.ascontiguousarray(value).tobytes())
        return found.hexdigest()
    finally:
        torch.set_num_threads(before)


def _apart(name: str, threads: int) -> str:
    """The same in a process of its own, which knows nothing of this one."""
    code = f"from tests.laws.test_same_bytes import digest; print(digest({name!r}, {threads}))"
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    environment = dict(os.environ, PYTHONPATH=paths, OMP_NUM_THREADS=str(threads), PYTHONHASHSEED="random")
    words = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(words, capture_output=True, text=True, check=True, env=environment, cwd=ROOT).stdout.strip()


@pytest.mark.parametrize(("name", "threads"), [("lstm", 1), ("lstm", 2), ("gru", 2), ("forecast", 1), ("generate", 1)])
def test_the_same_seed_gives_the_same_bytes(name, threads):
    assert digest(name, threads) == digest(name, threads)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_fifty_runs(name, threads):
    each = -(-RUNS // (2 * len(CASES)))
    assert {_apart(name, threads) for _ in range(each)} == {digest(name, threads)}
