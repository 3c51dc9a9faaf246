import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.data import Texts, split_items, split_stream, split_texts
from ostinato.errors import ArgumentError, DataError

SHARES = st.floats(0.01, 0.99)


@given(st.integers(2, 10**7), SHARES)
def test_the_end_of_a_stream_is_for_validation(length, share):
    cut = split_stream(length, share=share)
    assert 1 <= cut <= length - 1
    assert abs((length - cut) - share * length) <= 1


def test_the_usual_cut_of_nine_tenths():
    assert split_stream(1_115_394) == int(1_115_394 * 0.9)


@given(st.text(min_size=2), SHARES)
def test_a_text_is_cut_once(text, share):
    parts = split_texts(Texts((text,), True), share=share)
    assert parts.train.items[0] + parts.valid.items[0] == text
    assert parts.train.stream
    assert parts.valid.stream


@given(st.lists(st.integers(0, 30), min_size=2).filter(lambda items: len(set(items)) > 1), SHARES, st.integers(0, 5))
def test_items_are_on_one_side_only(items, share, seed):
    train, valid = split_items(items, share=share, seed=seed)
    assert sorted([*train, *valid]) == list(range(len(items)))
    assert train.size
    assert valid.size
    assert not {items[i] for i in train} & {items[i] for i in valid}
    assert valid.tolist() == split_items(items, share=share, seed=seed).valid.tolist()


def test_different_items_give_the_share_and_the_seed_decides():
    items = [f"name {i}" for i in range(1000)]
    first, second = split_items(items, seed=1), split_items(items, seed=2)
    assert len(first.valid) == len(second.valid) == 100
    assert len(np.intersect1d(first.valid, second.valid)) < 50
    texts = split_texts(Texts(tuple(items), False), seed=1)
    assert texts.valid.items == tuple(items[i] for i in first.valid)
    assert not texts.valid.stream


def test_copies_do_not_fill_the_validation_part():
    assert len(split_items(["a"] * 900 + list(range(100)), share=0.1).valid) == 100


def test_what_cannot_be_split():
    for too_short in (
        lambda: split_items(["a", "a"]),
        lambda: split_stream(1),
        lambda: split_texts(Texts(("a",), True)),
    ):
        with pytest.raises(DataError) as caught:
            too_short()
        assert caught.value.code == "short"
    for share in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(ArgumentError):
            split_stream(10, share=share)
