import io
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from tests.unit.cli.call import TINY, call

from ostinato import Forecast
from ostinato.runtime import load


def test_fit_predict_evaluate(csv, tmp_path):
    out = tmp_path / "m.safetensors"
    fit = call("fit", "forecast", csv, *TINY, "--level", "50,90", "--out", out)
    assert fit.code == 0
    assert "The network" in fit.out
    assert "\n\nTraining " in fit.out
    assert fit.err.startswith("network 1/1 epoch ")
    assert all(re.fullmatch(r"(final )?network 1/1 epoch .* val_loss \S+", line) for line in fit.err.splitlines())
    assert "theta" in fit.out
    assert str(out) in fit.out
    page = (tmp_path / "m.html").read_text()
    assert f"--out {out}" in page
    predict = call("predict", out)
    assert (predict.code, predict.err) == (0, "")
    assert pl.read_csv(io.StringIO(predict.out)).columns[:4] == ["unique_id", "ds", "LSTM", "LSTM-lo-90"]
    assert call("predict", out, csv).out == predict.out == load(out).predict().csv_text()
    evaluate = call("evaluate", out, csv, "--out", tmp_path / "b.parquet")
    assert evaluate.code == 0
    assert "The network" in evaluate.out
    assert evaluate.err.startswith("ostinato: note: 1 of 1 series")
    assert evaluate.err.count("\n") == 1
    assert "cutoff" in pl.read_parquet(tmp_path / "b.parquet").columns


def test_files_that_are_written(model, csv, tmp_path):
    for name in ("p.csv", "p.parquet"):
        done = call("predict", model, csv, "--out", tmp_path / name)
        assert done == (0, "", "", False)
    assert (tmp_path / "p.csv").read_text() == load(model).predict().csv_text()
    table = pl.read_parquet(tmp_path / "p.parquet")
    assert np.array_equal(table["LSTM"].to_numpy(), load(model).predict()["LSTM"])
    done = call("predict", model, "--out", tmp_path / "p.csv")
    assert done.code == 0


def test_options_reach_the_task(csv, tmp_path):
    words = (
        "--cell",
        "gru",
        "--units",
        "5,3",
        "--season",
        "5",
        "--log",
        "no",
        "--seed",
        "9",
        "--test",
        "4",
        "--time",
        "ds",
    )
    assert call("fit", "forecast", csv, *TINY, *words, "--out", tmp_path / "m", "-q").code == 0
    task = Forecast.load(tmp_path / "m")
    assert (task.cell, task.units, task.level) == ("gru", (5, 3), (80.0, 95.0))
    assert (task.windows.season, task.windows.log, task.windows.test) == (5, "no", 4)
    assert (task.training.seed, task.training.epochs, task.columns.time) == (9, 1, "ds")


def test_the_model_of_the_command_is_the_model_of_python(csv, model):
    from ostinato.tasks.training import Training

    task = Forecast(horizon=3, units=4, training=Training(epochs=1, members=1)).fit(csv)
    assert np.array_equal(task.predict()["LSTM"].to_numpy(), load(model).predict()["LSTM"])


def test_parquet_and_long_tables(csv, tmp_path):
    one = pl.read_csv(csv, try_parse_dates=True)
    long = pl.concat([one.with_columns(unique_id=pl.lit(name)) for name in ("a", "b")])
    long.write_parquet(tmp_path / "long.parquet")
    assert call("fit", "forecast", tmp_path / "long.parquet", *TINY, "--out", tmp_path / "m", "-q").code == 0
    assert len(call("predict", tmp_path / "m").out.splitlines()) == 7


def test_other_series_names_are_a_note(model, csv, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text(csv.read_text().replace("ds,y", "ds,cars"))
    done = call("predict", model, other)
    assert done.code == 0
    assert len(done.out.splitlines()) == 4
    assert done.err == (
        "ostinato: note: 1 of 1 series were not in training (first: 'cars'); their scale comes from their own history\n"
    )


def test_quiet_prints_nothing(csv, tmp_path):
    assert call("fit", "forecast", csv, *TINY, "--out", tmp_path / "m", "--quiet") == (0, "", "", False)
    page = tmp_path / "page.html"
    assert call("fit", "forecast", csv, *TINY, "--out", tmp_path / "n", "--report", page, "-q").code == 0
    assert page.exists()
    assert not (tmp_path / "n.html").exists()


def test_sha256(model):
    import hashlib

    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    assert call("predict", model, "--sha256", digest).code == 0
    assert "[pin]" in call("predict", model, "--sha256", "0" * 64).err


def test_help_and_version():
    from ostinato.version import __version__

    assert call("--version").out == f"ostinato, version {__version__}\n"
    for words in ((), ("fit",), ("fit", "forecast"), ("predict",), ("evaluate",)):
        done = call(*words, "--help")
        assert done.code == 0
        assert done.out.startswith("Usage: ostinato")
        assert not done.err
    assert "Commands:" in call().err


def python(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "ostinato", *map(str, words)], capture_output=True, text=True, **options
    )


