"""One sequence that goes on: what it takes, what it refuses, and what it leaves alone."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from tests.unit.runtime.networks import network, of_numbers, of_symbols

from ostinato.cells import CELLS
from ostinato.errors import ArgumentError, DataError, ShapeError, SnapshotError, StreamClosed
from ostinato.maps.dense import Dense
from ostinato.maps.flatten import Flatten
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

X = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
BAD = [float("nan"), float("inf"), -float("inf"), 1e39]


def test_a_step_is_what_the_network_says_so_far():
    model = of_numbers()
    stream = model.stream()
    for t, x in enumerate(X):
        y = stream.step(x)
        assert y.shape == (2,)
        np.testing.assert_allclose(y, model.predict(X[None, : t + 1])[0], rtol=0, atol=1e-6)
        assert stream.steps == t + 1


def test_outputs_are_arrays_of_their_own():
    stream = of_numbers().stream()
    first = stream.step(X[0])
    kept = first.copy()
    stream.step(X[1])
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("convert", [list, lambda x: x.astype(np.float64), lambda x: np.repeat(x, 2, -1)[..., ::2]])
def test_any_array_of_numbers_is_taken(convert):
    one, other = of_numbers().stream(), of_numbers().stream()
    for x in X:
        assert np.array_equal(one.step(convert(x)), other.step(x))
    assert np.array_equal(one.run(convert(X)), other.run(X))


def test_symbols_are_numbers_of_any_kind():
    one, other = of_symbols().stream(), of_symbols().stream()
    for kind in (int, np.int32, np.uint8, float, np.array):
        assert np.array_equal(one.step(kind(3)), other.step(3))
    assert np.array_equal(one.run([1, 2]), [other.step(1), other.step(2)])


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (np.zeros(2), ShapeError, r"must be \(3,\)"),
        (np.zeros((1, 3)), ShapeError, r"must be \(3,\)"),
        (1.0, ShapeError, r"must be \(3,\)"),
        ([1.0, [2.0], 3.0], DataError, "type"),
        (["a", "b", "c"], DataError, "type"),
        ([None] * 3, DataError, "type"),
        (np.zeros(3, complex), DataError, "type"),
        (np.ma.masked_equal([1.0, 2.0, 3.0], 2.0), DataError, "masked"),
    ],
)
def test_other_inputs_are_refused_and_change_nothing(x, error, words):
    stream = of_numbers().stream()
    stream.step(X[0])
    before = stream.snapshot()
    with pytest.raises(error, match=words):
        stream.step(x)
    assert stream.snapshot() == before


@pytest.mark.parametrize(
    ("x", "code"), [(7, "range"), (-1, "range"), (1.5, "type"), (2**40, "range"), (BAD[0], "type")]
)
def test_other_symbols_are_refused(x, code):
    stream = of_symbols().stream()
    before = stream.snapshot()
    for call in (lambda: stream.step(x), lambda: stream.run([1, x])):
        with pytest.raises(DataError) as found:
            call()
        assert found.value.code == code
        assert stream.snapshot() == before
    with pytest.raises(ShapeError, match="one number"):
        stream.step([1, 2])


@pytest.mark.parametrize("bad", BAD)
def test_raise_names_step_and_feature_and_changes_nothing(bad):
    stream = of_numbers().stream()
    stream.run(X[:4])
    before, wrong = stream.snapshot(), X.astype(np.float64)
    wrong[4, 1] = bad
    for call, step in ((lambda: stream.step(wrong[4]), 5), (lambda: stream.run(wrong), 9)):
        with pytest.raises(DataError, match=f"step {step}, feature 1") as found:
            call()
        assert found.value.code == "nonfinite"
        assert stream.snapshot() == before


@pytest.mark.parametrize("bad", BAD)
def test_hold_repeats_the_last_finite_number(bad):
    wrong, right = X.astype(np.float64), X.copy()
    wrong[0, 2], wrong[3, 1], wrong[4, 1] = bad, bad, bad
    right[0, 2], right[3, 1], right[4, 1] = 0.0, X[2, 1], X[2, 1]
    stream, plain = of_numbers().stream(nonfinite="hold"), of_numbers().stream()
    assert np.array_equal([stream.step(x) for x in wrong[:4]], plain.run(right[:4]))
    again = of_numbers().stream(stream.snapshot(), nonfinite="hold")
    assert np.array_equal(stream.run(wrong[4:]), plain.run(right[4:]))
    assert np.array_equal(again.run(wrong[4:]), of_numbers().stream().run(right)[4:])
    stream.reset()
    assert np.array_equal(stream.step(wrong[0]), of_numbers().stream().step(right[0]))


def test_propagate_computes_with_them():
    stream = of_numbers().stream(nonfinite="propagate")
    assert np.isnan(stream.step([BAD[0], 0.0, 0.0])).all()
    assert np.isnan(stream.step(X[0])).all()
    stream.reset()
    assert np.array_equal(stream.step(X[0]), of_numbers().stream().step(X[0]))


def test_a_closed_stream_says_so():
    with of_numbers().stream() as stream:
        stream.step(X[0])
    stream.close()
    for call in (
        lambda: stream.step(X[0]), lambda: stream.run(X), stream.reset, stream.fork, stream.snapshot,
        lambda: stream.steps, lambda: stream.step("wrong"),
    ):  # fmt: skip
        with pytest.raises(StreamClosed, match="open"):
            call()


def test_snapshots_are_of_one_model_and_precision():
    blob = of_numbers().stream().snapshot()
    other = network([Recurrent(CELLS["lstm"](5)), Dense(2, "tanh")])
    with pytest.raises(SnapshotError) as found:
        other.stream(blob)
    assert found.value.code == "model"
    for wrong, code in ((blob[:-1], "damaged"), (b"", "foreign"), ("text", "foreign"), (None, None)):
        if code:
            with pytest.raises(SnapshotError) as found:
                of_numbers().stream(wrong)
            assert found.value.code == code


def test_a_snapshot_that_lies_is_refused():
    network_ = of_numbers().stepping.network
    good = list(network_.starts)
    for arrays in (good[:-1], [*good[:-1], good[-1][:2]], [a.astype(np.float64) for a in good]):
        with pytest.raises(SnapshotError, match="states"):
            network_.unpacked(network_.packed(1, arrays))
    for steps in (-1, True):
        with pytest.raises(SnapshotError, match="states"):
            network_.unpacked(network_.packed(steps, good))


def test_a_stream_is_not_pickled():
    with pytest.raises(TypeError, match="snapshot"):
        pickle.dumps(of_numbers().stream())


def test_policies_have_names():
    with pytest.raises(ArgumentError, match="raise, hold, propagate"):
        of_numbers().stream(nonfinite="ignore")


@pytest.mark.parametrize(
    "parts",
    [
        [Recurrent(CELLS["lstm"](2), reverse=True)],
        [Bidirectional(Recurrent(CELLS["lstm"](2)))],
        [Recurrent(CELLS["lstm"](2), return_sequences=True), Flatten()],
    ],
)
def test_what_cannot_stream_says_so_at_once(parts):
    model = network(parts, (4, 3))
    for call in (model.stream, lambda: model.pool(2)):
        with pytest.raises(ArgumentError, match="layer"):
            call()


def test_a_network_of_single_rows_is_no_stream():
    with pytest.raises(ArgumentError, match="reads sequences"):
        network([Dense(2)], (3,)).stream()


def test_outputs_go_where_they_are_asked_for():
    stream, other = of_numbers().stream(), of_numbers().stream()
    out = np.empty(2, np.float32)
    for given in (X[0], X[1].astype(np.float64)):
        assert stream.step(given, out) is out
        assert np.array_equal(out, other.step(given))
    before = stream.snapshot()
    fixed = np.zeros(2, np.float32)
    fixed.flags.writeable = False
    short, double, deep, strided = np.empty(3, "f4"), np.empty(2), np.empty((1, 2), "f4"), np.empty(4, "f4")[::2]
    for wrong in (short, double, deep, strided, [0], fixed):
        with pytest.raises(ShapeError, match="out must be"):
            stream.step(X[0], wrong)
        assert stream.snapshot() == before
    many = np.empty((3, 2), np.float32)
    assert stream.run(X[2:5], many) is many
    assert np.array_equal(many, other.run(X[2:5]))
    with pytest.raises(ShapeError, match="out must be"):
        stream.run(X[2:5], many[:2])
    pool = of_numbers().pool(2)
    pool.open(), pool.open()
    out = np.empty((2, 2), np.float32)
    assert pool.step([0, 1], X[:2], out) is out
    assert np.array_equal(out[1], of_numbers().stream().step(X[1]))
    with pytest.raises(ShapeError, match="out must be"):
        pool.step([0, 1], X[:2], out[:1])
