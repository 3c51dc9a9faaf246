"""A network in C: the source says the numbers exactly, and a compiled program gives the bits of Python."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import numpy as np
import pytest
from tests.laws.own_cell import Leaky
from tests.unit.convert.c_library import NATIVE, compiler, program
from tests.unit.runtime.generators import VOCABULARIES, generator
from tests.unit.runtime.networks import network

from ostinato.cells import CELLS
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.convert.c_source import c_source
from ostinato.errors import ArgumentError, ConversionError
from ostinato.maps.activation import Activation
from ostinato.maps.dense import Dense
from ostinato.maps.dropout import Dropout
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.masking import Masking
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.runtime import native
from ostinato.scans.recurrent import Recurrent

compiled = pytest.mark.skipif(native.available() is not None, reason=str(native.available()))


def recurrent(cell, units, **options):
    return Recurrent(CELLS[cell](units), return_sequences=True, **options)


def example():
    return network(
        [recurrent("lstm", 9, start="learned"), Dense(5, "elu", use_bias=False), recurrent("gru", 4), Dropout(0.1),
         LayerNorm(), recurrent("gru_reset_after", 6), TimeDistributed(Dense(7)), recurrent("simple_rnn", 5),
         Recurrent(SimpleRNN(5, activation="relu"), return_sequences=True), Dense(4), Activation("softmax")]
    )  # fmt: skip


def masked_example():
    """All that `example` has not: composed cells of every kind, zoneout, masks."""
    layers = [Masking()]
    for name in CELLS:
        cell = CELLS[name](4)
        cell = replace(cell, activation="softsign") if hasattr(cell, "activation") else cell
        layers += [Recurrent(cell, return_sequences=True, zoneout=0.25, start="learned"), Dense(3, "softplus")]
    return network([*layers, Recurrent(CELLS["layer_norm_lstm"](5)), Dense(2)])


@compiled
def test_numbers_are_exact():
    model = example()
    text = c_source(model, name="net")
    line = next(line for line in text.splitlines() if "net_1_W" in line)
    body = text[text.index(line) :].split("{", 1)[1].split("}", 1)[0].split("*/", 1)[1]
    found = [float.fromhex(n.strip().removesuffix("f")) for n in body.split(",")]
    assert np.array_equal(np.float32(found), np.ravel(model.weights[1]["W"]))
    assert "#define NET_INPUTS 3" in text


@compiled
def test_what_has_no_c_is_refused():
    with pytest.raises(ConversionError, match="no native step of Leaky"):
        c_source(network([Recurrent(Leaky(4))]))
    for name in ("1st", "a b", "x;y", ""):
        with pytest.raises(ArgumentError, match="name in C"):
            c_source(example(), name=name)


@compiled
@compiler
@pytest.mark.parametrize("make", [example, masked_example])
@pytest.mark.skipif("sse2" not in native.module().engines() if native.available() is None else True, reason="no SSE2")
def test_a_c_program_gives_the_bits_of_python(make, tmp_path, monkeypatch):
    model = make()
    (tmp_path / "model.h").write_text(c_source(model), "utf-8")
    stream = program(NATIVE / "examples" / "stream.c", tmp_path / "stream", tmp_path)

    x = np.random.default_rng(3).normal(size=(20, 3)).astype(np.float32)
    x[5:8] = 0.0  # steps that a mask skips
    lines = "\n".join(" ".join(f"{n:.9g}" for n in row) for row in x.tolist())
    run = subprocess.run([stream, "sse2"], input=lines, capture_output=True, text=True, check=True)
    found = np.array([line.split() for line in run.stdout.splitlines()], np.float32)
    monkeypatch.setenv("OSTINATO_ISA", "sse2")
    assert np.array_equal(found, make().stream().run(x))


@pytest.mark.parametrize(
    "given", [generator(VOCABULARIES["bytes"]), "m.safetensors", None], ids=["task", "path", "none"]
)
def test_only_a_network_can_be_written(given):
    with pytest.raises(ArgumentError, match=f"Network.* got {type(given).__name__}"):
        c_source(given)