def test_as_a_process(csv, tmp_path):
    out = tmp_path / "m.safetensors"
    done = python("fit", "forecast", csv, *TINY, "--out", out)
    assert done.returncode == 0
    assert not {"\r", "\x1b"} & set(done.stderr)
    assert [line.split(" epoch ")[0] for line in done.stderr.splitlines()] == ["network 1/1", "final network 1/1"]
    assert out.exists()
    text = python("predict", out)
    assert (text.returncode, text.stderr) == (0, "")
    bad = python("predict", csv)
    assert bad.returncode == 2
    assert bad.stderr.count("\n") == 1
    assert "Traceback" not in bad.stderr
    trace = python("--debug", "predict", csv)
    assert trace.returncode == 1
    assert "Traceback" in trace.stderr
    assert "UnsupportedFormat" in trace.stderr


def test_predict_imports_no_torch(model):
    code = (
        "import sys; sys.argv = ['ostinato', 'predict', sys.argv[1]]\n"
        "from ostinato.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: assert not {'torch', 'polars', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
def test_a_pipe_that_closes_ends_quietly(model):
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m ostinato predict {model} | true"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line(model):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "ostinato", "predict", model], stdout=full, stderr=-1, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "ostinato: [file] the operating system refused: No space left on device."
    assert "Traceback" not in done.stderr


def test_the_optimiser_is_an_option_and_part_of_the_run(csv, tmp_path):
    words = ("fit", "forecast", csv, *TINY, "--out", tmp_path / "m", "-q", "--checkpoint", tmp_path / "run")
    assert call(*words, "--optimizer", "hessian_free").code == 0
    other = call(*words, "--optimizer", "lbfgs")
    assert other.code == 2
    assert "optimizer was 'hessian_free', now 'lbfgs'" in other.err
    refused = call(*words[:-2], "--optimizer", "lbfgs", "--schedule", "cosine")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "schedule" in refused.err
    assert "newton" in call(*words[:-2], "--optimizer", "newton").err


def test_steps_of_several_batches_and_a_plateau_are_options_and_part_of_the_run(csv, tmp_path):
    words = ("fit", "forecast", csv, *TINY, "--epochs", "9", "--patience", "3", "--batch-size", "8", "-q")
    found = set()
    for more in (
        (),
        ("--schedule", "plateau", "--learning-rate", "0.3"),
        ("--learning-rate", "0.3"),
        ("--accumulate", "3"),
    ):
        assert call(*words, *more, "--out", tmp_path / "m").code == 0
        found.add((tmp_path / "m").read_bytes())
    assert len(found) == 4
    saved = (*words, "--out", tmp_path / "m", "--checkpoint", tmp_path / "run", "--schedule", "plateau")
    assert call(*saved).code == 0
    other = call(*saved, "--accumulate", "2")
    assert (other.code, "accumulate was 1, now 2" in other.err) == (2, True)


def test_a_learning_rate_is_found_and_nothing_else_is_written(csv, tmp_path):
    words = ("fit", "forecast", csv, *TINY, "--out", tmp_path / "m")
    done = call(*words, "--find-learning-rate", tmp_path / "rate.png")
    assert (done.code, done.err) == (0, "")
    name, value = done.out.split()
    assert name == "--learning-rate"
    assert 1e-6 < float(value) < 0.2
    assert call(*words, name, value, "-q").code == 0
    assert (tmp_path / "rate.png").read_bytes().startswith(b"\x89PNG")
    for wrong in ("rate.txt", "no/rate.png"):
        assert call(*words, "--find-learning-rate", tmp_path / wrong).code == 2
    done = call(*words, "--find-learning-rate", tmp_path / "lbfgs.png", "--optimizer", "lbfgs")
    assert (done.code, done.err.count("\n"), (tmp_path / "lbfgs.png").exists()) == (2, 1, False)
