"""What fewer bits cost: the figures of `ostinato evaluate` of both models, and plain words where there is no truth."""

from __future__ import annotations

import re
import sys
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.cli.call import call

import ostinato
from ostinato.errors import DataWarning
from ostinato.runtime import bundle, load, native
from ostinato.tasks.forecast import Forecast

needs_bf16 = pytest.mark.skipif(native.without_bf16() is not None, reason=str(native.without_bf16()))
NO_ERROR = "a difference of outputs, not an error"


def figures(text):
    """`{name: (after, before)}` of the figures that a command prints side by side."""
    number = r"(\d\S*|inf)"
    found = re.findall(rf"(\S+) {number} instead of {number}[, ]", text)
    return {name: (float(after), float(before.rstrip(","))) for name, after, before in found}


def scores(task, path):
    """What `ostinato evaluate` finds of the network."""
    table = task.evaluate(str(path)).table
    return {name: table[name][0] for name in table.columns[1:]}


def check(text, after, before):
    found = figures(text)
    assert list(found) == list(after) == list(before)
    for name, pair in found.items():
        assert pair == pytest.approx((after[name], before[name]), rel=1e-4), name
    assert any(one != other for one, other in found.values())
    assert NO_ERROR not in text
    assert "a difference of outputs\n" in text


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Two series of other days than those of training."""
    rng = np.random.default_rng(5)
    rows = ["unique_id,ds,y"]
    for name in ("a", "b"):
        values = 20.0 + 5.0 * np.sin(2.0 * np.pi * np.arange(60) / 7.0) + rng.normal(0.0, 1.0, 60)
        days = np.datetime64("2022-01-01", "D") + np.arange(60)
        rows += [f"{name},{day},{value:.4f}" for day, value in zip(days, values, strict=True)]
    path = tmp_path_factory.mktemp("cost") / "other.csv"
    path.write_text("\n".join([*rows, ""]))
    return path


@pytest.fixture(scope="module")
def two(tmp_path_factory, other):
    """A forecaster that has seen other days of these series, with weights so large that fewer bits show."""
    path = tmp_path_factory.mktemp("cost") / "model.safetensors"
    table = other.with_name("before.csv")
    table.write_text(other.read_text().replace("2022-", "2021-"))
    words = ("--horizon", "3", "--units", "16", "--epochs", "1", "--members", "2", "-q", "--out", path)
    assert call("fit", "forecast", table, *words).code == 0
    found = bundle.load(path)
    large = [{name: np.float32(4.0) * weight for name, weight in layer.items()} for layer in found.weights]
    bundle.save(path, replace(found, weights=large))
    return path


@pytest.mark.parametrize("weights", ["int8", "bf16"])
def test_smaller_weights_of_a_forecaster_cost_what_evaluate_says(two, other, tmp_path, weights):
    small = tmp_path / "small.safetensors"
    done = call("convert", two, small, "--weights", weights, "--data", other)
    assert (done.code, done.err) == (0, "")
    check(done.out, scores(Forecast.load(small), other), scores(Forecast.load(two), other))
    assert f"({Forecast.load(two).evaluate(str(other)).windows} forecasts of the held-out steps)" in done.out


@needs_bf16
def test_products_in_bf16_cost_what_evaluate_says(two, other):
    done = call("predict", two, other, "--precision", "bf16")
    assert done.code == 0, done.err
    plain = Forecast.load(two)
    rough = copy(plain)
    rough.forecaster_ = load(two, precision="bf16")
    check(done.err, scores(rough, other), scores(plain, other))
    assert done.out == load(two, precision="bf16").predict(str(other)).csv_text()


def test_scores_on_steps_of_training_are_flattering_and_this_is_said_once(model, csv, tmp_path):
    done = call("convert", model, tmp_path / "m.safetensors", "--weights", "int8", "--data", csv)
    assert done.err.count("flatter") == done.err.count("\n") == 1
    with pytest.warns(DataWarning, match="flatter"):
        before = scores(Forecast.load(model), csv)
    assert {name: pair[1] for name, pair in figures(done.out).items()} == pytest.approx(before, rel=1e-4)


def test_a_note_on_new_series_is_said_once(two, other, tmp_path):
    new = tmp_path / "new.csv"
    new.write_text(other.read_text().replace("a,", "new,"))
    done = call("convert", two, tmp_path / "m.safetensors", "--weights", "int8", "--data", new)
    assert done.code == 0, done.err
    assert done.err.count("were not in training") == done.err.count("\n") == 1
    assert figures(done.out)


def test_series_too_short_to_be_evaluated_leave_a_difference(model, csv, tmp_path):
    short, reach = tmp_path / "short.csv", load(model).framing.reach
    short.write_text("\n".join(csv.read_text().splitlines()[: reach + 3]) + "\n")
    done = call("convert", model, tmp_path / "m.safetensors", "--weights", "int8", "--data", short)
    assert done.code == 0, done.err
    assert f"{NO_ERROR}: a series must have at least {reach} steps of history and 3 to forecast" in done.out
    assert not figures(done.out)


def test_without_a_table_a_forecaster_has_a_difference_only(model, tmp_path):
    done = call("convert", model, tmp_path / "m.safetensors", "--weights", "int8")
    assert f"{NO_ERROR}: pass a table" in done.out
    assert not figures(done.out)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A folder with a compiled `Sequential`, the same not compiled, inputs and targets."""
    folder, rng = tmp_path_factory.mktemp("network"), np.random.default_rng(0)
    x = rng.normal(size=(40, 5, 2)).astype(np.float32)
    np.save(folder / "x.npy", x)
    layers = ostinato.layers
    model = ostinato.Sequential([layers.Input((5, 2)), layers.GRU(8), layers.Dense(1)], seed=1)
    np.save(folder / "y.npy", model.predict(x) + rng.normal(0.0, 0.01, (40, 1)).astype(np.float32))
    model.save(folder / "bare")
    model.compile("adam", "mse", metrics=["mae"])
    model.save(folder / "model")
    return folder


