import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ostinato import metrics
from ostinato.errors import ArgumentError, DataError, ShapeError

VALUES = st.floats(-1e9, 1e9).map(lambda v: round(v, 4))


@st.composite
def pairs(draw):
    n = draw(st.integers(2, 30))
    y, f = (draw(hnp.arrays(np.float64, n, elements=VALUES)) for _ in range(2))
    return y, f, draw(hnp.arrays(np.float64, n, elements=st.floats(0.01, 10)))


def pinball(y, f, **more):
    return metrics.quantile_loss(y, f, q=0.3, **more)


def scaled(y, f, **more):
    return metrics.mase(y, f, insample=[1.0, 4.0, 2.0], **more)


ALL = {
    "mse": metrics.mse,
    "rmse": metrics.rmse,
    "mae": metrics.mae,
    "smape": metrics.smape,
    "mape": metrics.mape,
    "r2": metrics.r2,
    "quantile_loss": pinball,
    "mase": scaled,
}
SKLEARN = {
    "mse": sk.mean_squared_error,
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "mape": lambda y, f, **more: 100 * sk.mean_absolute_percentage_error(y, f, **more),
    "r2": sk.r2_score,
    "quantile_loss": lambda y, f, **more: sk.mean_pinball_loss(y, f, alpha=0.3, **more),
}


@pytest.mark.parametrize("name", SKLEARN)
@settings(max_examples=50)
@given(pair=pairs())
def test_equals_scikit_learn(name, pair):
    y, f, weights = pair
    if name == "mape":
        y = np.where(y == 0, 1.0, y)
    if name == "r2" and np.ptp(y) < 1e-3 * np.abs(y).max():
        return
    np.testing.assert_allclose(ALL[name](y, f), SKLEARN[name](y, f), rtol=1e-9, atol=1e-9)
    expected = SKLEARN[name](y, f, sample_weight=weights)
    np.testing.assert_allclose(ALL[name](y, f, weights=weights), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=30)
@given(pair=pairs(), data=st.data())
def test_unobserved_entries_count_like_absent_ones(name, pair, data):
    y, f, weights = pair
    y = np.where(y == 0, 1.0, y)
    keep = data.draw(hnp.arrays(np.bool_, len(y)))
    if not keep.any():
        return
    alone = ALL[name](y[keep], f[keep], weights=weights[keep])
    holes_y, holes_f = np.where(keep, y, np.nan), np.where(keep, f, np.inf)
    assert ALL[name](holes_y, holes_f, observed=keep, weights=weights) == alone
    np.testing.assert_allclose(ALL[name](y, f, weights=weights * keep), alone, rtol=1e-9, atol=1e-9)
    assert ALL[name](y[None, :, None], f[None, :, None], weights=weights[None, :, None]) == pytest.approx(
        ALL[name](y, f, weights=weights)
    )


