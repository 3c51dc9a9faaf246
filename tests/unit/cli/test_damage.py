"""What goes wrong around a run, through the command line: one message, an exit code, and every file as it was."""

from __future__ import annotations

import errno
import gzip
import os
import resource
from contextlib import contextmanager

import pytest
import safetensors.numpy
from tests.unit.cli.call import TINY, call
from tests.unit.cli.test_bad_input import refused
from tests.unit.runtime.generators import TUNES, VOCABULARIES, generator

from ostinato.data.inputs import write_tune
from ostinato.runtime import atomic
from ostinato.runtime.bundle import save
from ostinato.runtime.generator_file import to_bundle
from ostinato.runtime.room import Room
from ostinato.train.generations import NAMES

TEXT = "the rain falls on the sea,\nand the wind blows.\n" * 12
QUICK = ("--units", "6", "--epochs", "2", "--bptt", "16", "--batch-size", "4", "-q")


@pytest.fixture
def place(tmp_path, csv, model):
    """A folder with data, a forecaster, a generator, and files that a run would replace."""
    (tmp_path / "text.txt").write_text(TEXT, "utf-8")
    (tmp_path / "data.csv").write_bytes(csv.read_bytes())
    (tmp_path / "forecaster").write_bytes(model.read_bytes())
    save(tmp_path / "generator", to_bundle(generator(VOCABULARIES["characters"]), version="0.1.0"))
    for name in ("m", "m.html", "out.txt", "out.csv", "out.parquet"):
        (tmp_path / name).write_bytes(b"old")
    return tmp_path


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def runs(place):
    """Commands that write, by what they write first."""
    return {
        "model of texts": ("fit", "generate", place / "text.txt", *QUICK, "--out", place / "m"),
        "model of series": ("fit", "forecast", place / "data.csv", *TINY, "-q", "--out", place / "m"),
        "checkpoint": ("fit", "generate", place / "text.txt", *QUICK, "--out", place / "m", "--checkpoint", place / "c",
                       "--every", "0"),
        "text": ("generate", place / "generator", "-n", "3000", "--out", place / "out.txt"),
        "table": ("predict", place / "forecaster", "--out", place / "out.csv"),
        "columns": ("predict", place / "forecaster", "--out", place / "out.parquet"),
        "backtest": ("evaluate", place / "forecaster", place / "data.csv", "--out", place / "out.csv"),
        "plot": ("fit", "forecast", place / "data.csv", *TINY, "--find-learning-rate", place / "plot.png"),
    }  # fmt: skip


