import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import norm

from ostinato import metrics
from ostinato.errors import ArgumentError, DataError, ShapeError

VALUES = st.floats(-1e6, 1e6).map(lambda v: round(v, 3))
ROWS = hnp.arrays(np.float64, st.tuples(st.just(3), st.integers(1, 20)), elements=VALUES)


@settings(max_examples=50)
@given(rows=ROWS)
def test_interval_score_is_the_scaled_pinball_loss_of_its_ends(rows):
    y, (low, high) = rows[0], np.sort(rows[1:], axis=0)
    ends = metrics.quantile_loss(y, low, q=0.1) + metrics.quantile_loss(y, high, q=0.9)
    score = metrics.interval_score(y, low=low, high=high, level=0.8)
    assert score == pytest.approx(2 / 0.2 * ends, rel=1e-9, abs=1e-6)
    assert score >= metrics.mean_width(low, high) - 1e-6
    inside = metrics.coverage(y, low=low, high=high)
    assert inside == np.mean([a <= v <= b for v, a, b in zip(y, low, high, strict=True)])


def test_by_hand():
    y, low, high = [0.0, 2.0, 5.0], [0.0, 0.0, 0.0], [1.0, 1.0, 4.0]
    assert metrics.coverage(y, low=low, high=high) == pytest.approx(1 / 3)
    assert metrics.mean_width(low, high) == 2.0
    assert metrics.interval_score(y, low=low, high=high, level=0.5) == pytest.approx(2 + 4 * 2 / 3)
    assert metrics.coverage(y, low=low, high=high, weights=[3.0, 1.0, 0.0]) == 0.75
    assert metrics.coverage([np.nan, 0.5], low=[0.0, 0.0], high=[1.0, 1.0], observed=[False, True]) == 1.0


@settings(max_examples=50)
@given(y=hnp.arrays(np.float64, (2, 7), elements=VALUES), f=hnp.arrays(np.float64, (2, 7), elements=VALUES))
def test_crps_of_equal_quantiles_is_the_mae(y, f):
    quantiles = np.repeat(f[..., None], 5, axis=-1)
    score = metrics.crps(y, quantiles, levels=[0.025, 0.1, 0.5, 0.9, 0.975])
    assert score == pytest.approx(metrics.mae(y, f), rel=1e-9, abs=1e-9)


def test_crps_of_many_normal_quantiles_is_the_closed_form():
    levels = (np.arange(2000) + 0.5) / 2000
    for y in (0.0, 0.7, -2.5):
        closed = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / math.sqrt(math.pi)  # Gneiting & Raftery 2007
        assert metrics.crps([y], norm.ppf(levels)[None], levels=levels.tolist()) == pytest.approx(closed, rel=1e-3)


def test_crps_mask_and_weights():
    levels, y = [0.25, 0.75], np.array([1.0, np.nan, 3.0])
    quantiles = np.array([[0.0, 2.0], [np.nan, np.inf], [4.0, 5.0]])
    keep = np.array([True, False, True])
    masked = metrics.crps(y, quantiles, levels=levels, observed=keep)
    assert masked == pytest.approx(metrics.crps(y[keep], quantiles[keep], levels=levels))
    first = metrics.crps(y, quantiles, levels=levels, observed=keep, weights=[1.0, 1.0, 0.0])
    assert first == pytest.approx(metrics.crps(y[:1], quantiles[:1], levels=levels))


def test_refuses():
    with pytest.raises(DataError, match=r"\[crossed\]"):
        metrics.coverage([1.0], low=[2.0], high=[0.0])
    with pytest.raises(ShapeError):
        metrics.coverage([1.0, 2.0], low=[0.0], high=[3.0])
    with pytest.raises(ShapeError):
        metrics.mean_width([1.0, 2.0], 3.0)
    with pytest.raises(DataError, match="NaN"):
        metrics.interval_score([1.0], low=[np.nan], high=[2.0], level=0.8)
    with pytest.raises(ArgumentError, match=r"0\.8 for 80"):
        metrics.interval_score([1.0], low=[0.0], high=[2.0], level=80)
    with pytest.raises(ShapeError):
        metrics.crps([1.0, 2.0], [[1.0, 2.0]], levels=[0.1, 0.9])
    with pytest.raises(ShapeError):
        metrics.crps([1.0], [1.0], levels=[0.5])
    with pytest.raises(DataError, match="NaN"):
        metrics.crps([1.0], [[np.nan, 1.0]], levels=[0.1, 0.9])
    for levels in ([0.9, 0.1], [0.5, 0.5], []):
        with pytest.raises(ArgumentError):
            metrics.crps([1.0], np.ones((1, len(levels))), levels=levels)
