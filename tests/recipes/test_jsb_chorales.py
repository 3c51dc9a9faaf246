"""The recipe of JSB chorales: its figure is the published protocol's; with the data at hand, it runs."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ostinato.train import Objective, measure

FILE = Path(__file__).parents[2] / "recipes" / "jsb_chorales.py"
SPEC = importlib.util.spec_from_file_location("jsb_chorales", FILE)
assert SPEC is not None
assert SPEC.loader is not None
recipe = importlib.util.module_from_spec(SPEC)
sys.modules["jsb_chorales"] = recipe
SPEC.loader.exec_module(recipe)
DATA = Path(os.environ.get("OSTINATO_DATA", "nowhere"))
needs_data = pytest.mark.skipif(not (DATA / "jsb").is_dir(), reason="needs OSTINATO_DATA with jsb/")
RNG = np.random.default_rng(0)
ROLLS = [(RNG.random((n, 88)) < 0.1).astype(np.float32) for n in (9, 2, 30, 17, 5)]


def test_the_figure_is_the_mean_over_frames_of_the_sum_over_keys():
    stack = recipe.network(recipe.Options(units=7), seed=0).eval()
    total, frames = 0.0, 0
    with torch.no_grad():
        for roll in ROLLS:
            p = torch.sigmoid(stack(torch.from_numpy(roll[None, :-1]))).double().numpy()[0]
            total -= (np.log(p) * roll[1:] + np.log(1 - p) * (1 - roll[1:])).sum()
            frames += len(roll) - 1
    for batch_size in (1, 3, 5):
        found = measure(stack, recipe.streams(ROLLS, batch_size), Objective(recipe.nats))["loss"]
        assert found == pytest.approx(total / frames, rel=1e-5)


def test_it_learns_made_up_chorales_and_keeps_the_best_epoch():
    same = [np.tile(ROLLS[0][:4], (6, 1))] * 6
    plain = {"dropout_in": 0.0, "dropout_out": 0.0, "weight_drop": 0.0}
    options = recipe.Options(units=32, epochs=150, learning_rate=0.02, decay=1.0, **plain)
    found = recipe.run(recipe.Parts(same, same[:2], same[:2]), options, seed=0)
    assert found.valid == pytest.approx(found.test)
    assert found.test < 5.0
    assert 1 <= found.epoch <= 150


def test_without_data_it_says_what_is_missing(monkeypatch, capsys, tmp_path):
    for folder in (None, str(tmp_path)):
        monkeypatch.delenv("OSTINATO_DATA", raising=False)
        if folder:
            monkeypatch.setenv("OSTINATO_DATA", folder)
        with pytest.raises(SystemExit) as caught:
            recipe.main([])
        assert caught.value.code == 2
        assert "jsb/JSB_Chorales.mat" in capsys.readouterr().err


@needs_data
def test_it_runs_on_the_data(capsys):
    parts = recipe.load(DATA)
    assert list(map(len, parts)) == [229, 76, 77]
    assert sum(len(roll) - 1 for roll in parts.test) == 4648
    recipe.main(["--seeds", "1", "--units", "8", "--epochs", "1"])
    assert "published: LSTM 8.45, GRU 8.43, TCN 8.10" in capsys.readouterr().out
