import copy

import numpy as np
import pytest
from tests.unit.report.test_forecast_report import Reader

from ostinato.errors import ArgumentError, ShapeError
from ostinato.report import generate_report
from ostinato.report.generate import LONG

HEADINGS = [
    "Scores",
    "Samples",
    "What surprised the network",
    "Training",
    "What the past is worth",
    "Data",
    "Choices made and why",
    "Model",
    "Notes",
    "How to reproduce",
]
OF = {
    "Samples": "samples", "What surprised the network": "surprise", "Training": "training",
    "What the past is worth": "positions", "Data": "data", "Choices made and why": "choices", "Model": "model",
    "Notes": "notes",
}  # fmt: skip
KEYS = {"name", "label"}


def example():
    """A made-up but likely report."""
    rng = np.random.default_rng(0)
    pieces = list("the rain falls on the sea,\nand the wind. ") * 9
    return {
        "title": "Generator from a text",
        "verdict": "The network wins: 1.9 bits a character against 2.1 for 7-gram, the best rival (9 % less).",
        "made_with": {"versions": {"ostinato": "0.1.0"}, "seed": 0, "command": "ostinato fit generate a.txt"},
        "scores": [
            {"name": "LSTM", "nats": 1.3, "perplexity": 3.7, "bits": 1.9},
            {"name": "7-gram", "nats": 1.46, "perplexity": 4.3, "bits": 2.1},
            {"name": "lzma", "nats": None, "perplexity": None, "bits": 2.4},
        ],
        "symbols": 12_345,
        "samples": [{"label": "Temperature 0.8", "prime": "the ", "text": "rain falls"}],
        "surprise": {"pieces": pieces, "nats": rng.exponential(2.0, len(pieces)).tolist()},
        "training": {"epochs": 3, "train_loss": [3.0, 2.0, 1.5], "valid_loss": [3.1, 2.2, 1.9], "best_epoch": 3},
        "pace": "2 s in all.",
        "positions": ([1, 2, 4, 8], [3.0, 2.5, 2.2, 2.1]),
        "data": {"From": "a text", "Length": "90 symbols"},
        "treatments": ["All line ends were read as one symbol."],
        "model": [{"layer": "Embedding", "output": "(None, 64)", "parameters": 640}],
        "choices": [{"what": "symbols", "chosen": "characters", "why": "text"}],
        "notes": ["The validation part was read in one stream."],
    }  # fmt: skip


def poisoned(value, text):
    """The same report with `text` for every text in it."""
    if isinstance(value, dict):
        return {(text + key if " " in key else key): poisoned(item, text) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(poisoned(item, text) for item in value)
    return text if isinstance(value, str) else value


def test_parses_and_shows_every_section_in_order():
    assert Reader(generate_report(example())).headings == HEADINGS


def test_is_self_contained():
    html = generate_report(example())
    reader = Reader(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(reader.tags)
    for tag, name, value in reader.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("href", "src", "xlink:href", "action", "data"):
            assert value.startswith("#"), (tag, name, value)
    assert "http:" not in html
    assert "https:" not in html


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</pre></style></svg><b>&amp;", "$\\frac{",
     "\u8eca\u4e21\u6570 \U0001f6a2", "'--><!--"],
)  # fmt: skip
def test_text_is_never_markup(text):
    reader = Reader(generate_report(poisoned(example(), text)))
    plain = Reader(generate_report(poisoned(example(), "x")))
    assert reader.headings == plain.headings == HEADINGS
    assert reader.tags == plain.tags
    assert "".join(reader.texts).count(text) >= 10


@pytest.mark.parametrize("text", ["\x00", "\x1b[2J", "\u202eabc", "\u200b", "\ud800", "\x7f", "\r", "\ue000"])
def test_characters_that_cannot_be_seen_are_shown_as_numbers_in_samples_and_passage(text):
    report = example()
    report["samples"] = [{"label": "s", "prime": text, "text": text}]
    report["surprise"] = {"pieces": [text] * 3, "nats": [0.1, 1.0, 9.0]}
    html = generate_report(report)
    html.encode("utf-8")
    assert html.count(f"\u27e8{ord(text[0]):04X}\u27e9") >= 5
    assert text[0] not in "".join(Reader(html).texts)


def test_line_ends_show_and_the_passage_is_the_text():
    report = example()
    html = generate_report(report)
    passage = html.partition('id="surprise"')[2].partition("<pre>")[2].partition("</pre>")[0]
    shown = "".join(Reader(f"<pre>{passage}</pre>").texts).replace("\u21b5", "")
    assert shown == "".join(report["surprise"]["pieces"])


def test_the_more_surprising_the_darker():
    report = example()
    report["surprise"] = {"pieces": list("abcdef"), "nats": [0.0, 0.9, 1.6, 3.0, 5.0, 7.0]}
    html = generate_report(report)
    passage = html.partition('id="surprise"')[2].partition("<pre>")[2].partition("</pre>")[0]
    shades = [float(part.partition(")")[0]) for part in passage.split("rgba(213,94,0,")[1:]]
    assert len(shades) == 5
    assert shades == sorted(set(shades))
    assert passage.startswith("a<span")


def test_a_figure_that_no_method_has_takes_no_column():
    report = example()
    assert "Bits a character" in "".join(Reader(generate_report(report)).texts)
    for score in report["scores"]:
        score["bits"] = None
    assert "Bits a character" not in "".join(Reader(generate_report(report)).texts)


def test_long_samples_are_folded():
    report = example()
    assert "<details>" not in generate_report(report).partition('id="samples"')[2].partition("</section>")[0]
    report["samples"][0]["text"] = "x" * (LONG + 1)
    assert "<details>" in generate_report(report).partition('id="samples"')[2].partition("</section>")[0]


@pytest.mark.parametrize("heading", [*OF, "all"])
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_parts_without_facts_are_left_out(heading, how):
    report = example()
    gone = list(OF) if heading == "all" else [heading]
    for name in gone:
        if how == "absent":
            del report[OF[name]]
        else:
            report[OF[name]] = type(report[OF[name]])()
    assert Reader(generate_report(report)).headings == [name for name in HEADINGS if name not in gone]


@pytest.mark.parametrize("key", ["title", "verdict", "made_with", "scores", "symbols"])
def test_what_must_be_there(key):
    report = example()
    del report[key]
    with pytest.raises(ArgumentError, match=key):
        generate_report(report)


def test_rolls_of_tunes():
    report = example()
    del report["samples"]
    report["rolls"] = [{"label": "<b>", "notes": [(0.0, 1.0, 60), (1.0, 3.0, 64)]}, {"label": "none", "notes": []}]
    reader = Reader(generate_report(report))
    assert reader.headings == HEADINGS
    assert "<b>" in "".join(reader.texts)


def test_edges():
    report = example()
    report["samples"] = [{"label": "nothing", "prime": "", "text": ""}]
    report["surprise"] = {"pieces": ["a"], "nats": [float("inf")]}
    report["training"] = {"epochs": 1, "train_loss": [3.0], "valid_loss": [], "best_epoch": 1}
    report["scores"][0].update(nats=float("nan"), perplexity=float("inf"))
    assert Reader(generate_report(report)).headings == HEADINGS
    report["surprise"] = {"pieces": ["a", "b"], "nats": [1.0]}
    with pytest.raises(ShapeError):
        generate_report(report)


def test_the_facts_are_only_read():
    report = example()
    before = copy.deepcopy(report)
    assert generate_report(report) == generate_report(report)
    assert report == before
