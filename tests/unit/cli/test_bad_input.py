"""A catalogue of what goes wrong: always exit code 2, one line on standard error that helps, and nothing written."""

import gzip
import os
import re
import shutil

import pytest
from tests.unit.cli.call import TINY, call

HEAD = "ds,y"


def text(*lines):
    return "\n".join([*lines, ""]).encode()


def _with(rows, at, row):
    return text(HEAD, *rows[:at], row, *rows[at + 1 :])


def tables(rows):
    """Name of the file: (its bytes, code of the error, a word that must be said)."""
    day = [row.split(",")[0] for row in rows]
    value = [row.split(",")[1] for row in rows]
    hours = [f"2020-01-0{1 + i // 24} {i % 24:02}:00,{v}" for i, v in enumerate(value)]
    return {
        "gap.csv": (text(HEAD, *rows[:20], *rows[22:]), "gap", "2020-01-21"),
        "duplicate.csv": (text(HEAD, *rows, rows[3]), "duplicate", "2020-01-04"),
        "twice.csv": (text(HEAD, *rows, f"{day[7]},3"), "duplicate", "line 82"),
        "text_cell.csv": (_with(rows, 9, f"{day[9]},abc"), "text", "line 11"),
        "formula.csv": (_with(rows, 9, f"{day[9]},=1+1"), "text", "Formulas"),
        "thousands.csv": (_with(rows, 9, f'{day[9]},"1,234.5"'), "text", "thousands"),
        "comma.csv": (
            text("ds;y", *(row.replace(",", ";").replace(".", ",") for row in rows)),
            "text",
            "--decimal ','.",
        ),
        "empty_cell.csv": (_with(rows, 9, f"{day[9]},"), "nan", "--missing mask"),
        "nan.csv": (_with(rows, 79, f"{day[79]},NaN"), "nan", "2020-03-20"),
        "none.csv": (text(HEAD, *(f"{d}," for d in day)), "nan", "80 times"),
        "inf.csv": (_with(rows, 9, f"{day[9]},inf"), "nonfinite", "2020-01-10"),
        "minus_inf.csv": (_with(rows, 9, f"{day[9]},-Infinity"), "nonfinite", "2020-01-10"),
        "large.csv": (_with(rows, 9, f"{day[9]},1e39"), "overflow", "power of ten"),
        "huge.csv": (_with(rows, 9, f"{day[9]},1e400"), "nonfinite", "2020-01-10"),
        "ragged.csv": (_with(rows, 9, f"{day[9]},1,2"), "ragged", "line 11"),
        "cut.csv": (_with(rows, 9, day[9]), "ragged", "line 11"),
        "bad_date.csv": (_with(rows, 9, "2020-02-30,1"), "time", "line 11"),
        "no_date.csv": (_with(rows, 9, ",1"), "time", "line 11"),
        "word_date.csv": (_with(rows, 9, "soon,1"), "time", "soon"),
        "off_grid.csv": (_with(rows, 9, "2020-01-10 07:00,1"), "irregular", "2020-01-10"),
        "empty.csv": (b"", "empty", "empty.csv"),
        "blank.csv": (b"\n\n \n", "empty", "blank.csv"),
        "header.csv": (text(HEAD), "empty", "header"),
        "headless.csv": (text(*rows), "header", "ds,y"),
        "one_row.csv": (text(HEAD, rows[0]), "short", ""),
        "few_rows.csv": (text(HEAD, *rows[:9]), "short", "'y'"),
        "one_column.csv": (text("ds", *day), "column", "values"),
        "same_names.csv": (text("ds,y,y", *(f"{row},1" for row in rows)), "column", "2 times"),
        "no_time.csv": (text("a,b", *(f"{v},{v}" for v in value)), "column", "--time"),
        "many_targets.csv": (text("id,ds,a,b", *(f"x,{row},1" for row in rows)), "column", "--target"),
        "two_marks.csv": (text("ds,y;z", *rows), "delimiter", "--delimiter"),
        "latin.csv": (text("ds,größe", *rows).decode().encode("latin-1"), "encoding", "line 1"),
        "utf16.csv": (text(HEAD, *rows).decode().encode("utf-16"), "encoding", "UTF-16"),
        "binary.csv": (bytes(range(128)) * 20, "", ""),
        "random.csv": (bytes(range(256)) * 20, "encoding", "byte 128"),
        "nul.csv": (text(HEAD, *rows[:5], "2020-01-06,\0"), "nul", "line 7"),
        "quote.csv": (text(HEAD, *rows[:5], '2020-01-06,"3'), "csv", "line 7"),
        "zip.csv": (b"PK\x03\x04" + bytes(200), "format", "zip archive"),
        "gzip.csv": (gzip.compress(text(HEAD, *rows)), "format", ".gz"),
        "parquet.csv": (b"PAR1\x15\xff" + bytes(40), "format", ".parquet"),
        "damaged.csv.gz": (b"\x1f\x8b\x08\x00" + b"x" * 40, "file", "gzip"),
        "plain.csv.gz": (text(HEAD, *rows), "file", "gzip"),
        "text.parquet": (text(HEAD, *rows), "file", "Parquet"),
        "cut.parquet": (b"PAR1" + bytes(40), "file", "Parquet"),
        "book.xlsx": (b"PK\x03\x04", "extension", ".xlsx"),
        "noending": (text(HEAD, *rows), "extension", "no ending"),
        "hours.csv": (text(HEAD, *hours), None, ""),
        "late.csv": (text(HEAD, *(f"{d.replace('2020-0', '9999-1')},1" for d in day[-20:])), "", ""),
        "mixed_zones.csv": (
            text(HEAD, *(f"{d}T00:00{'+01:00' if i % 2 else ''},1" for i, d in enumerate(day))),
            "",
            "",
        ),
        "truth.csv": (text(HEAD, *(f"{d},{'yes' if i % 2 else 'no'}" for i, d in enumerate(day))), "text", "'no'"),
        "json.csv": (b'[{"ds": "2020-01-01", "y": 1}]', "", ""),
        "html.csv": (b"<html><body>Not found</body></html>\n", "", ""),
    }


