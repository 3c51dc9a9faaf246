from __future__ import annotations

import decimal
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.data import Cleaning, Columns, read_panel
from ostinato.errors import DataError, OstinatoError, ShapeError

GOOD = "month,passengers\n1949-01,112\n1949-02,118\n1949-03,132\n1949-04,129\n"


def write(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "name", "options"),
    [
        (GOOD, "data.csv", {}),
        (GOOD.replace("\n", "\r\n"), "data.csv", {}),
        (GOOD.replace("\n", "\r"), "data.csv", {}),
        ("\ufeff" + GOOD, "data.csv", {}),
        (GOOD.replace("\n", "\n\n") + "\n\n", "data.csv", {}),
        (GOOD.replace(",", "\t"), "data.tsv", {}),
        (GOOD.replace(",", ";"), "data.txt", {}),
        (GOOD.replace(",", ";").replace("2\n", "2,0\n"), "data.csv", {"decimal": ","}),
        (GOOD.replace(",", "#"), "data.csv", {"delimiter": "#"}),
        (GOOD.replace(",", ' , "').replace("\n", '"\n'), "data.csv", {}),
        (gzip.compress(GOOD.encode(), mtime=0), "data.csv.gz", {}),
        (GOOD.replace("month", ""), "DATA.CSV", {}),
    ],
)
def test_csv_in_many_dresses(tmp_path: Path, content: str | bytes, name: str, options: dict[str, Any]) -> None:
    panel = read_panel(write(tmp_path, content, name), cleaning=Cleaning(**options))
    assert panel["passengers"].values.tolist() == [112, 118, 132, 129]
    assert (str(panel.freq), panel.like) == ("MS", "path")


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (GOOD + "1949-07,148\n", "gap", ["1949-05-01 to 1949-06-01", "after line 5", "a gap of 2"]),
        (GOOD + "1949-04,130\n", "duplicate", ["line 5 and line 6", "1949-04-01"]),
        (GOOD + "1949-05,about 5\n", "text", ["'about 5'", "line 6", "'passengers'"]),
        (GOOD + "1949-05,\n", "nan", ["line 6", "1949-05-01"]),
        (GOOD + "1949-05,NA\n1949-06,null\n", "nan", ["2 times"]),
        (GOOD + "1949-05,-inf\n", "nonfinite", ["line 6"]),
        (GOOD + "1949-05,1e39\n", "overflow", ["line 6"]),
        (GOOD + "1949-05,=1+1\n", "text", ["'=1+1'", "not computed"]),
        (GOOD + "1949-05,1_0\n", "text", ["line 6"]),
        (GOOD + "1949-05,٣\n", "text", ["line 6"]),
        (GOOD + '1949-05,"1,234.5"\n', "text", ["thousands"]),
        (GOOD + "1949-05,1,5\n1949-06\n", "ragged", ["line 6; line 7", "3 and 1", "decimal"]),
        ("ds;y\n2020-01;1,5\n2020-02;2,5\n", "text", ['decimal=","', "2 times"]),
        ('ds,y,note\n2020-01,1,"a\nb"\n2020-02,x,c\n', "text", ["line 4"]),
        ("\n\nds,y\n\n2020-01,1\n\n2020-02,x\n", "text", ["line 7"]),
        ('ds,y\n2020-01,1\n2020-02,"2\n2020-03,3\n', "csv", ["line 3"]),
        ("ds,y\n2020-01," + "1" * 200_000 + "\n", "csv", ["line 2", "131,072"]),
        ("ds;y,z\n1;2,3\n", "delimiter", ["comma", "semicolon", "line 1"]),
        ("ds,y,y\n1,2,3\n", "column", ["'y' 2 times"]),
        ("1949-01,112\n1949-02,118\n", "header", ["1949-01", "line 1"]),
        ("", "empty", ["data.csv"]),
        ("\n \n", "empty", ["data.csv"]),
        ("ds,y\n", "empty", ["header only"]),
        ("ds,y\n2020-01,3\n", "short", ["freq"]),
        ("ds\n2020-01\n2020-02\n", "column", ["'ds'"]),
        ("a,b\n1,2\n3,4\n", "column", ["time"]),
        ("year,month,y\n2020,1,2\n2020,2,3\n", "column", ["'year', 'month'"]),
        ("ds,city,y\n2020-01,Rome,1\n2020-02,Rome,2\n", "text", ["'city'", "id='city'"]),
        ("id,ds,a,b\n1,2,3,4\n", "column", ["'a', 'b'", "target='a'"]),
        ("id,ds,y\na,1,1\n,2,2\n", "id", ["line 3"]),
        ("date,y\n03/04/2020,1\n04/04/2020,2\n", "time", ["line 2; line 3", "%d/%m/%Y", "%m/%d/%Y"]),
        (GOOD.encode() + b"1949-05,1\xe9\n", "encoding", ["byte 74", "line 6", "0xe9"]),
        (GOOD.encode("utf-16"), "encoding", ["UTF-16"]),
        (GOOD + "1949-05,\0\n", "nul", ["line 6"]),
    ],
)
def test_bad_csv_is_named(tmp_path: Path, content: str | bytes, code: str, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        read_panel(write(tmp_path, content))
    assert caught.value.code == code
    assert caught.value.fix.endswith((".", "…"))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("role", ["id", "time", "target"])
def test_wrong_column_names_are_matched(tmp_path: Path, role: str) -> None:
    with pytest.raises(DataError) as caught:
        read_panel(write(tmp_path, GOOD), Columns(**{role: "Pasengers"}))
    assert caught.value.code == "column"
    assert "Did you mean 'passengers'? The columns are 'month', 'passengers'." in str(caught.value)


def test_bad_files(tmp_path: Path) -> None:
    for path, code in (
        (tmp_path / "absent.csv", "file"),
        (tmp_path, "file"),
        (write(tmp_path, GOOD, "a.xlsx"), "extension"),
        (write(tmp_path, GOOD, "a"), "extension"),
        (write(tmp_path, GOOD, "a.parquet"), "file"),
        (write(tmp_path, GOOD, "a.csv.gz"), "file"),
        (write(tmp_path, gzip.compress(GOOD.encode())[:-9], "b.csv.gz"), "file"),
        ("a\0b.csv", "file"),
    ):
        with pytest.raises(DataError) as caught:
            read_panel(path)
        assert caught.value.code == code


def test_wide_long_and_named_columns() -> None:
    wide = read_panel({"T": [1, 2], "a": [1, 2], "b": [3, 4]})
    assert (wide.ids, wide.columns) == (("a", "b"), Columns(time="T"))
    one = read_panel({"T": [1, 2], "a": ["x", "y"], "b": [3, 4]}, Columns(target="b"))
    assert (one.ids, one.columns.target) == (("b",), "b")
    long = read_panel({"k": ["u", "v", "u"], "w": [2, 1, 1], "x": [1, 2, 3], "z": [0, 0, 0]}, Columns("k", "w", "x"))
    assert (long.ids, long["u"].values.tolist(), long.columns) == (("u", "v"), [3, 1], Columns("k", "w", "x"))
    assert read_panel({"y": [1, 2, 3]}).series[0].times.tolist() == [0, 1, 2]


ONE = np.arange(6.0)


@pytest.mark.parametrize(
    "source",
    [
        [0, 1, 2], (0, 1, 2.0), range(3), np.arange(3, dtype=np.float16), np.arange(3, dtype=">f8"), ONE[:5:2] / 2,
        np.arange(3)[::-1][::-1], np.array([0, 1, 2], dtype=object), [decimal.Decimal(i) for i in range(3)],
        np.arange(3, dtype=np.uint8)[:, None], np.ma.array([0, 1, 2]),
    ],
)  # fmt: skip
def test_arrays(source: Any) -> None:
    panel = read_panel(source)
    assert panel.like == "array"
    assert panel.series[0].values.tolist() == [0, 1, 2]
    assert panel.series[0].values.dtype == np.float64


def test_the_source_is_left_alone() -> None:
    x = np.array([1.0, np.nan, 3.0])
    x.setflags(write=False)
    panel = read_panel(x, cleaning=Cleaning(missing="mask"))
    assert panel.series[0].values.tolist() == [1, 1, 3]
    masked = np.ma.array([1.0, 99.0, 3.0], mask=[0, 1, 0])
    assert read_panel(masked, cleaning=Cleaning(missing="interpolate")).series[0].values.tolist() == [1, 2, 3]
    two = read_panel(np.arange(6.0).reshape(3, 2))
    assert (two.ids, two["1"].values.tolist()) == (("0", "1"), [1, 3, 5])


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (None, "type"),
        (object(), "type"),
        (3, "type"),
        ({1, 2}, "type"),
        (b"x", "type"),
        ([], "empty"),
        (np.empty((0, 3)), "empty"),
        (np.empty((3, 0)), "empty"),
        (np.ones((2, 2, 2)), "shape"),
        (np.float64(1), "type"),
        ([[1], [1, 2]], "shape"),
        (np.array(1.0), "shape"),
        (["1", "2"], "dtype"),
        (np.array([1j]), "dtype"),
        ([True, False], "dtype"),
        (np.array([True]), "dtype"),
        ([1, None], "nan"),
        ([1, float("nan")], "nan"),
        ([1, 10**400], "nonfinite"),
        (np.array(["2020"], "M8[Y]"), "dtype"),
        ({}, "empty"),
        ({"ds": [], "y": []}, "empty"),
        ({"ds": [1, 2], "y": [1]}, "ragged"),
        ({"ds": 1, "y": 2}, "type"),
        ({"ds": [1, 2], "y": ["1", "2"]}, "dtype"),
        ({"ds": [1, 2], "y": [True, False]}, "dtype"),
        ({"ds": [1, 2], "y": np.ones((2, 2))}, "shape"),
        ({"ds": [1, 2], "y": [[1], [2]]}, "dtype"),
        ({"ds": [1, 2], "y": [1, "x"]}, "dtype"),
        ({"ds": [1.5, 2], "y": [1, 2]}, "time"),
    ],
)
def test_bad_sources_are_named(source: Any, code: str) -> None:
    with pytest.raises((DataError, ShapeError)) as caught:
        read_panel(source)
    assert caught.value.code == code


