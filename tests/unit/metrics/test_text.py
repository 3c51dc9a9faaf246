import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.errors import ArgumentError, DataError, ShapeError
from ostinato.metrics import bits_per_byte, bits_per_character, bits_per_token, perplexity, surprise


def test_by_hand():
    nats = [math.log(2), math.log(8)]
    assert perplexity(nats) == pytest.approx(4.0)
    assert bits_per_token(nats) == pytest.approx(2.0)
    # two tokens that stand for eight characters, of twelve bytes
    assert bits_per_character(nats, 8) == pytest.approx(0.5)
    assert bits_per_byte(nats, 12) == pytest.approx(1 / 3)
    assert bits_per_character(np.full(100, 1.4697), 100) == pytest.approx(2.1203, abs=1e-4)


def test_surprise_by_hand():
    p = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    assert surprise(np.log(p), [1, 2]) == pytest.approx([math.log(4), -math.log(0.7)])
    assert surprise(np.log(p) + 5.0, [1, 2]) == pytest.approx([math.log(4), -math.log(0.7)])
    assert surprise([[0.0, -math.inf]], [1]).tolist() == [math.inf]
    assert surprise([[3000.0, -3000.0]], [1]).tolist() == [6000.0]


@given(st.integers(1, 50), st.integers(1, 20), st.integers(0, 99))
def test_blocks_and_types_do_not_matter(n, symbols, seed):
    rng = np.random.default_rng(seed)
    scores, ids = rng.normal(size=(n, symbols)) * 5, rng.integers(0, symbols, n)
    whole = surprise(scores, ids)
    assert (whole >= 0).all()
    assert np.concatenate([surprise(scores[i : i + 1], ids[i : i + 1]) for i in range(n)]) == pytest.approx(whole)
    assert surprise(scores.astype(np.float32), ids) == pytest.approx(whole, abs=1e-5)


def test_many_rows_go_in_blocks():
    scores = np.zeros((3, 1 << 21), dtype=np.float32)
    assert surprise(scores, [0, 1, 2]) == pytest.approx([21 * math.log(2)] * 3)


def test_endless_surprise():
    assert perplexity([math.inf, 0.0]) == math.inf
    assert perplexity([800.0]) == math.inf


def code_of(call):
    with pytest.raises((DataError, ShapeError, ArgumentError)) as caught:
        call()
    return caught.value.code


def test_what_cannot_be():
    assert code_of(lambda: perplexity([])) == "empty"
    assert code_of(lambda: perplexity([-0.1])) == "negative"
    assert code_of(lambda: perplexity([float("nan")])) == "negative"
    assert code_of(lambda: bits_per_character([1.0], 0)) == "argument"
    assert code_of(lambda: bits_per_byte([1.0], True)) == "argument"
    assert code_of(lambda: surprise([[0.0]], [1])) == "id"
    assert code_of(lambda: surprise([[0.0]], [0.0])) == "dtype"
    assert code_of(lambda: surprise([[0.0]], [0, 0])) == "shape"
    assert code_of(lambda: surprise([[float("nan"), 0.0]], [1])) == "nonfinite"
    assert code_of(lambda: surprise([[-math.inf, -math.inf]], [1])) == "nonfinite"