NAMES = list(tables(["2020-01-01,1"] * 80))
NOT_DATA = ("missing.csv", "nowhere/data.csv", "folder", "folder.csv", "", "a" * 300 + ".csv", "\u2028.csv")


@pytest.fixture(scope="module")
def place(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("bad")
    for name, (content, _, _) in tables(rows).items():
        (folder / name).write_bytes(content)
    (folder / "folder").mkdir()
    (folder / "folder.csv").mkdir()
    return folder


def refused(done, *, code="", word=""):
    assert done.code == 2, done
    assert not done.fault
    assert "Traceback" not in done.err
    assert done.out == ""
    lines = [line for line in done.err.splitlines() if not line.startswith("ostinato: note:")]
    assert len(lines) == 1, done.err
    line = lines[0]
    assert line.startswith(f"ostinato: [{code}"), line
    assert line.endswith("."), line
    assert word in line, line
    advice = line.rpartition(", got ")[0] + line.rpartition(". ")[2].replace("freq=", "")
    assert not re.search("""=["']""", advice), line
    assert len(line) < 1200


@pytest.mark.parametrize("name", [n for n in NAMES if n != "hours.csv"])
def test_fit_refuses_a_bad_table(name, place, rows):
    _, code, word = tables(rows)[name]
    out = place / "folder" / "m.safetensors"
    refused(call("fit", "forecast", place / name, *TINY, "--out", out), code=code and f"{code}]", word=word)
    assert not list((place / "folder").iterdir())


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("few_rows.csv",)])
@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_predict_and_evaluate_refuse_a_bad_table(verb, name, place, model):
    refused(call(verb, model, place / name))


