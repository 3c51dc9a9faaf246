"""`ostinato evaluate`: a forecaster without torch, and a `Sequential` by what it was compiled with."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from tests.unit.cli.call import call

import ostinato
from ostinato.errors import MissingDependency


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("evaluate"), np.random.default_rng(0)
    x = rng.normal(size=(20, 5, 2)).astype(np.float32)
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", x.sum((1, 2))[:, None])
    layers = ostinato.layers
    model = ostinato.Sequential([layers.Input((5, 2)), layers.GRU(3), layers.Dense(1)], seed=1)
    model.save(folder / "bare")
    model.compile("adam", "mse", metrics=["mae"])
    model.save(folder / "model")
    return folder


def without_torch(*words):
    code = f"import sys; sys.modules['torch'] = None; sys.argv = {['ostinato', *map(str, words)]}\n"
    code += "from ostinato.cli.main import main; main()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_sequential_gives_its_loss_and_metrics(place):
    done = call("evaluate", place / "model", place / "x.npy", place / "y.npy")
    assert (done.code, done.err) == (0, "")
    found = dict(line.split() for line in done.out.splitlines())
    want = ostinato.load_model(place / "model").evaluate(
        np.load(place / "x.npy"), np.load(place / "y.npy"), return_dict=True
    )
    assert list(found) == list(want) == ["loss", "mae"]
    assert [float(value) for value in found.values()] == pytest.approx(list(want.values()), rel=1e-5)


@pytest.mark.parametrize(
    ("model", "words", "said"),
    [
        ("model", ["x.npy"], "two files, inputs and targets, got 1."),
        ("model", ["x.npy", "y.npy", "y.npy"], "got 3."),
        ("model", ["x.npy", "x.npy"], "y must have the shape (20, 1)"),
        ("model", ["x.npy", "y.npy", "--out", "b.csv"], "out must only be given for forecasts"),
        ("bare", ["x.npy", "y.npy"], "compile"),
    ],
)
def test_what_a_sequential_must_be_given(place, model, words, said):
    done = call("evaluate", place / model, *[word if word[:2] == "--" else place / word for word in words])
    assert (done.code, done.fault) == (2, False)
    assert said in done.err
    assert done.err.count("\n") == 1


def test_without_torch_a_forecaster_is_evaluated_and_a_sequential_says_what_is_missing(place, model, csv):
    done = without_torch("evaluate", model, csv)
    assert (done.returncode, done.stdout) == (0, call("evaluate", model, csv).out)
    refused = without_torch("evaluate", place / "model", place / "x.npy", place / "y.npy")
    assert refused.returncode == 2
    assert f"[{MissingDependency.default_code}]" in refused.stderr
    assert 'pip install "ostinato[train]"' in refused.stderr