@contextmanager
def at_most(size):
    """No file may grow beyond `size` bytes: the kernel refuses the write in the middle, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def failing(name, number):
    """The file layer fails."""

    def fail(*args, **options):
        raise OSError(number, os.strerror(number), str(args[0]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.os, name, fail)
        yield


TROUBLES = {
    "a disk that is full": lambda: at_most(100),
    "a disk that gets full": lambda: failing("fsync", errno.ENOSPC),
    "a file system that is read-only": lambda: failing("open", errno.EROFS),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("what", ["model of texts", "model of series", "checkpoint", "text", "table", "backtest"])
def test_what_cannot_be_written_leaves_all_as_it_was(what, trouble, place):
    before = files(place)
    with TROUBLES[trouble]():
        done = call(*runs(place)[what])
    assert (done.code, done.fault) == (2, False)
    assert not done.out or what == "backtest"  # whose scores are shown first
    (message,) = [line for line in done.err.splitlines() if not line.startswith("ostinato: note:")]
    assert message.startswith("ostinato: [")
    assert files(place) == before
    if what == "checkpoint" and "gets" in trouble:
        assert "the checkpoint's folder must be writable" in done.err
    if "gets" not in trouble and what in ("model of texts", "model of series", "checkpoint"):
        assert "hoose another folder" in message  # known before the training


@pytest.mark.parametrize("what", ["columns", "plot"])
def test_so_do_files_that_other_packages_write(what, place):
    before = files(place)
    with at_most(100):
        done = call(*runs(place)[what])
    assert (done.code, done.fault) == (2, False), done
    assert done.err.count("\n") == 1, done.err
    assert files(place) == before


def test_a_report_that_cannot_be_written_costs_no_model(place, monkeypatch):
    monkeypatch.setattr(Room, "hold", lambda self, size: None)
    big = 40_000
    with at_most(big):
        done = call(*runs(place)["model of texts"])
    assert (done.code, done.err.count("\n"), done.fault) == (2, 1, False)
    assert (place / "m.html").read_bytes() == b"old"
    assert call("generate", place / "m", "-n", "3").code == 0


def test_a_checkpoint_that_fails_late_keeps_its_generations(place):
    words = runs(place)["checkpoint"]
    assert call(*words).code == 0
    before = files(place)
    (place / "m").write_bytes(b"old")
    with failing("fsync", errno.ENOSPC):
        done = call(*words)  # a run that is done is recognised, and only the model is written
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert {n: before[f"c/{n}"] for n in NAMES} == {n: (place / "c" / n).read_bytes() for n in NAMES}
    assert (place / "m").read_bytes() == b"old"
    assert call(*words).code == 0
    assert (place / "m").read_bytes() == before["m"]


FOREIGN = {
    "text": b"epoch,loss\n0,1.0\n", "pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0",
    "weights": safetensors.numpy.save({}, {"format": "pt"}), "zip": b"PK\x03\x04" + bytes(90),
}  # fmt: skip


@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_checkpoint_is_not_touched(what, place):
    (place / "c").mkdir()
    for name in NAMES:
        (place / "c" / name).write_bytes(FOREIGN[what])
    before = files(place)
    refused(call(*runs(place)["checkpoint"]), code="unsupported_format]", word="nothing was overwritten")
    assert files(place) == before


def test_a_checkpoint_that_is_damaged_or_of_another_run_is_not_touched(place):
    words = runs(place)["checkpoint"]
    assert call(*words).code == 0
    (place / "m").write_bytes(b"old")
    before = files(place)
    for more, word in (
        (("--cell", "gru"), "cell was"), (("--seed", "4"), "seed was 0, now 4"), (("--symbols", "bytes"), "symbols"),
        (("--optimizer", "sgd"), "optimizer was 'adam', now 'sgd'"), (("--dropout", "0.5"), "dropout was 0.0, now 0.5"),
    ):  # fmt: skip
        refused(call(*words, *more), code="checkpoint_mismatch]", word=word)
    (place / "text.txt").write_text(TEXT + "and on", "utf-8")
    refused(call(*words), code="checkpoint_mismatch]", word="data is not the same (sha256 ")
    (place / "text.txt").write_text(TEXT, "utf-8")
    assert files(place) == before
    newest = max(NAMES, key=lambda n: (place / "c" / n).stat().st_mtime_ns)
    whole = (place / "c" / newest).read_bytes()
    (place / "c" / newest).write_bytes(whole[: len(whole) // 2])
    assert call(*words).code == 0  # from the older generation
    for name in NAMES:
        (place / "c" / name).write_bytes(b"{" * 90)
    (place / "m").write_bytes(b"old")
    before = files(place)
    done = call(*words)
    assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
    assert all(str(place / "c" / name) in done.err for name in NAMES)
    assert files(place) == before


BAD_TEXTS = {
    "picture.txt": b"\x89PNG\r\n\x1a\n" + bytes(90), "cut.gz.txt": gzip.compress(TEXT.encode()),
    "tune.txt": write_tune(TUNES[0]), "array.npy": b"\x93NUMPY\x01\0" + bytes(90),
    "latin.txt": ("größe\n" * 90).encode("latin-1"), "utf16.txt": TEXT.encode("utf-16"), "empty.txt": b"",
    "blank.txt": b"\n \n\t\n", "strange.txt": "Ω".encode(), "bom.txt": b"\xef\xbb\xbf",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TEXTS)
@pytest.mark.parametrize("verb", ["fit", "evaluate"])
def test_bad_texts_write_nothing(verb, name, place):
    (place / name).write_bytes(BAD_TEXTS[name])
    before = files(place)
    words = ("fit", "generate", place / name, *QUICK, "--out", place / "m", "--checkpoint", place / "c")
    refused(call(*words) if verb == "fit" else call("evaluate", place / "generator", place / name))
    assert files(place) == before