@pytest.mark.parametrize("name", NOT_DATA)
def test_what_is_no_data_file(name, place, model):
    path = place / name if name else ""
    refused(call("fit", "forecast", path, *TINY, "--out", place / "folder" / "m"))
    refused(call("predict", model, path))
    refused(call("evaluate", model, path))


def test_advice_is_in_the_words_of_the_command_line(place, model):
    assert "--gaps fill (" in call("fit", "forecast", place / "gap.csv", *TINY).err
    assert "--gaps fill to fit" in call("predict", model, place / "gap.csv").err


OPTIONS = [
    ("--horizon", v) for v in ("0", "-1", "abc", "", "1000000000", "99999999999999999999", "2.5", "3,4", "nan", "1e3")
] + [
    ("--level", v) for v in ("0", "100", "abc", "", "80,", "nan", "inf", "-5", "80;95", "99.9999")
] + [
    ("--cell", v) for v in ("foo", "", "LSTM", "../lstm", "lstm.py")
] + [
    ("--units", v) for v in ("0", "-3", "a,b", "", "4,0", "1.5", "1000000000", "4,,4")
] + [
    ("--epochs", "0"), ("--epochs", "many"), ("--batch-size", "0"), ("--batch-size", "-1"), ("--patience", "0"),
    ("--members", "-1"), ("--members", "5000"), ("--seed", "-1"), ("--seed", "99999999999999999999"),
    ("--learning-rate", "nan"), ("--learning-rate", "-1"), ("--learning-rate", "inf"), ("--learning-rate", "fast"),
    ("--weight-decay", "-1"), ("--clip-norm", "nan"), ("--season", "-1"), ("--season", "5000"), ("--season", "72"),
    ("--length", "5000"), ("--length", "-1"), ("--test", "2"), ("--test", "5000"), ("--test", "-2"), ("--step", "-1"),
    ("--log", "perhaps"), ("--anchor", "middle"), ("--time", "when"), ("--target", "Y"), ("--id", "ds"),
    ("--target", "ds"), ("--time-format", "%Q"), ("--time-format", "%d/%m/%Y"), ("--missing", "guess"),
    ("--duplicates", "first"), ("--gaps", "jump"), ("--delimiter", ";;"), ("--delimiter", ""), ("--decimal", ";"),
    ("--decimal", ""), ("--nonsense", "1"), ("--horizon",), ("--report", "/nowhere/page.html"),
]  # fmt: skip


@pytest.mark.parametrize("words", OPTIONS, ids=[" ".join(words) for words in OPTIONS])
def test_fit_refuses_a_bad_option(words, csv, tmp_path):
    done = call("fit", "forecast", csv, *TINY, "--out", tmp_path / "m.safetensors", *words)
    refused(done)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [("--gaps", "fill", "--missing", "drop"), ("--anchor", "season", "--season", "1"),
                                   ("--delimiter", ",", "--decimal", ",")])  # fmt: skip
def test_options_that_contradict_each_other(words, csv, tmp_path):
    refused(call("fit", "forecast", csv, *TINY, "--out", tmp_path / "m", *words))


def test_training_that_diverges_is_one_line(csv, tmp_path):
    words = ("--learning-rate", "1e38", "--clip-norm", "0", "--epochs", "5")
    done = call("fit", "forecast", csv, *TINY, "--out", tmp_path / "m", *words)
    assert done.code in (0, 2)
    assert not done.fault
    if done.code:
        refused(done, code="nonfinite_loss]")


