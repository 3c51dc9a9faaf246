import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import DataError, ShapeError
from ostinato.metrics.conformal import widening

few = settings(max_examples=60)
LEVELS = st.floats(0.05, 0.95)


def problem(seed, n):
    rng = np.random.default_rng(seed)
    low = rng.normal(-1.0, 0.3, n)
    return low, low + rng.uniform(0.0, 3.0, n), rng.normal(0.0, 1.5, n)


@few
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), level=LEVELS)
def test_enough_values_are_held_and_no_more_than_needed(seed, n, level):
    low, high, actual = problem(seed, n)
    more = widening(low, high, actual, level=level)
    held = np.sum((actual >= low - more - 1e-12) & (actual <= high + more + 1e-12))
    wanted = min(math.ceil((n + 1) * level), n)
    assert held >= wanted
    less = more - 1e-6
    assert np.sum((actual >= low - less) & (actual <= high + less)) < wanted or wanted == 0


@few
@given(seed=st.integers(0, 10**6), n=st.integers(1, 40), level=LEVELS, by=st.floats(-5.0, 5.0))
def test_widening_counts_from_the_interval_that_was_given(seed, n, level, by):
    low, high, actual = problem(seed, n)
    more = widening(low, high, actual, level=level)
    assert widening(low - by, high + by, actual, level=level) == pytest.approx(more - by, abs=1e-9)
    order = np.random.default_rng(seed).permutation(n)
    assert widening(low[order], high[order], actual[order], level=level) == more


def test_it_grows_with_the_level():
    low, high, actual = problem(3, 50)
    found = [widening(low, high, actual, level=level) for level in np.linspace(0.05, 0.99, 30)]
    assert found == sorted(found)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("n", [9, 39])
def test_exchangeable_data_are_held_at_the_level(level, n):
    """Theorem 1 of the paper: coverage of a new value between `level` and `level` + 1 / (n + 1)."""
    rng, runs = np.random.default_rng(0), 4000
    held = []
    for _ in range(runs):
        actual = rng.standard_exponential(n + 1)
        low, high = np.full(n, 0.4), np.full(n, 0.9)
        more = widening(low, high, actual[:n], level=level)
        held.append(0.4 - more <= actual[n] <= 0.9 + more)
    error = 4.0 * math.sqrt(0.25 / runs)
    highest = level + 1.0 / (n + 1)
    lowest = level if math.ceil((n + 1) * level) <= n else n / (n + 1)
    assert lowest - error <= np.mean(held) <= highest + error


def test_any_shape_counts_value_by_value():
    low, high, actual = problem(5, 24)
    flat = widening(low, high, actual, level=0.8)
    assert widening(*(part.reshape(2, 3, 4) for part in (low, high, actual)), level=0.8) == flat


def test_refuses():
    with pytest.raises(DataError) as caught:
        widening(np.zeros(0), np.zeros(0), np.zeros(0), level=0.8)
    assert caught.value.code == "empty"
    with pytest.raises(ShapeError):
        widening(np.zeros(2), np.zeros(2), np.zeros(3), level=0.8)
