"""A callback with `lasting = False`, which a run goes on without, made it another run, which was refused."""

from __future__ import annotations

import numpy as np
import pytest

from ostinato import Sequential
from ostinato.errors import CheckpointMismatch
from ostinato.layers import GRU, Dense
from ostinato.train import Callback, HistoryCallback


class Watching(Callback):
    lasting, seen = False, 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen == 5:
            raise RuntimeError


def fit(folder, *callbacks):
    x = np.random.default_rng(0).normal(size=(12, 5, 2)).astype(np.float32)
    model = Sequential([GRU(3, dropout=0.2, input_shape=(5, 2)), Dense(1)], seed=1)
    model.compile("adam", "mse")
    model.fit(x, x.sum((1, 2))[:, None], 4, 3, verbose=0, callbacks=callbacks, checkpoint=folder, every=0.0)
    return [w.tobytes() for w in model.get_weights()]


def test_a_run_goes_on_without_it(tmp_path):
    with pytest.raises(RuntimeError):
        fit(tmp_path / "run", Watching(), HistoryCallback())
    with pytest.raises(CheckpointMismatch, match="callback 1"):
        fit(tmp_path / "run")
    assert fit(tmp_path / "run", HistoryCallback()) == fit(tmp_path / "whole", HistoryCallback())