@pytest.mark.parametrize("name", ALL)
def test_refuses(name):
    metric = ALL[name]
    y = np.array([1.0, 2.0, 3.0])
    for f in (y[:, None], y[:1], 1.0, y[None]):
        with pytest.raises(ShapeError, match="broadcast"):
            metric(y, f)
    for bad, word in ((np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite")):
        broken = np.array([1.0, bad, 3.0])
        with pytest.raises(DataError, match=f"{word}.*index 1"):
            metric(y, broken)
        with pytest.raises(DataError, match=word):
            metric(broken, y)
    with pytest.raises(ShapeError):
        metric(y, y, observed=[True])
    with pytest.raises(ShapeError):
        metric(y, y, weights=1.0)
    with pytest.raises(DataError, match="boolean"):
        metric(y, y, observed=[1, 1, 0])
    with pytest.raises(DataError, match="at least 0"):
        metric(y, y, weights=[1.0, -1.0, 1.0])
    for nothing in ({"observed": [False] * 3}, {"weights": [0.0] * 3}):
        with pytest.raises(DataError, match=r"\[empty\]"):
            metric(y, y, **nothing)
    with pytest.raises(DataError, match=r"\[empty\]"):
        metric([], [])
    for odd in (["a", "b", "c"], [[1.0], [2.0, 3.0]], [1j, 2j, 3j], [None, 1.0, 2.0]):
        with pytest.raises(DataError, match="real numbers"):
            metric(odd, y)
    with pytest.raises(DataError, match="masked"):
        metric(np.ma.masked_array(y, [0, 0, 1]), y)


def test_smape_by_hand():
    assert metrics.smape([0.0, 1.0, 2.0, 0.0], [0.0, 3.0, -2.0, 5.0]) == pytest.approx((0 + 100 + 200 + 200) / 4)
    assert metrics.smape([1.7e308], [-1.7e308]) == 200.0


@settings(max_examples=50)
@given(pair=pairs())
def test_smape_is_symmetric_and_bounded(pair):
    y, f, _ = pair
    assert 0 <= metrics.smape(y, f) <= 200
    assert metrics.smape(y, f) == metrics.smape(f, y)
    assert metrics.smape(y, y) == 0


def test_mape_needs_a_truth_without_zeros():
    with pytest.raises(DataError, match=r"\[zero\].*2 times"):
        metrics.mape([0.0, 0.0, 1.0], [1.0, 1.0, 1.0])
    assert metrics.mape([0.0, 2.0], [1.0, 1.0], observed=[False, True]) == 50.0


def test_mase_by_hand():
    insample = [1.0, 10.0, 3.0, 14.0, 4.0]  # season 2: |2|, |4|, |1|
    assert metrics.mase_scale(insample, 2) == pytest.approx(7 / 3)
    assert metrics.mase([5.0, 5.0], [4.0, 8.0], insample=insample, season=2) == pytest.approx(2 / (7 / 3))
    assert metrics.mase_scale([1.0, np.nan, 3.0, 7.0], observed=[True, False, True, True]) == 4.0


def test_mase_of_a_repeating_history_is_nan_and_of_a_short_one_an_error():
    assert np.isnan(metrics.mase([2.0], [2.0], insample=[2.0, 2.0, 2.0]))
    assert np.isnan(metrics.mase([2.0], [3.0], insample=[1.0, 2.0, 1.0, 2.0], season=2))
    with pytest.raises(DataError, match=r"\[short\]"):
        metrics.mase([2.0], [3.0], insample=[1.0, 2.0], season=2)
    with pytest.raises(DataError, match="NaN"):
        metrics.mase([2.0], [3.0], insample=[1.0, np.nan, 2.0])
    with pytest.raises(ShapeError):
        metrics.mase([2.0], [3.0], insample=[[1.0, 2.0]])
    for season in (0, 1.5, True):
        with pytest.raises(ArgumentError):
            metrics.mase([2.0], [3.0], insample=[1.0, 2.0], season=season)


def test_r2_of_a_constant_truth():
    assert metrics.r2([2.0, 2.0], [2.0, 2.0]) == sk.r2_score([2.0, 2.0], [2.0, 2.0]) == 1.0
    assert metrics.r2([2.0, 2.0], [2.0, 3.0]) == sk.r2_score([2.0, 2.0], [2.0, 3.0]) == 0.0


def test_range_of_float64():
    assert metrics.rmse([1e200, 0.0], [0.0, 1e200]) == pytest.approx(1e200)
    assert metrics.r2([1e300, -1e300], [1e300, 0.0]) == pytest.approx(0.5)
    for metric in (metrics.mse, metrics.mae):
        with pytest.raises(DataError, match="overflow"):
            metric([1.7e308], [-1.7e308])
    with pytest.raises(DataError, match="overflow"):
        metrics.mse([1e200], [0.0])


@pytest.mark.parametrize("q", [0, 1, -0.1, 80, True, "0.5"])
def test_quantile_level(q):
    with pytest.raises(ArgumentError, match="strictly between 0 and 1"):
        metrics.quantile_loss([1.0], [1.0], q=q)