@pytest.mark.parametrize("weights", ["int8", "bf16"])
def test_smaller_weights_of_a_sequential_cost_loss_and_metrics(network, tmp_path, weights):
    small, given = tmp_path / "small.safetensors", (network / "x.npy", network / "y.npy")
    done = call("convert", network / "model", small, "--weights", weights, "--data", given[0], "--targets", given[1])
    assert (done.code, done.err) == (0, "")
    x, y = map(np.load, given)
    after, before = (ostinato.load_model(p).evaluate(x, y, return_dict=True) for p in (small, network / "model"))
    check(done.out, after, before)
    assert "(40 samples)" in done.out


@pytest.mark.parametrize(
    "words",
    [
        ("convert", "{m}", "{out}", "--weights", "int8", "--data", "{x}"),
        pytest.param(("predict", "{m}", "{x}", "--precision", "bf16"), marks=needs_bf16),
    ],
)
def test_inputs_alone_leave_a_difference(network, tmp_path, words):
    places = {"m": network / "bare", "x": network / "x.npy", "out": tmp_path / "m.safetensors"}
    done = call(*(word.format(**places) for word in words))
    assert done.code == 0, done.err
    assert (done.out + done.err).count(NO_ERROR) == 1


@pytest.mark.parametrize(
    ("source", "words", "said"),
    [
        ("bare", "--data x.npy --targets y.npy", "must be compiled"),
        ("model", "--data x.npy --targets x.npy", "y must have the shape (40, 1)"),
        ("model", "--targets y.npy", "got no data. Pass the inputs with --data."),
        ("forecaster", "--data other.csv --targets y.npy", "a Sequential, beside its inputs"),
    ],
)
def test_targets_that_do_not_fit_write_nothing(network, model, csv, tmp_path, source, words, said):
    path, out = model if source == "forecaster" else network / source, tmp_path / "out.safetensors"
    given = [csv if w == "other.csv" else network / w if w.endswith(".npy") else w for w in words.split()]
    done = call("convert", path, out, "--weights", "int8", *given)
    assert (done.code, done.out, done.fault, done.err.count("\n")) == (2, "", False, 1)
    assert said in done.err
    assert not out.exists()


def test_without_torch_targets_say_what_is_missing(network, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    done = call("convert", network / "model", tmp_path / "o.safetensors", "--weights", "int8",
                "--data", network / "x.npy", "--targets", network / "y.npy")  # fmt: skip
    assert (done.code, done.fault) == (2, False)
    assert 'pip install "ostinato[train]"' in done.err
