from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.data import Cleaning, Panel, read_panel
from ostinato.errors import ArgumentError, DataError

NAN = math.nan
CELL = st.one_of(st.just(NAN), st.floats(-1e6, 1e6))


def long(rows: list[tuple[str, int, float]], **cleaning: Any) -> Panel:
    ids, times, values = zip(*rows, strict=True)
    return read_panel({"unique_id": ids, "ds": times, "y": values}, cleaning=Cleaning(**cleaning), freq="1")


ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12), CELL), min_size=1, max_size=25)


@given(
    ROWS,
    st.sampled_from(["mask", "interpolate"]),
    st.sampled_from(["mean", "last"]),
    st.sampled_from(["fill", "as-is"]),
)
def test_against_a_slow_reference(rows: list[tuple[str, int, float]], missing: str, duplicates: str, gaps: str) -> None:
    groups: dict[str, dict[int, list[float]]] = {}
    for name, time, value in rows:
        groups.setdefault(name, {}).setdefault(time, []).append(value)
    expected = {}
    for name, steps in groups.items():
        merged = {}
        for time, found in steps.items():
            real = [v for v in found if v == v]
            merged[time] = found[-1] if duplicates == "last" else sum(real) / len(real) if real else NAN
        times = range(min(merged), max(merged) + 1) if gaps == "fill" else sorted(merged)
        expected[name] = [(time, merged.get(time, NAN)) for time in times]
    if any(all(v != v for _, v in steps) for steps in expected.values()):
        with pytest.raises(DataError, match="at least one value"):
            long(rows, missing=missing, duplicates=duplicates, gaps=gaps)
        return
    panel = long(rows, missing=missing, duplicates=duplicates, gaps=gaps)
    assert panel.ids == tuple(dict.fromkeys(name for name, _, _ in rows))
    for name, steps in expected.items():
        series = panel[name]
        given_ = np.array([v for _, v in steps])
        real = np.flatnonzero(given_ == given_)
        assert series.times.tolist() == [time for time, _ in steps]
        if missing == "mask":
            filled = [given_[real[real <= i][-1]] if np.any(real <= i) else given_[real[0]] for i in range(len(steps))]
            assert series.observed.tolist() == (given_ == given_).tolist()
        else:
            filled = np.interp(np.arange(len(steps)), real, given_[real]).tolist()
            assert series.observed.all()
        np.testing.assert_allclose(series.values, filled, rtol=1e-9, atol=1e-9)


def test_order_of_rows_does_not_matter() -> None:
    rows = [("b", 2, 1.0), ("a", 1, 2.0), ("b", 1, 3.0), ("a", 2, 4.0)]
    assert long(rows)["b"].values.tolist() == [3.0, 1.0]


def test_the_step_from_one_series_to_the_next_is_no_gap() -> None:
    panel = long([("a", 0, 1.0), ("a", 1, 2.0), ("b", 5, 3.0), ("b", 6, 4.0)])
    assert panel.lengths.tolist() == [2, 2]


def test_ffill_and_drop() -> None:
    rows = [("a", 0, 1.0), ("a", 1, NAN), ("a", 2, 3.0), ("b", 0, 5.0)]
    assert long(rows, missing="ffill")["a"].values.tolist() == [1, 1, 3]
    assert long(rows, missing="ffill")["a"].observed.all()
    assert long(rows, missing="drop")["a"].times.tolist() == [0, 2]
    with pytest.raises(DataError, match="before each missing"):
        long([("b", 0, 1.0), ("a", 0, NAN), ("a", 1, 1.0)], missing="ffill")


def test_filled_gaps_are_not_observed() -> None:
    series = long([("a", 0, 1.0), ("a", 3, 4.0)], gaps="fill")["a"]
    assert series.values.tolist() == [1, 1, 1, 4]
    assert series.observed.tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("rows", "code", "count", "words"),
    [
        (
            [("a", 0, 1.0), ("a", 1, NAN), ("a", 2, NAN)],
            "nan",
            2,
            ["row 1", "column 'y'", "series 'a'", "1", 'missing="mask"'],
        ),
        ([("a", 0, 1.0), ("a", 1, math.inf)], "nonfinite", 1, ["row 1", "inf"]),
        ([("a", 0, 1e39), ("a", 1, 1.0)], "overflow", 1, ["row 0", "float32"]),
        ([("a", 1, 1.0), ("b", 0, 1.0), ("a", 1, 2.0)], "duplicate", 1, ["row 0 and row 2", 'duplicates="mean"']),
        (
            [("a", 0, 1.0), ("a", 1, 1.0), ("a", 5, 1.0)],
            "gap",
            1,
            ["a gap of 3", "2 to 4", "after row 1", 'gaps="fill"'],
        ),
    ],
)
def test_defaults_refuse(rows: list[tuple[str, int, float]], code: str, count: int, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        long(rows)
    assert (caught.value.code, caught.value.count) == (code, count)
    for word in words:
        assert word in str(caught.value)


def test_wrong_freq_says_the_right_one() -> None:
    table = {"ds": ["2020-01", "2020-02", "2020-03"], "y": [1, 2, 3]}
    for freq in ("ME", "D"):
        with pytest.raises(DataError, match="freq='MS'"):
            read_panel(table, freq=freq)
    with pytest.raises(DataError, match="dates"):
        read_panel(table, freq="1")


def test_irregular_times() -> None:
    table = {"ds": [0, 10, 20, 23, 30, 40], "y": range(6)}
    with pytest.raises(DataError) as caught:
        read_panel(table)
    assert caught.value.code == "irregular"
    assert "row 3" in caught.value.where[0]
    assert read_panel(table, cleaning=Cleaning(gaps="as-is")).total == 6


def test_a_date_far_away_is_not_filled() -> None:
    with pytest.raises(DataError, match="wrong date"):
        long([("a", 0, 1.0), ("a", 1, 1.0), ("a", 10**15, 1.0)], gaps="fill")


@pytest.mark.parametrize(
    "options",
    [
        {"missing": "zero"}, {"duplicates": "first"}, {"gaps": "yes"}, {"decimal": ";"},
        {"gaps": "fill", "missing": "drop"}, {"delimiter": ",", "decimal": ","}, {"missing": ["raise"]},
    ],
)  # fmt: skip
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        read_panel([1, 2, 3], cleaning=Cleaning(**options))
