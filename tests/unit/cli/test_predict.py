"""`ostinato predict` of a `Sequential`: a .npy file of inputs in, a table or a .npy file out."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from tests.unit.cli.call import call
from tests.unit.cli.test_bad_input import refused
from tests.unit.runtime.bundle_samples import bundle

from ostinato.cells import CELLS
from ostinato.maps.dense import Dense
from ostinato.maps.reshape import Reshape
from ostinato.runtime import load
from ostinato.runtime.bundle import save
from ostinato.scans.recurrent import Recurrent

X = np.random.default_rng(2).normal(size=(3, 4, 2)).astype(np.float32)
MODELS = {
    "last": ([Recurrent(CELLS["lstm"](5)), Dense(1)], ["row", "y"]),
    "all": ([Recurrent(CELLS["gru"](5), return_sequences=True), Dense(3)], ["row", "step", "y0", "y1", "y2"]),
    "deep": ([Recurrent(CELLS["gru"](6)), Reshape((1, 2, 3))], []),
}


@pytest.fixture
def place(tmp_path):
    for name, (parts, _) in MODELS.items():
        save(tmp_path / name, bundle(parts, (None, 2)))
    np.save(tmp_path / "x.npy", X)
    return tmp_path


@pytest.mark.parametrize("name", ["last", "all"])
def test_a_table_has_a_row_for_each_sample_or_step(name, place):
    done = call("predict", place / name, place / "x.npy")
    assert done.code == 0, done.err
    header, *rows = csv.reader(io.StringIO(done.out, newline=""))
    assert header == MODELS[name][1]
    y = load(place / name).predict(X)
    width = y.shape[-1]
    numbers = np.array([[float(cell) for cell in row] for row in rows])
    assert np.array_equal(numbers[:, -width:].astype(np.float32).reshape(y.shape), y)
    assert np.array_equal(numbers[:, :-width], list(np.ndindex(y.shape[:-1])))
    assert call("predict", place / name, place / "x.npy", "--out", place / "y.csv").code == 0
    assert (place / "y.csv").read_text() == done.out


@pytest.mark.parametrize("name", MODELS)
def test_an_array(name, place):
    done = call("predict", place / name, place / "x.npy", "--out", place / "y.npy")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert np.array_equal(np.load(place / "y.npy"), load(place / name).predict(X))


def test_what_is_refused(place):
    np.save(place / "wide.npy", X[..., :1])
    np.save(place / "objects.npy", np.array([None]))
    np.save(place / "nan.npy", X * np.nan)
    (place / "t.txt").write_text("1,2\n")
    refused(call("predict", place / "all"), code="argument]", word="numpy.save")
    refused(call("predict", place / "all", place / "wide.npy"), code="shape]")
    refused(call("predict", place / "all", place / "none.npy"), code="npy]", word="No such file")
    for name in ("objects.npy", "nan.npy", "t.txt", "."):
        refused(call("predict", place / "all", place / name), code="npy]")
    refused(call("predict", place / "deep", place / "x.npy"), code="argument]", word=".npy")
    refused(call("predict", place / "all", place / "x.npy", "--out", place / "y.txt"), code="extension]")
    refused(call("predict", place / "all", place / "x.npy", "--out", place / "x.npy"), code="write]")
