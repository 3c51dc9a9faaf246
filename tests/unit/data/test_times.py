from __future__ import annotations

import contextlib
import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.data import read_times, time_text
from ostinato.errors import ArgumentError, DataError, OstinatoError

UTC = dt.timezone.utc  # noqa: UP017
MOMENTS = st.datetimes(min_value=dt.datetime(1, 1, 1), max_value=dt.datetime(9999, 12, 31, 23, 59, 59))


@given(st.lists(MOMENTS, min_size=1, max_size=20), st.sampled_from("T "))
def test_iso_text_objects_and_datetime64_agree(moments: list[dt.datetime], separator: str) -> None:
    expected = np.array(moments, dtype="datetime64[us]")
    for column in ([m.isoformat(separator) for m in moments], moments, expected):
        read = read_times(column)
        assert read.values.dtype == np.dtype("datetime64[us]")
        assert not read.aware
        np.testing.assert_array_equal(read.values, expected)


@given(st.lists(MOMENTS, min_size=1, max_size=10))
def test_text_of_times_reads_back(moments: list[dt.datetime]) -> None:
    times = np.array(moments, dtype="datetime64[us]")
    np.testing.assert_array_equal(read_times(time_text(times)).values, times)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1949-01", "1949-01-01"),
        ("1949-01-31", "1949-01-31"),
        ("2024-03-01 05:00", "2024-03-01T05:00"),
        ("2024-03-01T05:00:30.123", "2024-03-01T05:00:30.123"),
        ("2024-03-01 05:00Z", "2024-03-01T05:00"),
        ("2024-03-01 05:00+02:00", "2024-03-01T03:00"),
        ("2024-03-01 05:00 -0130", "2024-03-01T06:30"),
        ("2020Q1", "2020-01-01"),
        ("2020-Q4", "2020-10-01"),
        ("0001-01-01", "0001-01-01"),
        ("9999-12-31", "9999-12-31"),
    ],
)
def test_forms(text: str, expected: str) -> None:
    assert read_times([text]).values[0] == np.datetime64(expected, "us")


@pytest.mark.parametrize("unit", ["Y", "M", "D", "h", "s", "ms", "us", "ns"])
def test_every_unit_of_datetime64(unit: str) -> None:
    column = np.array(["2024-01-01", "2025-01-01"], dtype=f"datetime64[{unit}]")
    np.testing.assert_array_equal(read_times(column).values, column.astype("datetime64[us]"))


def test_whole_numbers_stay_whole_numbers() -> None:
    for column in ([1949, 1950], np.array([1949, 1950], dtype=">i4"), ["1949", "1950"], [1949.0, 1950.0]):
        values = read_times(column).values
        assert values.dtype == np.int64
        assert values.tolist() == [1949, 1950]


def test_local_midnights_are_dates_but_hours_go_to_utc() -> None:
    dates = read_times(["2020-03-28T00:00+01:00", "2020-03-30T00:00+02:00"])
    assert (dates.aware, time_text(dates.values)) == (False, ["2020-03-28", "2020-03-30"])
    hours = read_times(["2020-03-29T01:00+01:00", "2020-03-29T03:00+02:00"])
    assert (hours.aware, time_text(hours.values)) == (True, ["2020-03-29 00:00", "2020-03-29 01:00"])


def test_the_two_hours_of_a_set_back_clock_differ() -> None:
    zoneinfo = pytest.importorskip("zoneinfo")
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    hours = [dt.datetime(2020, 10, 25, 2, 30, tzinfo=berlin, fold=fold) for fold in (0, 1)]
    assert time_text(read_times(hours).values) == ["2020-10-25 00:30", "2020-10-25 01:30"]


def test_time_format() -> None:
    assert time_text(read_times(["03/04/2020"], time_format="%d/%m/%Y").values) == ["2020-04-03"]
    assert time_text(read_times(["03/04/2020"], time_format="%m/%d/%Y").values) == ["2020-03-04"]
    assert time_text(read_times(np.array([20200403]), time_format="%Y%m%d").values) == ["2020-04-03"]
    for pattern in ("%d", "%Y-%Ö"):
        with pytest.raises(ArgumentError, match="time_format"):
            read_times(["2020-01-01"], time_format=pattern)


@pytest.mark.parametrize(
    ("column", "code", "words"),
    [
        (["2024-01-01", "01.02.2024"], "time", ["row 1", "%d.%m.%Y"]),
        (["03/04/2020"], "time", ["%d/%m/%Y", "%m/%d/%Y", "day first", "month first"]),
        (["31/04/2020", "13/12/2020"], "time", ["2 times"]),
        (["2023-02-30"], "time", ["2023-02-30", "row 0"]),
        (["2024-01-01", ""], "time", ["row 1"]),
        (["2024-01-01", None], "time", ["row 1"]),
        (["2024-01-01Z", "2024-01-02 05:00"], "timezone", ["1 of 2", "row"]),
        ([dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=UTC)], "timezone", ["1 of 2"]),
        (["0000-01-01"], "time", ["years 1 to 9999"]),
        (["0001-01-01 01:00+14:00"], "time", ["years 1 to 9999"]),
        (np.array([10**6], dtype="datetime64[Y]"), "time", ["years 1 to 9999"]),
        (np.array([1], dtype="datetime64[ns]"), "time", ["microseconds"]),
        (np.array(["NaT"], dtype="datetime64[s]"), "time", ["row 0"]),
        ([20240131, 20240201], "time", ["%Y%m%d"]),
        ([1.5], "time", ["1.5"]),
        ([True], "time", ["bool"]),
        ([2**70], "time", ["row 0"]),
        (np.array([2**63], dtype=np.uint64), "time", ["row 0"]),
        ([float("inf")], "time", ["inf"]),
        ([object()], "time", ["object"]),
        (["2024-01", 5], "time", ["int", "str"]),
        (["٢٠٢٤-01-01"], "time", ["row 0"]),
    ],
)
def test_bad_times_are_named(column: object, code: str, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        read_times(column)  # type: ignore[arg-type]
    assert caught.value.code == code
    assert caught.value.fix.endswith(".")
    for word in words:
        assert word in str(caught.value)


@given(st.lists(st.one_of(st.text(max_size=12), st.none(), st.integers(), st.floats(), st.dates()), max_size=4))
def test_nothing_but_typed_errors(column: list[object]) -> None:
    with contextlib.suppress(OstinatoError):
        read_times(column)