@given(
    st.lists(
        st.lists(st.sampled_from(["2020-01", "1", "x", "", "NA", "1e400", '"', "=A1", "Q", "0001-01-01"]), max_size=3),
        max_size=5,
    ),
    st.sampled_from(",;\t"),
)
def test_files_give_finite_panels_or_typed_errors(tmp_path_factory: Any, rows: list[list[str]], mark: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text("ds,y\n".replace(",", mark) + "\n".join(mark.join(row) for row in rows))
    try:
        panel = read_panel(path, cleaning=Cleaning("mask", "last", "fill"))
    except OstinatoError:
        return
    assert panel.total > 0
    assert all(np.isfinite(one.values).all() for one in panel.series)


def test_frames_of_polars() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"ds": ["2020-01-01", "2020-01-02", "2020-01-03"], "y": [1, None, 3]})
    dated = frame.with_columns(polars.col("ds").str.to_date())
    for source in (frame, dated, dated.lazy(), dated.with_columns(polars.col("y").cast(polars.Decimal(10, 2)))):
        panel = read_panel(source, cleaning=Cleaning(missing="interpolate"))
        assert (panel.like, str(panel.freq), panel["y"].values.tolist()) == ("polars", "D", [1, 2, 3])
    with pytest.raises(DataError) as caught:
        read_panel(dated)
    assert (caught.value.code, caught.value.where) == ("nan", ("row 1, series 'y', 2020-01-02",))
    assert read_panel(polars.Series([1, 2, 3])).total == 3


