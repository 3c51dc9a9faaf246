from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.data import FittedScale, MinMaxScale, StandardScale
from ostinato.errors import ArgumentError, DataError

NUMBERS = st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=30).map(np.array)
SCALES = st.sampled_from([StandardScale(), MinMaxScale(), MinMaxScale(-1.0, 1.0)])


@given(SCALES, NUMBERS)
def test_invert_undoes_apply_and_json_keeps_it(scale: StandardScale | MinMaxScale, x: np.ndarray) -> None:
    fitted = scale.fit(x)
    back = FittedScale(**json.loads(json.dumps(asdict(fitted))))
    assert back == fitted
    size = max(np.abs(x).max(), abs(fitted.shift), fitted.spread)
    np.testing.assert_allclose(back.invert(back.apply(x)), x, rtol=0, atol=8 * np.finfo(float).eps * size)


def test_known_values() -> None:
    x = np.array([1.0, 2.0, 3.0, 6.0])
    z = StandardScale().fit(x).apply(x)
    assert z.mean() == pytest.approx(0, abs=1e-15)
    assert z.std() == pytest.approx(1)
    np.testing.assert_allclose(MinMaxScale(-1, 1).fit(x).apply(x), [-1, -0.6, -0.2, 1])


@pytest.mark.parametrize("value", [0.0, 0.1, -5e-324, 1e300, 123456789.1])
def test_constants_are_exact(value: float) -> None:
    x = np.full(7, value)
    for scale, scaled in ((StandardScale(), 0.0), (MinMaxScale(), 0.0)):
        fitted = scale.fit(x)
        assert fitted.spread == 1.0
        assert np.all(fitted.apply(x) == scaled)
        assert np.all(fitted.invert(fitted.apply(x)) == x)


def test_only_observed_values_count() -> None:
    x, observed = np.array([1.0, np.nan, 3.0]), np.array([True, False, True])
    assert StandardScale().fit(x, observed) == StandardScale().fit(x[observed])
    assert MinMaxScale().fit(x, observed) == FittedScale(1.0, 2.0)


def test_what_cannot_be_fitted() -> None:
    for x, code in (([], "empty"), ([1.0, np.nan], "nonfinite"), ([np.inf], "nonfinite")):
        for scale in (StandardScale(), MinMaxScale()):
            with pytest.raises(DataError) as caught:
                scale.fit(x)
            assert caught.value.code == code
    with pytest.raises(ArgumentError):
        MinMaxScale(1, 1).fit([1.0, 2.0])
    with pytest.raises(ArgumentError):
        FittedScale(0.0, 0.0)
