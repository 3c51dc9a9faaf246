"""Sampling and beam search."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ostinato.errors import ArgumentError
from ostinato.runtime.decode import Sampler, Sampling, beam_search, log_softmax

SCORES = np.array([1.0, -0.5, 2.0, 0.3, -3.0])


def shares(sampling, n=20_000, scores=SCORES):
    sampler = Sampler(sampling, len(scores))
    return np.bincount([sampler.draw(scores) for _ in range(n)], minlength=len(scores)) / n


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_symbols_come_as_often_as_the_formula_says(temperature):
    p = np.exp(log_softmax(SCORES / temperature))
    assert np.abs(shares(Sampling(temperature=temperature, seed=1)) - p).max() < 0.015


def test_only_the_best_k_are_drawn():
    p = np.exp(log_softmax(SCORES))
    kept = np.array([p[0], 0, p[2], 0, 0]) / (p[0] + p[2])
    assert np.abs(shares(Sampling(top_k=2, seed=1)) - kept).max() < 0.015


def test_only_the_nucleus_is_drawn():
    p = np.exp(log_softmax(SCORES))
    assert set(np.flatnonzero(shares(Sampling(top_p=float(p[2]) - 0.01, seed=1), 2000))) == {2}
    assert set(np.flatnonzero(shares(Sampling(top_p=float(p[2]) + 0.01, seed=1), 2000))) == {0, 2}
    assert set(np.flatnonzero(shares(Sampling(top_p=float(p[2] + p[0]) + 0.01, seed=1), 2000))) == {0, 2, 3}


def test_temperature_0_takes_the_best():
    assert set(np.flatnonzero(shares(Sampling(temperature=0.0), 50))) == {2}


def test_a_seed_gives_the_same_symbols():
    a, b, c = (Sampler(Sampling(seed=s), 5) for s in (3, 3, 4))
    first = [a.draw(SCORES) for _ in range(50)]
    assert first == [b.draw(SCORES) for _ in range(50)]
    assert first != [c.draw(SCORES) for _ in range(50)]


def test_what_came_before_is_penalised_and_what_is_banned_never_comes():
    sampler = Sampler(Sampling(temperature=0.0, repetition_penalty=10.0), 5)
    assert [sampler.draw(SCORES) for _ in range(3)] == [2, 0, 3]
    sampler = Sampler(Sampling(seed=0), 5, banned=[2, 0])
    assert {sampler.draw(SCORES) for _ in range(500)} == {1, 3, 4}


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1.0}, {"temperature": math.nan}, {"temperature": math.inf}, {"top_p": 0.0}, {"top_p": 1.5},
     {"top_k": -1}, {"top_k": 1.5}, {"repetition_penalty": 0.0}, {"seed": -1}, {"temperature": "hot"}],
)  # fmt: skip
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        Sampler(Sampling(**wrong), 5)


TABLE = np.random.default_rng(0).normal(0.0, 1.5, (4, 4))


def chain():
    """A model whose next symbol depends on the last one only."""
    after = log_softmax(TABLE)
    return lambda rows, ids: after[ids].copy(), log_softmax(TABLE[0])


def truth(length, end=None):
    after, found = log_softmax(TABLE), {}
    for n in range(1, length + 1):
        for ids in itertools.product(range(4), repeat=n):
            if (end is None or end not in ids[:-1]) and (n == length or ids[-1] == end):
                found[ids] = sum(after[a][b] for a, b in zip((0, *ids), ids, strict=False))
    return found


@pytest.mark.parametrize("end", [None, 3])
def test_a_wide_beam_finds_the_most_probable(end):
    step, first = chain()
    beams = beam_search(step, first, length=4, width=200, end=end)
    table = truth(4, end)
    best = max(table, key=lambda ids: table[ids] / len(ids))
    assert beams[0].ids == best
    assert all(math.isclose(b.log_probability, table[b.ids]) for b in beams)


def test_a_beam_of_one_is_greedy_and_a_wider_one_no_worse():
    step, first = chain()
    greedy = beam_search(step, first, length=6, width=1)[0]
    ids, last = [], 0
    for _ in range(6):
        last = int(TABLE[last].argmax())
        ids.append(last)
    assert list(greedy.ids) == ids
    assert beam_search(step, first, length=6, width=8)[0].log_probability >= greedy.log_probability
