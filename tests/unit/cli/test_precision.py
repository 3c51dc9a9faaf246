import re

import numpy as np
import pytest
from tests.unit.cli.call import call
from tests.unit.runtime.generators import VOCABULARIES, generator

from ostinato.runtime import load, native, precision_cost
from ostinato.runtime.bundle import save
from ostinato.runtime.decode import Sampling
from ostinato.runtime.generator_file import to_bundle

needs_bf16 = pytest.mark.skipif(native.without_bf16() is not None, reason=str(native.without_bf16()))


@needs_bf16
def test_predict_prints_what_bf16_costs(model, csv):
    plain, rough = load(model), load(model, precision="bf16")
    for words, data in (((model,), None), ((model, csv), str(csv))):
        done = call("predict", *words, "--precision", "bf16")
        assert done.code == 0
        assert done.out == rough.predict(data).csv_text() != plain.predict(data).csv_text()
        said = done.err.splitlines()[-1]
        assert said.startswith(f"ostinato: bf16: {precision_cost(plain, data)}; a difference of outputs")
        largest, rms = map(float, re.findall(r" (\d\S*?),? ", done.err.partition("to float32")[2])[:2])
        assert 0.0 < rms <= largest < 0.1
    assert call("predict", model, csv, "--precision", "float32").err == ""


@needs_bf16
def test_generate_prints_what_bf16_costs(tmp_path):
    path = tmp_path / "m"
    save(path, to_bundle(generator(VOCABULARIES["characters"]), version="0.1.0"))
    words = ("generate", path, "--prime", "the ", "-n", "300", "--seed", "1", "--precision", "bf16")
    done = call(*words)
    rough = load(path, precision="bf16")
    text = rough.generate("the ", length=300, sampling=Sampling(seed=1))
    assert (done.code, done.out) == (0, text + "\n")
    cost = precision_cost(rough, text)
    assert 0.0 < cost.root_mean_square <= cost.largest < 1.0
    why = "a difference of outputs, not an error: the model wrote this itself"
    assert done.err == f"ostinato: bf16, nats of each symbol: {cost}; {why}\n"
    for more in (("--beam", "2"), ("--out", tmp_path / "out.txt")):
        assert call(*words, *more).err.startswith("ostinato: bf16, nats of each symbol: largest")
    assert (tmp_path / "out.txt").read_text() == text
    assert call(*words[:-2]).err == ""


@needs_bf16
def test_a_note_is_said_once(model, csv, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("unique_id,ds,y\n" + "".join(f"new,{line}\n" for line in csv.read_text().split()[1:]))
    mine = tmp_path / "m"
    assert call("fit", "forecast", other, "--horizon", "3", "--units", "4", "--epochs", "1", "--members", "2", "-q",
                "--out", mine).code == 0  # fmt: skip
    other.write_text(other.read_text().replace("new", "newer"))
    done = call("predict", mine, other, "--precision", "bf16")
    assert (done.code, done.err.count("not in training"), done.err.count("\n")) == (0, 1, 3)


def test_a_processor_without_bf16(model, monkeypatch):
    if native.without_bf16() is None:
        monkeypatch.setattr(native.module(), "bf16_engine", lambda: "")
    done = call("predict", model, "--precision", "bf16")
    assert (done.code, done.out, done.err.count("\n"), done.fault) == (2, "", 1, False)
    assert "bf16 products must be there" in done.err
    assert "--precision float32" in done.err
    assert re.search(r"bf16 +none: ", call("doctor").out)


def test_a_precision_that_is_none(model):
    done = call("predict", model, "--precision", "int8")
    assert done.code == 2
    assert "int8" in done.err


@needs_bf16
def test_doctor_says_that_it_is_there():
    assert re.search(r"bf16 +there", call("doctor").out)
    assert np.all([name != native.module().bf16_engine() for name in native.module().engines()])
