import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from ostinato.errors import ArgumentError, DataError, ShapeError
from ostinato.metrics import drift, naive, seasonal_naive, theta

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "theta.json").read_text())
ALL = {
    "naive": naive,
    "seasonal_naive": lambda y, h: seasonal_naive(y, h, season=4),
    "drift": drift,
    "theta": lambda y, h: theta(y, h, season=4),
}
HISTORIES = st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 3)), min_size=1, max_size=40)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_theta_equals_statsforecast(case):
    history, point = np.array(case["history"]), np.array(case["point"])
    mine = theta(history, len(point), season=case["season"]).point
    # the other search stops early, weighs the first steps differently and keeps its weight in [0.1, 0.99]
    assert np.abs(mine - point).max() < 0.03 * np.abs(np.diff(history)).mean()


def by_hand(y, h):
    """Theta by loops: the line, smoothing of 2 y - line from the best start, the mean of the two."""
    n, time = len(y), np.arange(len(y) + h)
    slope, base = np.polyfit(time[:n], y, 1)
    line = base + slope * time
    z = 2 * y - line[:n]

    def run(alpha, start):
        level, errors = start, []
        for value in z:
            errors.append(value - level)
            level = alpha * value + (1 - alpha) * level
        return np.array(errors), level

    def best(alpha):
        zero, _ = run(alpha, 0.0)
        slope_of_start = run(alpha, 1.0)[0] - zero
        start = -(zero @ slope_of_start) / (slope_of_start @ slope_of_start)
        errors, level = run(alpha, start)
        return errors @ errors, level, errors

    grid = np.linspace(0, 1, 201)
    around = grid[np.argmin([best(a)[0] for a in grid])]
    bounds = (max(around - 0.005, 0), min(around + 0.005, 1))
    found = minimize_scalar(lambda a: best(a)[0], bounds=bounds, method="bounded", options={"xatol": 1e-9})
    alpha = min([found.x, *bounds], key=lambda a: best(a)[0])
    _, level, errors = best(alpha)
    sigma = np.sqrt((errors / 2) @ (errors / 2) / (n - 3))
    return (level + line[n:]) / 2, sigma * np.sqrt(1 + np.arange(h) * alpha**2)


@pytest.mark.parametrize("seed", range(8))
def test_theta_without_season_is_the_mean_of_line_and_smoothing(seed):
    rng = np.random.default_rng(seed)
    y = np.cumsum(rng.normal(size=60)) * rng.uniform() + 3 * rng.normal(size=60) + 0.2 * np.arange(60)
    point, spread = by_hand(y, 9)
    mine = theta(y, 9)
    np.testing.assert_allclose(mine.point, point, rtol=1e-5)
    np.testing.assert_allclose(mine.spread, spread, rtol=1e-4)


def test_theta_takes_the_season_out_and_back():
    time = np.arange(60)
    factor, offset = np.array([0.5, 1.0, 1.5, 1.0]), np.array([-60.0, 0.0, 60.0, 0.0])
    trend, place = np.where(time < 30, 100 + time, 160 - time), np.arange(8) % 4
    positive = theta(trend * factor[time % 4], 8, season=4).point
    np.testing.assert_allclose(positive, theta(trend, 8).point * factor[place], rtol=0.01)
    below_zero = theta(trend - 100 + offset[time % 4], 8, season=4).point
    np.testing.assert_allclose(below_zero, theta(trend - 100, 8).point + offset[place], atol=1.0)


def test_spread_of_theta_follows_the_seasonal_factor():
    time, factor = np.arange(60), np.array([0.5, 1.0, 1.5, 1.0])
    noise = np.random.default_rng(1).normal(size=60)
    spread = theta((100 + noise) * factor[time % 4], 4, season=4).spread
    np.testing.assert_allclose(spread / spread[1], factor, rtol=0.1)


def test_naive_by_hand():
    point, spread = naive([1.0, 3.0, 2.0], 3)
    assert point.tolist() == [2.0, 2.0, 2.0]
    np.testing.assert_allclose(spread, np.sqrt(2.5) * np.sqrt([1, 2, 3]))


