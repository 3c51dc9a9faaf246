"""Many streams that move on together: ids, places, errors that change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.runtime.networks import of_numbers, of_symbols

from ostinato.errors import ArgumentError, DataError, ShapeError, SnapshotError, StreamClosed

X = np.random.default_rng(1).normal(size=(5, 4, 3)).astype(np.float32)


def test_streams_come_and_go():
    pool = of_numbers().pool(3)
    assert [pool.open(), pool.open("b"), pool.open()] == [0, "b", 1]
    assert len(pool) == 3
    assert list(pool) == [0, "b", 1]
    assert "b" in pool
    assert 2 not in pool
    with pytest.raises(ArgumentError) as found:
        pool.open()
    assert found.value.code == "full"
    pool.close("b")
    assert pool.open() == 2
    assert "b" not in pool


def test_a_place_is_used_again_from_the_start():
    pool = of_numbers().pool(1)
    a = pool.open()
    pool.step([a], X[0, :1])
    pool.close(a)
    b = pool.open("b")
    assert np.array_equal(pool.step([b], X[1, :1])[0], of_numbers().stream().step(X[1, 0]))


def test_reset_is_of_one_stream():
    pool = of_numbers().pool(2)
    pool.open("a"), pool.open("b")
    pool.step(["a", "b"], X[0, :2])
    pool.reset("a")
    one = of_numbers().stream()
    one.step(X[0, 1])
    assert np.array_equal(pool.step(["b", "a"], X[1, :2]), [one.step(X[1, 0]), of_numbers().stream().step(X[1, 1])])


def test_snapshots_go_from_pool_to_stream_and_back():
    model = of_numbers()
    pool, stream = model.pool(2), model.stream()
    pool.open("a")
    pool.step(["a"], X[0, :1])
    stream.step(X[0, 0])
    assert pool.snapshot("a") == stream.snapshot()
    pool.open("b", stream.snapshot())
    again = model.stream(pool.snapshot("a"))
    assert again.steps == 1
    y = stream.step(X[1, 0])
    assert np.array_equal(pool.step(["b", "a"], X[1, [0, 0]]), [y, y])
    assert np.array_equal(again.step(X[1, 0]), y)


def test_what_is_refused_changes_nothing():
    pool = of_numbers().pool(3)
    for name in ("a", "b"):
        pool.open(name)
    pool.step(["a", "b"], X[0, :2])
    before = [pool.snapshot(name) for name in pool]
    bad = X[1, :2].copy()
    bad[1, 2] = np.nan
    for call, error, words in (
        (lambda: pool.step(["a", "c"], X[0, :2]), StreamClosed, "'c'"),
        (lambda: pool.step(["a", []], X[0, :2]), StreamClosed, "open stream"),
        (lambda: pool.step(["a", "b", "a"], X[0, :3]), ArgumentError, "'a' twice"),
        (lambda: pool.step(["a", "b"], X[0, :3]), ShapeError, "one row an id"),
        (lambda: pool.step(["a", "b"], X[0, :2, :2]), ShapeError, r"\(2, 3\)"),
        (lambda: pool.step(["a", "b"], bad), DataError, "stream 'b', step 2, feature 2"),
        (lambda: pool.step("ab", X[0, :2]), ArgumentError, "list of ids"),
        (lambda: pool.step(None, X[0, :2]), ArgumentError, "list of ids"),
        (lambda: pool.step(np.array(3), X[0, :1]), ArgumentError, "list of ids"),
        (lambda: pool.open("a"), ArgumentError, "taken"),
        (lambda: pool.open(1.5), ArgumentError, "word or a whole number"),
        (lambda: pool.open(True), ArgumentError, "word or a whole number"),
        (lambda: pool.open("z", b"?"), SnapshotError, "foreign"),
        (lambda: pool.close("z"), StreamClosed, "'z'"),
        (lambda: pool.reset("z"), StreamClosed, "'z'"),
        (lambda: pool.snapshot("z"), StreamClosed, "'z'"),
    ):
        with pytest.raises(error, match=words):
            call()
        assert [pool.snapshot(name) for name in pool] == before
        assert list(pool) == ["a", "b"]
    assert pool.open() == 0  # the place of a stream that could not be opened is free


def test_ids_may_be_an_array_and_steps_may_be_of_nobody():
    pool = of_symbols().pool(4)
    for _ in range(3):
        pool.open()
    y = pool.step(np.array([2, 0]), np.array([5, 6]))
    assert np.array_equal(y, [of_symbols().stream().step(5), of_symbols().stream().step(6)])
    assert pool.step([], np.zeros(0, int)).shape == (0, 7)
    with pytest.raises(DataError, match="range"):
        pool.step([1, 2], [1, 7])


@pytest.mark.parametrize("capacity", [0, -1, 1.5, True])
def test_a_capacity_is_a_number(capacity):
    with pytest.raises(ArgumentError, match="capacity"):
        of_numbers().pool(capacity)


@pytest.mark.parametrize("capacity", [10**12, 2**61, 10**30])
def test_a_capacity_has_room_in_memory(capacity):
    with pytest.raises(ArgumentError, match="memory"):
        of_numbers().pool(capacity)


def test_the_same_ids_again_are_looked_up_again_after_a_change():
    pool = of_numbers().pool(2)
    pool.open("a"), pool.open("b")
    pool.step(["a", "b"], X[0, :2])
    pool.close("a")
    with pytest.raises(StreamClosed, match="'a'"):
        pool.step(["a", "b"], X[0, :2])
    pool.close("b")
    pool.open("b"), pool.open("a")
    one = of_numbers().stream()
    assert np.array_equal(pool.step(["a", "b"], X[1, :2])[0], one.step(X[1, 0]))
    assert np.array_equal(pool.step(["b"], X[2, :1])[0], [*of_numbers().stream().run([X[1, 1], X[2, 0]])][1])


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("made", [of_numbers, of_symbols])
def test_whatever_form_the_numbers_have(made, n):
    """The quick way, for what is taken as it is, and the other one give the same bits."""
    symbols = made is of_symbols
    x = np.array([1, 6, 2]) if symbols else X[0, :3]
    pools = [made().pool(4) for _ in range(4)]
    names = ["c", "a", "b"][:n]
    for pool in pools:
        for name in "abcd":
            pool.open(name)
    forms = [x[:n], x[:n].tolist(), np.repeat(x[:n], 2, axis=0)[::2], x[:n].astype(np.float64)]
    for _ in range(2):
        outs = [pool.step(names, form) for pool, form in zip(pools, forms, strict=True)]
        for out in outs:
            assert out.shape == (n, 7 if symbols else 2)
            assert np.array_equal(out, outs[0])
    into = np.empty_like(outs[0])
    assert pools[0].step(names, x[:n], into) is into
    assert np.array_equal(into, pools[1].step(names, x[:n]))
    assert len({pool.snapshot(name) for pool in pools[:2] for name in names}) == n


@pytest.mark.parametrize("ids", [["x"], [["a"]], [None], ["a", "x"], [1.5]])
def test_an_id_of_no_stream(ids):
    pool = of_numbers().pool(2)
    pool.open("a")
    with pytest.raises(StreamClosed):
        pool.step(ids, X[0, : len(ids)])


def test_rows_that_are_too_few_or_of_another_width_move_nothing():
    pool = of_numbers().pool(2)
    pool.open("a"), pool.open("b")
    before = [pool.snapshot(name) for name in "ab"]
    for ids, x in ((["a"], X[0, :2]), (["a", "b"], X[0, :1]), (["a"], X[0, :1, :2]), (["a"], X[0, 0])):
        with pytest.raises(ShapeError):
            pool.step(ids, x)
    for out in (np.empty((2, 2), np.float32), np.empty((1, 2)), np.empty((1, 4), np.float32)[:, ::2]):
        with pytest.raises(ShapeError):
            pool.step(["a"], X[0, :1], out)
    assert [pool.snapshot(name) for name in "ab"] == before
