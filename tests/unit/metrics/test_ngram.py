import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import ArgumentError, DataError, ShapeError
from ostinato.metrics import NGram, perplexity

SIZE = 4
IDS = st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=60)


def by_hand(items, size, order, context, symbol):
    """Modified Kneser–Ney by dictionaries and recursion."""
    grams = {k: Counter(tuple(i[j : j + k]) for i in items for j in range(len(i) - k + 1)) for k in range(1, order + 2)}
    order = max(k for k in range(1, order + 1) if grams[k])
    counts = {order: grams[order]}
    for k in range(1, order):
        places = Counter(gram[1:] for gram in grams[k + 1])
        counts[k] = {gram: max(places[gram], 1) for gram in grams[k]}

    def discount(k, c):
        n = Counter(counts[k].values())
        y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.5
        d = [y] * 3
        if n[1] and n[2] and n[3]:
            d = [1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]]
        c = min(c, 3)
        return min(max(d[c - 1], 0.05), (0.95, 1.9, 2.9)[c - 1])

    def p(k):
        if k == 0:
            return 1 / size
        if k - 1 > len(context):
            return p(len(context) + 1)
        past = tuple(context[len(context) - k + 1 :])
        after = {gram: c for gram, c in counts[k].items() if gram[:-1] == past}
        if not after:
            return p(k - 1)
        total, freed = sum(after.values()), sum(discount(k, c) for c in after.values())
        c = after.get((*past, symbol), 0)
        return ((c - discount(k, c) if c else 0) + freed * p(k - 1)) / total

    return p(order)


@given(st.lists(IDS, min_size=1, max_size=4), IDS, st.integers(1, 5))
@settings(max_examples=100)
def test_equals_the_formula_by_dictionaries(items, text, order):
    model = NGram.fit(np.concatenate(items), size=SIZE, order=order, lengths=[len(i) for i in items])
    wanted = [-math.log(by_hand(items, SIZE, order, text[max(i - order + 1, 0) : i], x)) for i, x in enumerate(text)]
    assert model.surprise(text) == pytest.approx(wanted)
    both = model.surprise([*text, *text], lengths=[len(text), 0, len(text)])
    assert both == pytest.approx([*wanted, *wanted])


@given(IDS, IDS, st.integers(1, 6))
@settings(max_examples=100)
def test_probabilities_add_up_and_are_those_of_surprise(train, context, order):
    model = NGram.fit(train, size=SIZE, order=order)
    p = model.probabilities(context)
    assert p.sum() == pytest.approx(1.0)
    assert (p > 0).all()
    for symbol in range(SIZE):
        assert model.surprise([*context, symbol])[-1] == pytest.approx(-math.log(p[symbol]))


def test_longer_contexts_help_where_they_matter():
    rng = np.random.default_rng(0)
    ids = list(rng.integers(0, 4, 3))
    for _ in range(20_000):  # the symbol three before, usually
        ids.append(ids[-3] if rng.random() < 0.9 else int(rng.integers(4)))
    train, valid = np.array(ids[:18_000]), np.array(ids[18_000:])
    scores = [perplexity(NGram.fit(train, size=4, order=k).surprise(valid)) for k in (1, 2, 3, 4, 5)]
    best = math.exp(-(0.925 * math.log(0.925) + 0.075 * math.log(0.025)))
    assert min(scores[:3]) > 3.9
    assert scores[3] == pytest.approx(best, rel=0.05)
    assert scores[4] < scores[2]


def test_symbols_that_never_came_and_texts_shorter_than_the_order():
    model = NGram.fit([1], size=5, order=5)
    assert np.isfinite(model.surprise([0, 1, 2, 3, 4])).all()
    assert len(model.levels) == 1
    assert model.surprise([1])[0] < model.surprise([0])[0]


def test_what_cannot_be():
    for code, call in {
        "empty": lambda: NGram.fit([], size=3),
        "dtype": lambda: NGram.fit([0.5], size=3),
        "id": lambda: NGram.fit([0, 3], size=3),
    }.items():
        with pytest.raises(DataError) as caught:
            call()
        assert caught.value.code in (code, "dtype")
    for wrong in ({"order": 0}, {"order": 17}, {"size": 0}):
        with pytest.raises(ArgumentError):
            NGram.fit([0], **{"size": 3, **wrong})
    with pytest.raises(ShapeError):
        NGram.fit([0, 1], size=3, lengths=[1])
    with pytest.raises(DataError):
        NGram.fit([0, 1], size=3).surprise([7])
