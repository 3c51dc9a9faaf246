from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ostinato.data import Columns, Table, read_panel, to_like, write_table
from ostinato.errors import ArgumentError, DataError

TIMES = np.arange("2020-01", "2020-04", dtype="datetime64[M]").astype("datetime64[us]")


def table() -> Table:
    return Table({"unique_id": ["a", "a", "b"], "ds": TIMES, "y": np.array([0.1, 1e-300, 1 / 3])})


@pytest.mark.parametrize("like", ["polars", "pandas", "pyarrow"])
def test_frames_go_out_and_come_in(like: str) -> None:
    pytest.importorskip(like)
    panel = read_panel(to_like(table(), like), freq="MS")
    assert panel.like == like
    assert panel.ids == ("a", "b")
    assert panel["a"].values.tolist() == [0.1, 1e-300]
    np.testing.assert_array_equal(panel["b"].times, TIMES[2:])


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_files_keep_every_bit(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out{ending}"
    write_table(table(), path)
    write_table(table(), path)
    panel = read_panel(path, Columns(id="unique_id"), freq="MS")
    assert np.concatenate([s.values for s in panel.series]).tobytes() == table()["y"].tobytes()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_likes_without_a_frame() -> None:
    polars = pytest.importorskip("polars")
    assert isinstance(to_like(table(), "path"), polars.DataFrame)
    assert isinstance(to_like(table(), "array"), polars.DataFrame)
    assert to_like(table(), "dict")["y"][0] == 0.1
    with pytest.raises(ArgumentError, match="excel"):
        to_like(table(), "excel")


def test_a_table_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert isinstance(to_like(table(), "path"), Table)


def test_repr_is_tidy() -> None:
    assert repr(table()).splitlines() == [
        "unique_id  ds                 y",
        "a          2020-01-01       0.1",
        "a          2020-02-01    1e-300",
        "b          2020-03-01  0.333333",
        "[3 rows × 3 columns]",
    ]
    long = repr(Table({"n": np.arange(1000)})).splitlines()
    assert len(long) == 13
    assert "…" in long[6]
    assert repr(Table({})) == "[0 rows × 0 columns]"


def test_text_in_csv_is_quoted_and_missing_is_empty() -> None:
    text = Table(
        {"a": ['x,"y"\nz', None], "b": np.array([np.nan, 2.0]), "c": np.array(["NaT", "2020"], "M8[us]")}
    ).csv_text()
    assert text == 'a,b,c\n"x,""y""\nz",,\n,2.0,2020-01-01\n'


def test_bad_tables(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'a' 1, 'b' 2"):
        Table({"a": [1], "b": [1, 2]})
    with pytest.raises(DataError, match="'unique_id', 'ds', 'y'"):
        table()["z"]
    with pytest.raises(ArgumentError, match="xlsx"):
        write_table(table(), tmp_path / "a.xlsx")
    with pytest.raises(DataError) as caught:
        write_table(table(), tmp_path / "none" / "a.csv")
    assert caught.value.code == "file"
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError):
        write_table(table(), tmp_path / "folder.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["folder.csv"]