def test_places_that_cannot_be_written(csv, model, tmp_path):
    copy = tmp_path / "data.csv"
    shutil.copy(csv, copy)
    before = copy.read_bytes()
    for out in (tmp_path, "", ".", "..", "/", tmp_path / "no" / "m", copy, copy / "m", tmp_path / ("m" * 300)):
        refused(call("fit", "forecast", copy, *TINY, "--out", out))
    refused(call("fit", "forecast", copy, *TINY, "--out", tmp_path / "m.html"), word="twice")
    refused(call("fit", "forecast", copy, *TINY, "--out", tmp_path / "m", "--report", tmp_path / "m"), word="twice")
    refused(call("fit", "forecast", copy, *TINY, "--out", tmp_path / "m", "--report", copy), word="twice")
    for verb in ("predict", "evaluate"):
        for out in (tmp_path, tmp_path / "no" / "p.csv", copy, tmp_path / "p.txt", tmp_path / "p", model):
            refused(call(verb, model, copy, "--out", out))
    assert copy.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.csv"]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read and write everything"
)
def test_permissions(csv, model, tmp_path):
    copy, closed = tmp_path / "data.csv", tmp_path / "closed"
    shutil.copy(csv, copy)
    copy.chmod(0)
    closed.mkdir(mode=0o500)
    refused(call("fit", "forecast", copy, *TINY, "--out", tmp_path / "m"), word="ermission")
    refused(call("fit", "forecast", csv, *TINY, "--out", closed / "m"), word="may be written")
    refused(call("predict", model, csv, "--out", closed / "p.csv"), word="may be written")


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_models_that_are_none(verb, csv, model, tmp_path):
    good = model.read_bytes()
    middle = len(good) // 2
    bad = {
        "cut": good[:-1], "half": good[:middle], "more": good + b"x", "empty": b"", "short": good[:7],
        "flip": good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :],
        "text": b"hello world, this is text\n", "csv": csv.read_bytes(), "zeros": bytes(5000),
        "zip": b"PK\x03\x04" + bytes(99),
        "pickle": b"\x80\x04\x95" + bytes(99), "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(99),
        "bomb": (2**63 - 1).to_bytes(8, "little") + b"{",
    }  # fmt: skip
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        refused(call(verb, tmp_path / name, csv))
    for name in ("missing", ".", "", "no/where", "m" * 300):
        refused(call(verb, tmp_path / name if name else "", csv))
    refused(call(verb, model, csv, "--sha256", "0" * 64), code="pin]")
    refused(call(verb, model, csv, "--sha256", "abc"))
    refused(call(verb, model, csv, "more"))
    refused(call(verb))


def test_a_model_of_another_task(csv, tmp_path):
    from tests.unit.runtime.bundle_samples import small

    from ostinato.runtime.bundle import save

    save(tmp_path / "s", small())
    refused(call("predict", tmp_path / "s", csv), code="npy]")
    refused(call("generate", tmp_path / "s"), code="task]", word="ostinato predict")
    refused(call("evaluate", tmp_path / "s", csv), word="x.npy y.npy")


@pytest.mark.parametrize("words", [("foo",), ("fit", "foo"), ("fit", "forecast"), ("--foo",), ("predict",),
                                   ("options",),
                                   ("fit", "../forecast", "x"), ("main",)])  # fmt: skip
def test_words_that_are_no_command(words):
    refused(call(*words))


@pytest.mark.parametrize("words", [("generate", "m", "--prime"), ("predict", "m", "--out")])
def test_an_option_without_its_value_points_to_the_help_of_its_command(words):
    refused(call(*words), word=f"See ostinato {words[0]} --help.")


def test_ctrl_c_says_what_would_have_kept_the_run(csv, tmp_path, monkeypatch):
    from ostinato import Forecast

    def stopped(self, *_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Forecast, "fit", stopped)
    for more, said in (((), True), (("--checkpoint", tmp_path / "run"), False)):
        done = call("fit", "forecast", csv, "--out", tmp_path / "m", *more)
        assert done.code == 130
        assert ("with --checkpoint FOLDER" in done.err) == said
    assert not list(tmp_path.iterdir())


def test_debug_shows_the_trace(place):
    done = call("fit", "forecast", place / "gap.csv", *TINY, "--debug")
    assert done.fault
    assert done.code == 1