def test_seasonal_naive_by_hand():
    point, spread = seasonal_naive([1.0, 5.0, 2.0, 7.0, 4.0], 5, season=2)
    assert point.tolist() == [7.0, 4.0, 7.0, 4.0, 7.0]
    np.testing.assert_allclose(spread, np.sqrt(9 / 3) * np.sqrt([1, 1, 2, 2, 3]))


def test_drift_by_hand():
    point, spread = drift([0.0, 1.0, 4.0], 2)
    assert point.tolist() == [6.0, 8.0]
    np.testing.assert_allclose(spread, np.sqrt(2.0) * np.sqrt([1 * 1.5, 2 * 2.0]))


def test_seasonal_naive_with_a_short_history():
    short = seasonal_naive([1.0, 2.0], 3, season=4)
    np.testing.assert_array_equal(short.point, naive([1.0, 2.0], 3).point)
    one = seasonal_naive([1.0, 2.0, 3.0], 3, season=3)
    assert one.point.tolist() == [1.0, 2.0, 3.0]
    np.testing.assert_allclose(one.spread, [1.0, 1.0, 1.0])


@pytest.mark.parametrize("name", ALL)
def test_one_value_and_constant_series(name):
    for history in ([3.5], [3.5, 3.5], [0.1] * 30, [0.0] * 9, [5e-324]):
        point, spread = ALL[name](history, 5)
        np.testing.assert_array_equal(point, np.full(5, history[0]))
        np.testing.assert_array_equal(spread, np.zeros(5))


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=40)
@given(history=HISTORIES, shift=st.integers(-9, 9), power=st.integers(-8, 8), h=st.integers(1, 9))
def test_finite_of_length_h_and_moves_with_the_unit(name, history, shift, power, h):
    y = np.array(history)
    point, spread = ALL[name](y, h)
    assert point.shape == spread.shape == (h,)
    assert np.isfinite(point).all()
    assert np.isfinite(spread).all()
    assert (spread >= 0).all()
    scaled = ALL[name](y * 2.0**power, h)
    np.testing.assert_array_equal(scaled.point, point * 2.0**power)
    np.testing.assert_array_equal(scaled.spread, spread * 2.0**power)
    if name != "theta":  # its season depends on the sign
        size = np.abs(y).max() + 10
        np.testing.assert_allclose(ALL[name](y + shift, h).point, point + shift, atol=1e-12 * size * h)


@pytest.mark.parametrize("name", ALL)
def test_huge_values_do_not_overflow(name):
    y = np.array([1.0, 4.0, 2.0, 5.0, 3.0, 6.0, 4.0, 8.0]) * 1e300
    assert np.isfinite(ALL[name](y, 3).point).all()
    with pytest.raises(DataError, match="overflow"):
        ALL[name](np.array([-1.7e308, 1.7e308, -1.7e308, -1.7e308, 1.7e308, 1.7e308, 1.7e308]), 400)


def test_spread_is_honest_on_a_random_walk():
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(300):
        walk = np.cumsum(rng.normal(size=66))
        for rival in (naive, theta):
            point, spread = rival(walk[:60], 6)
            inside.append(np.abs(walk[60:] - point) <= 1.2816 * spread)
    assert 0.74 < np.mean(inside) < 0.86


@pytest.mark.parametrize("name", ALL)
def test_bad_input(name):
    rival = ALL[name]
    with pytest.raises(DataError, match=r"NaN.*index 1"):
        rival([1.0, np.nan], 2)
    with pytest.raises(DataError, match="infinite"):
        rival([1.0, np.inf], 2)
    with pytest.raises(DataError, match="at least one value"):
        rival([], 2)
    with pytest.raises(DataError, match="real numbers"):
        rival(["a"], 2)
    with pytest.raises(ShapeError):
        rival([[1.0]], 2)
    for h in (0, -1, 1.5, True):
        with pytest.raises(ArgumentError):
            rival([1.0], h)
    for season in (0, 2.0):
        with pytest.raises(ArgumentError):
            theta([1.0, 2.0], 1, season=season)
