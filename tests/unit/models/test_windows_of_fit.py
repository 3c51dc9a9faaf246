"""Truncated and recomputed gradients through `Sequential.fit`."""

from __future__ import annotations

import numpy as np
import pytest

from ostinato import Sequential
from ostinato.errors import ArgumentError, CheckpointMismatch
from ostinato.layers import GRU, LSTM, Bidirectional, Dense


def _tagger(size=None, **options):
    shape = {"batch_input_shape": (3, size, 2), "stateful": True} if size else {"input_shape": (None, 2)}
    model = Sequential([LSTM(4, return_sequences=True, **shape), Dense(1)], seed=2)
    model.compile("adam", "mse", **options)
    return model


def test_windows_of_a_sequence_train_as_batches_of_a_stateful_model():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 12, 2)).astype(np.float32), rng.normal(size=(3, 12, 1)).astype(np.float32)
    windows, stateful = _tagger(), _tagger(4)
    losses = windows.fit(x, y, batch_size=3, epochs=3, shuffle=False, verbose=0, bptt=4).history["loss"]
    cut = [np.concatenate([a[:, i : i + 4] for i in range(0, 12, 4)]) for a in (x, y)]
    for epoch in range(3):
        stateful.reset_states()
        stateful.fit(*cut, batch_size=3, initial_epoch=epoch, epochs=epoch + 1, shuffle=False, verbose=0)
    for a, b in zip(windows.get_weights(), stateful.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()
    whole = _tagger().fit(x, y, batch_size=3, epochs=3, shuffle=False, verbose=0)
    assert losses != whole.history["loss"]
    long = _tagger().fit(x, y, batch_size=3, epochs=3, shuffle=False, verbose=0, bptt=12)
    assert long.history == whole.history


@pytest.mark.parametrize("sequences", [True, False])
def test_both_kinds_of_memory_give_the_same_bits(sequences):
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(n, 2)).astype(np.float32) for n in (12, 7, 3, 9, 12)]
    y = rng.normal(size=(5, 12, 1) if sequences else (5, 1)).astype(np.float32)
    found = []
    for memory in ("store", "recompute", "truncate"):
        model = Sequential([GRU(4, return_sequences=sequences, input_shape=(None, 2)), Dense(1)], seed=2)
        model.compile("adam", "mse")
        model.fit(x, y, batch_size=2, epochs=2, verbose=0, bptt=5, memory=memory)
        found.append(np.concatenate([w.reshape(-1) for w in model.get_weights()]))
    assert found[0].tobytes() == found[1].tobytes() != found[2].tobytes()


def test_windows_are_part_of_a_saved_run(tmp_path):
    x, y = np.ones((3, 12, 2), np.float32), np.ones((3, 12, 1), np.float32)
    _tagger().fit(x, y, verbose=0, bptt=5, checkpoint=tmp_path)
    for other in ({}, {"bptt": 4}, {"bptt": 5, "memory": "store"}):
        with pytest.raises(CheckpointMismatch, match=r"bptt|gradient"):
            _tagger().fit(x, y, verbose=0, checkpoint=tmp_path, **other)


def test_windows_that_cannot_be_are_refused():
    x, y = np.ones((3, 12, 2), np.float32), np.ones((3, 12, 1), np.float32)
    with pytest.raises(ArgumentError, match="stateful model"):
        _tagger(12).fit(x, y, batch_size=3, shuffle=False, verbose=0, bptt=4)
    for wrong in ({"bptt": -1}, {"bptt": 1.5}, {"bptt": 4, "memory": "all"}):
        with pytest.raises(ArgumentError, match=r"bptt|memory"):
            _tagger().fit(x, y, verbose=0, **wrong)
    both = Sequential([Bidirectional(LSTM(2, return_sequences=True), input_shape=(None, 2)), Dense(1)], seed=0)
    both.compile("adam", "mse")
    with pytest.raises(ArgumentError, match="layer 1"):
        both.fit(x, y, verbose=0, bptt=4)
