import copy
import os
import re
import subprocess
import sys
from datetime import date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from tests.unit.report.example_report import example

from ostinato.errors import ArgumentError, ShapeError
from ostinato.report import forecast_report

HEADINGS = [
    "Scores",
    "Forecast",
    "Backtest",
    "Errors by horizon",
    "Training",
    "Data and its treatment",
    "Choices made and why",
    "Model",
    "Notes",
    "How to reproduce",
]
OPTIONAL = ["forecast", "backtest", "by_horizon", "training", "data", "choices", "model", "notes", "unit"]
VOID = {"meta", "link", "img", "br", "input", "hr", "source"}


class Reader(HTMLParser):
    """Collects tags and texts, and checks that every tag is closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts, self.headings = [], [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend((tag, name, value or "") for name, value in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend((tag, name, value or "") for name, value in attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if "h2" in self.open:
            self.headings.append(data)


@pytest.fixture(scope="module", params=[1, 8])
def html(request):
    return forecast_report(example(request.param))


def test_parses_and_shows_every_section_in_order(html):
    assert Reader(html).headings == HEADINGS


def test_is_self_contained(html):
    reader = Reader(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(reader.tags)
    for tag, name, value in reader.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("href", "src", "xlink:href", "action", "data"):
            assert value.startswith("#"), (tag, name, value)
    assert "@import" not in html
    assert "http:" not in html
    assert "https:" not in html
    assert re.findall(r"url\((?!#)", html) == []
    assert "default-src 'none'" in html


def test_ids_are_unique_and_references_resolve(html):
    reader = Reader(html)
    ids = [value for _, name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = {value[1:] for _, name, value in reader.attributes if name in ("href", "xlink:href")}
    used |= set(re.findall(r"url\(#([^)]+)\)", html))
    assert used <= set(ids)


def test_shows_at_most_six_series_and_says_so():
    html = forecast_report(example(8))
    assert html.count("6 of 8 series are shown.") == 2
    assert "route 6" in html
    assert "route 7" not in html


def test_best_values_are_bold_and_the_network_is_set_off():
    html = forecast_report(example())
    for best in ("14.2", "18.8", "0.46"):
        assert f"<b>{best}</b>" in html
    assert "<b>21.9</b>" not in html
    assert html.count('<tr class="own">') == 1


def poisoned(value, text):
    """The same report with `text` for every text in it but times and keys that code reads."""
    if isinstance(value, dict):
        return {
            (text + key if isinstance(key, str) and " " in key else key): item
            if key in ("times", "future_times")
            else poisoned(item, text)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [poisoned(item, text) for item in value]
    return text if isinstance(value, str) else value


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</style></svg><b>&amp;",
        "$\\frac{",
        "車両数 \u0627 \U0001f6a2",
        "'--><!--",
        "\ud800",
    ],
)
def test_text_from_the_user_is_never_markup(text):
    reader = Reader(forecast_report(poisoned(example(2), text)))
    assert reader.headings == HEADINGS
    plain = Reader(forecast_report(poisoned(example(2), "x")))
    assert reader.tags == plain.tags
    assert text in "".join(reader.texts)


def test_text_times_are_not_markup_either():
    report = example()
    series = report["forecast"][0]
    series["times"] = [f"<script>{i}" for i in range(144)]
    series["future_times"] = [f"<b>{i}" for i in range(12)]
    assert "script" not in Reader(forecast_report(report)).tags


def test_bytes_are_the_same_in_another_process_and_under_other_settings():
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[3])!r})\n"
        "import matplotlib; matplotlib\n"
        "matplotlib.rcParams.update({'font.size': 30, 'axes.facecolor': 'red', 'text.usetex': True})\n"
        "from tests.unit.report.example_report import example; from ostinato.report import forecast_report\n"
        "html = forecast_report(example(2)); assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.rcParams['font.size'] == 30 and matplotlib.rcParams['text.usetex']\n"
        "sys.stdout.buffer.write(html.encode())"
    )
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1", "PYTHONHASHSEED": "5", "TZ": "Asia/Tokyo"}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    before = dict(matplotlib.rcParams)
    assert other.stdout.decode() == forecast_report(example(2))
    assert dict(matplotlib.rcParams) == before


def test_importing_the_room_does_not_import_matplotlib():
    code = "import sys, ostinato.report; assert not {'matplotlib', 'torch', 'polars'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("gone", [*OPTIONAL, "all"])
def test_missing_sections_are_left_out(gone):
    report = example()
    before = len(HEADINGS)
    for key in OPTIONAL if gone == "all" else [gone]:
        del report[key]
    left = Reader(forecast_report(report)).headings
    expected = {"all": 2, "unit": before}.get(gone, before - 1)
    assert len(left) == expected
    assert [heading for heading in HEADINGS if heading in left] == left


@pytest.mark.parametrize("key", ["title", "verdict", "made_with", "scores"])
def test_what_must_be_there(key):
    report = example()
    del report[key]
    with pytest.raises(ArgumentError, match=key):
        forecast_report(report)


def test_unequal_lengths_are_refused():
    for where, key in (("forecast", "median"), ("forecast", "history"), ("backtest", "actual")):
        report = example()
        report[where][0][key] = report[where][0][key][:-1]
        with pytest.raises(ShapeError, match="one value for each"):
            forecast_report(report)


def test_scores_that_are_not_defined_become_dashes():
    report = example()
    report["scores"]["rows"][1].update(mase=None, rmse=float("nan"), mae=float("inf"), coverage={})
    html = forecast_report(report)
    assert html.count('<td class="number">–</td>') == 5


@pytest.mark.parametrize(
    "times",
    [
        list(range(30)),
        [0.5 * i for i in range(30)],
        [date(2020, 1, 1) + timedelta(days=i) for i in range(30)],
        [datetime(2020, 1, 1) + timedelta(hours=i) for i in range(30)],
        [f"2020-01-01T{i // 2:02d}:{i % 2 * 30:02d}:00+00:00" for i in range(30)],
        list(np.arange("2020-01", "2022-07", dtype="datetime64[M]")),
        [f"week {i}" for i in range(30)],
    ],
    ids=["whole", "float", "date", "datetime", "iso with zone", "numpy", "text"],
)
def test_kinds_of_times(times):
    report = copy.deepcopy(example(1, n=24, h=6))
    series = report["forecast"][0]
    series["times"], series["future_times"] = times[:24], times[24:]
    report["backtest"] = []
    assert Reader(forecast_report(report)).headings == [name for name in HEADINGS if name != "Backtest"]


def test_odd_values_are_drawn():
    report = example(1, n=24, h=6)
    series = report["forecast"][0]
    series["history"] = [None, float("inf"), *([5.0] * 22)]
    series["median"] = np.full(6, np.nan)
    report["training"] = {"epochs": 1, "train_loss": [0.5], "valid_loss": [], "best_epoch": 1}
    report["by_horizon"] = {"network (lstm)": [1.0], "naive": [2.0]}
    assert Reader(forecast_report(report)).headings == HEADINGS


def test_horizon_of_one_shows_its_band():
    report = example(1, n=24, h=1)
    lonely = forecast_report(report)
    del report["forecast"][0]["bands"][80]
    assert forecast_report(report).count("<path") < lonely.count("<path")


def test_long_series_stay_small():
    report, n, h = example(), 100_000, 2000
    walk = np.cumsum(np.random.default_rng(0).normal(size=n + h))
    median = walk[n:]
    report["forecast"] = [
        {
            "id": "walk",
            "times": list(range(n)),
            "history": walk[:n],
            "future_times": list(range(n, n + h)),
            "median": median,
            "bands": {80: (median - 1, median + 1)},
        }
    ]
    html = forecast_report(report)
    assert len(html) < len(forecast_report(example())) + 150_000
    assert "The last 10000 of 100000 steps and the next 2000." in html


def test_date_axes_of_every_length_are_drawn():
    for step in (timedelta(seconds=7), timedelta(minutes=7), timedelta(hours=5), timedelta(days=3), timedelta(days=70)):
        for n in (2, 5, 11, 23, 37):
            report = example()
            times = [datetime(2020, 1, 30) + i * step for i in range(n + 12)]
            series = report["forecast"][0]
            series.update(times=times[:n], history=np.arange(n), future_times=times[n:])
            forecast_report({key: report[key] for key in ("title", "verdict", "made_with", "scores", "forecast")})


def test_gradient_health_has_a_section():
    report = example()
    gates = [{"layer": "layer 1 (LSTM)", "gate": "f", "kind": "sigmoid", "low": 0.001, "high": 0.256}]
    report["gradients"] = {
        "norms": {"layer 1 (LSTM)": [1.0, 0.1, 0.0]},
        "gates": gates,
        "sentences": ["layer 1 (LSTM): healthy."],
        "healthy": True,
        "rows": 32,
        "cut": False,
    }
    read = Reader(forecast_report(report))
    assert read.headings == [*HEADINGS[:5], "Gradient health", *HEADINGS[5:]]
    assert {"layer 1 (LSTM): healthy.", "26", "Mean over 32 sequences after training."} <= set(read.texts)
