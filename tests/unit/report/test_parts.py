import re
import stat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import ArgumentError, ShapeError
from ostinato.report import Band, Column, Line, Page, Plot, Section, figure, render, svg, table, write
from ostinato.report.figures import POINTS, _thin, _thin_band


def cells(html):
    return re.findall(r"<td[^>]*>(.*?)</td>", html)


def test_table_escapes_and_aligns():
    html = table(
        [Column("<k>", "<i>name", number=False), Column("v", "value")], [{"<k>": "<b>", "v": 1.0}], caption="<u>"
    )
    assert "<i>" not in html
    assert "<b>" not in html
    assert "<u>" not in html
    assert '<th scope="col" class="number">value</th>' in html
    assert '<td class="number">1</td>' in html


@pytest.mark.parametrize(
    ("best", "values", "bold"),
    [
        ("low", [3.0, 1.0, 2.0], [1]),
        ("high", [3.0, 1.0, 2.0], [0]),
        (2.1, [3.0, 1.0, 2.0], [2]),
        (None, [3.0, 1.0], []),
        ("low", [1.0], []),
        ("low", [1.0001, 1.0002, 5.0], [0, 1]),
        ("low", [float("nan"), 4.0, 3.0, None, float("-inf")], [2]),
    ],
)
def test_best_value_is_bold(best, values, bold):
    shown = cells(table([Column("v", "v", best=best)], [{"v": value} for value in values]))
    assert [place for place, cell in enumerate(shown) if cell.startswith("<b>")] == bold


def test_percent_and_missing():
    shown = cells(table([Column("v", "v", best=0.8, percent=True)], [{"v": 0.5}, {"v": 0.79}, {}]))
    assert shown == ["50", "<b>79</b>", "–"]


@settings(max_examples=60)
@given(st.lists(st.floats(-1e8, 1e8), min_size=1, max_size=6))
def test_numbers_read_back_within_half_a_last_place(values):
    shown = cells(table([Column("v", "v")], [{"v": value} for value in values]))
    for text, value in zip(shown, values, strict=True):
        back = float(text.replace("\u202f", "").replace("−", "-"))
        places = len(text.partition(".")[2]) if "e" not in text else 0
        assert back == pytest.approx(value, rel=5.1e-3, abs=0.51 * 10.0**-places)


def test_table_refuses_text_among_numbers_and_unknown_best():
    with pytest.raises(ArgumentError, match="must hold numbers"):
        table([Column("v", "v")], [{"v": "1,5"}])
    with pytest.raises(ArgumentError, match="best must be"):
        table([Column("v", "v", best="least")], [{"v": 1.0}, {"v": 2.0}])


def test_page_escapes_its_texts_and_links_to_its_sections():
    html = render(Page("<t>", "<v>", (Section("one", "<h>", "<p>body</p>"),), footer="<f>"))
    assert all(f"<{name}>" not in html for name in ("t", "v", "h", "f"))
    assert '<a href="#one">&lt;h&gt;</a>' in html
    assert "<p>body</p>" in html


def test_write_replaces_in_one_go_and_keeps_permissions(tmp_path):
    path = tmp_path / "report.html"
    assert write(path, "one é") == path
    path.chmod(0o640)
    write(str(path), "two")
    assert path.read_text(encoding="utf-8") == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write(path, "old")

    def full(_descriptor):
        raise OSError("no space left")

    monkeypatch.setattr("ostinato.report.page.os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write(path, "new")
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "missing" / "report.html", "x")


@settings(max_examples=30)
@given(n=st.integers(POINTS + 1, 5000), seed=st.integers(0, 99))
def test_thinning_keeps_the_extremes(n, seed):
    rng = np.random.default_rng(seed)
    x, y = np.arange(n, dtype=float), rng.normal(size=n)
    few_x, few_y = _thin(x, y)
    assert len(few_x) <= POINTS
    assert (np.diff(few_x) > 0).all()
    assert few_y.min() == y.min()
    assert few_y.max() == y.max()
    np.testing.assert_array_equal(y[few_x.astype(int)], few_y)
    places, low, high = _thin_band(x, y - 1, y + 1)
    assert len(places) <= POINTS
    assert low.min() == y.min() - 1
    assert high.max() == y.max() + 1


def test_drawing_keeps_tick_labels_exact_and_has_no_names():
    drawing = svg(Plot("p", (Line("secret", [0, 1, 2], [0.0, 0.0002, 0.0005]),)), size=(4.0, 3.0))
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawing)
    assert {"0.0002", "0.0004"} <= set(texts)
    assert "secret" not in drawing
    assert "<metadata" not in drawing


def test_figure_legend_names_each_thing_once():
    line = Line("a & b", [0, 1], [1.0, 2.0])
    html = figure(Plot("p", (line, line), bands=(Band("<band>", [0, 1], [0.0, 1.0], [2.0, 3.0]),)))
    assert html.count("a &amp; b") == 1
    assert html.count("&lt;band&gt;") == 1


def test_figure_refuses_bad_colours_and_lengths():
    with pytest.raises(ArgumentError, match="#rrggbb"):
        figure(Plot("p", (Line("a", [0], [1.0], colour='"/><script>'),)))
    with pytest.raises(ShapeError):
        figure(Plot("p", (Line("a", [0, 1], [1.0]),)))
