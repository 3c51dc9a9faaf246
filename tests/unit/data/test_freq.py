from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.data import Freq, read_times
from ostinato.errors import ArgumentError, DataError

ALIASES = [
    "MS",
    "ME",
    "QS",
    "QE",
    "YS",
    "YE",
    "W",
    "2W",
    "D",
    "3D",
    "B",
    "h",
    "2h",
    "30min",
    "15min",
    "s",
    "ms",
    "us",
    "1",
    "7",
    "2MS",
    "2QS",
    "2YE",
]
ENDS = {"ME", "QE", "2YE"}


@st.composite
def grids(draw: st.DrawFn) -> tuple[Freq, np.ndarray]:
    alias = draw(st.sampled_from(ALIASES))
    freq = Freq.parse(alias)
    if freq.unit == "step":
        return freq, freq.next(draw(st.integers(-1000, 1000)), 40)
    start = draw(st.datetimes(dt.datetime(1, 2, 1), dt.datetime(9000, 1, 1))).replace(microsecond=0)
    if freq.unit == "month":
        start = start.replace(day=min(start.day, 27))
    if freq.unit == "month_end":
        start = start.replace(day=1) - dt.timedelta(days=1)
    if freq.unit == "business":
        start -= dt.timedelta(days=max(start.weekday() - 4, 0))
    return freq, freq.next(np.datetime64(start), 40)


@given(grids())
def test_laws_of_a_grid(grid: tuple[Freq, np.ndarray]) -> None:
    freq, times = grid
    assert Freq.parse(str(freq)) == freq
    assert np.all(np.diff(times.astype(np.int64)) > 0)
    np.testing.assert_array_equal(freq.next(times[19], 20), times[20:])
    np.testing.assert_array_equal(freq.join(freq.split(times), like=times), times)
    assert np.all(np.diff(freq.split(times).number) == 1)
    assert Freq.infer(times) == freq
    assert freq.missing(times) == ()
    gaps = freq.missing(np.delete(times, [10, 11, 20]))
    assert [(g.first, g.last, g.n) for g in gaps] == [(times[10], times[11], 2), (times[20], times[20], 1)]


@pytest.mark.parametrize(
    ("alias", "season"),
    [
        ("MS", 12), ("ME", 12), ("QS", 4), ("QE", 4), ("YS", 1), ("W", 52), ("2W", 26), ("D", 7), ("2D", 1), ("B", 5),
        ("h", 24), ("2h", 12), ("7h", 1), ("30min", 48), ("15min", 96), ("s", 60), ("1", 1), ("12", 1),
    ],
)  # fmt: skip
def test_seasons(alias: str, season: int) -> None:
    assert Freq.parse(alias).season == season


def test_aliases_of_other_libraries() -> None:
    others = {"M": "ME", "Q": "QE", "A": "YE", "H": "h", "T": "min", "1mo": "MS", "1q": "QS", "1d": "D", "15m": "15min"}
    assert {alias: str(Freq.parse(alias)) for alias in others} == others
    assert str(Freq.parse("W-SUN")) == "W"
    assert str(Freq.parse("7D")) == "W"
    for wrong in ("", "foo", "0D", "-1D", "D2", "1.5h"):
        with pytest.raises(ArgumentError, match="freq"):
            Freq.parse(wrong)


def test_weekends_decide_between_days_and_business_days() -> None:
    days = np.arange("2024-01-01", "2024-02-01", dtype="datetime64[D]").astype("datetime64[us]")
    weekday = (days.astype("datetime64[D]").astype(int) + 3) % 7 < 5
    assert str(Freq.infer(days)) == "D"
    assert str(Freq.infer(days[weekday])) == "B"
    assert str(Freq.infer(days[:5])) == "D"


def test_a_wrong_date_does_not_change_the_month_step() -> None:
    times = read_times(["2020-01", "2020-02", "2020-03-02", "2020-04", "2020-05", "2020-06"]).values
    freq = Freq.infer(times)
    assert str(freq) == "MS"
    with pytest.raises(DataError, match="2020-03-02"):
        freq.missing(times)


def test_many_series_are_pooled_without_steps_between_them() -> None:
    a = np.arange("2024-01-01", "2024-01-03", dtype="datetime64[D]").astype("datetime64[us]")
    far = [a + np.timedelta64(365 * i, "D") for i in range(8)]
    assert str(Freq.infer(far)) == "D"
    assert str(Freq.infer([a[:0], a, a[:1]])) == "D"
    assert str(Freq.infer([a, *(one[:1] for one in far[1:])])) == "D"


def test_what_cannot_be_inferred_or_continued() -> None:
    for times in ([], np.array([3]), [np.array([3]), np.array([5])]):
        with pytest.raises(DataError) as caught:
            Freq.infer(times)
        assert caught.value.code == "short"
    for alias, last, code in (
        ("D", "9999-12-31", "time"),
        ("YS", "9990-01-01", "time"),
        ("ME", "2024-01-15", "freq"),
        ("MS", "2024-01-30", "freq"),
        ("B", "2024-01-06", "freq"),
        ("1", "2024-01-06", "freq"),
    ):
        with pytest.raises(DataError) as caught:
            Freq.parse(alias).next(np.datetime64(last), 12)
        assert caught.value.code == code
    with pytest.raises(DataError):
        Freq.parse("D").next(3, 1)
    with pytest.raises(DataError):
        Freq.parse("1").next(2**63 - 2, 5)