def test_zones_of_polars() -> None:
    polars = pytest.importorskip("polars")
    days = polars.DataFrame({"ds": ["2020-03-28", "2020-03-29", "2020-03-30"], "y": [1, 2, 3]}).with_columns(
        polars.col("ds").str.to_datetime().dt.replace_time_zone("Europe/Berlin")
    )
    panel = read_panel(days)
    assert (str(panel.freq), panel.utc, str(panel["y"].times[0])[:13]) == ("D", False, "2020-03-28T00")
    hours = days.with_columns(polars.col("ds") + polars.duration(hours=5))
    assert read_panel(hours, cleaning=Cleaning(gaps="as-is")).utc


def test_frames_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2020-01-31", periods=4, freq="ME")
    values = np.arange(4.0)

    class Darts:
        def to_dataframe(self) -> Any:
            return pandas.DataFrame({"y": values}, index=index)

    for source in (
        pandas.DataFrame({"y": values}, index=index),
        pandas.DataFrame({"ds": index, "y": values}).iloc[[3, 1, 0, 2]],
        pandas.DataFrame({"unique_id": "y", "ds": index, "y": values}).set_index(["unique_id", "ds"]),
        pandas.DataFrame({"ds": index, "y": pandas.array([0, 1, 2, 3], dtype="Int64")}),
        Darts(),
    ):
        panel = read_panel(source)
        assert (panel.like, str(panel.freq), panel["y"].values.tolist()) == ("pandas", "ME", [0, 1, 2, 3])
    with pytest.raises(DataError, match="differ"):
        read_panel(pandas.DataFrame([[1, 2, 3]], columns=["ds", "y", "y"]))


def test_cut() -> None:
    panel = read_panel({"ds": ["2020-01", "2020-02", "2020-03", "2020-04"], "a": [1, 2, 3, 4], "b": [5, 6, 7, 8]})
    assert (panel.lengths.tolist(), panel.total) == ([4, 4], 8)
    for at in (1, "2020-04", np.datetime64("2020-03-02")):
        before, after = panel.cut(at)
        assert (before["b"].values.tolist(), after["b"].values.tolist()) == ([5, 6, 7], [8])
    assert panel.cut(0).after.total == 0
    for at in (4, "2020-01"):
        with pytest.raises(DataError, match="4 steps"):
            panel.cut(at)
    for at in (-1, 2.5, True, None):
        with pytest.raises(OstinatoError):
            panel.cut(at)
    with pytest.raises(DataError, match="'a', 'b'"):
        panel["c"]


def test_the_step_may_be_part_of_the_columns():
    dates = {"ds": ["2024-01-01", "2024-01-08", "2024-01-22"], "y": [1.0, 2.0, 3.0]}
    with pytest.raises(DataError) as error:
        read_panel(dates, Columns(freq="D"))
    assert error.value.code == "gap"
    assert str(read_panel(dates, Columns(freq="W"), cleaning=Cleaning(gaps="fill")).freq) == "W"
