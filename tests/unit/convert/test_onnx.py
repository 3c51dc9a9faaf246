"""Every layer and cell says the same in ONNX, whole and step by step; a new file is tested as soon as it is there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.unit.convert import make_matrix
from tests.unit.convert.samples import OPEN, Sample, network, samples
from tests.unit.runtime.generators import VOCABULARIES, generator

from ostinato.cells import CELLS
from ostinato.cells.base import Cell
from ostinato.convert.onnx import compare, export
from ostinato.convert.onnx.metadata import KEY
from ostinato.errors import ConversionError
from ostinato.maps import MAPS
from ostinato.maps.base import Map
from ostinato.maps.dense import Dense
from ostinato.runtime.one_step import why_not
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

SAMPLES = list(samples())


def test_every_layer_and_cell_is_met():
    assert {s.name for s in SAMPLES} >= {*MAPS, *CELLS, "bidirectional"}


@pytest.mark.parametrize("name", sorted({s.name for s in SAMPLES}))
def test_whole_sequences(name):
    for sample in (s for s in SAMPLES if s.name == name):
        model = network(sample)
        assert export.check(model, export.to_onnx(model)) <= compare.TOLERANCE, sample


@pytest.mark.parametrize("name", sorted({s.name for s in SAMPLES}))
def test_steps(name):
    for sample in (s for s in SAMPLES if s.name == name):
        model = network(sample)
        timed = len(sample.shape) == 2 or name == "embedding" or sample.shape == (None,)
        if timed and why_not(sample.parts) is None:
            assert export.check(model, export.to_onnx(model, step=True)) <= compare.TOLERANCE, sample
        else:
            with pytest.raises(ConversionError, match="one step at a time"):
                export.to_onnx(model, step=True)


def test_axes_are_open_and_named():
    model = export.to_onnx(network(Sample("", (Recurrent(CELLS["lstm"](3), True),), OPEN))).model
    sizes = [
        [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*model.graph.input, *model.graph.output)
    ]
    assert sizes == [["batch", "time", 4], ["batch", "time", 3]]


@pytest.mark.parametrize(
    ("name", "operator"), [("simple_rnn", "RNN"), ("lstm", "LSTM"), ("gru", "GRU"), ("gru_reset_after", "GRU")]
)
def test_onnx_own_operators_are_used(name, operator):
    model = export.to_onnx(network(Sample("", (Recurrent(CELLS[name](3)),), OPEN))).model
    assert operator in [node.op_type for node in model.graph.node]
    assert "Scan" not in [node.op_type for node in model.graph.node]


def test_a_wrong_model_is_noticed():
    sample = Sample("", (Recurrent(CELLS["gru"](3)),), OPEN)
    one, other = network(sample), network(sample, seed=1)
    with pytest.raises(ConversionError) as info:
        export.check(one, export.to_onnx(other))
    assert info.value.code == "differs"


@dataclass(frozen=True)
class Strange(Map):
    """A map that uses what ONNX does not have."""

    def formula(self, xp, w, x, mask):
        return xp.erfinv(x)


@dataclass(frozen=True)
class Counting(Map):
    """A map whose formula depends on the length."""

    def formula(self, xp, w, x, mask):
        return x if x.shape[1] > 3 else -x


@dataclass(frozen=True)
class Half(Map):
    """A map that computes with the length: the first half, rounded up, twice."""

    def formula(self, xp, w, x, mask):
        steps = -(-x.shape[1] // 2)
        return xp.concat([x[:, :steps], x[:, 2 * steps - 1 : None : -1], x[:, : 1 + steps - 1]], axis=1)


@dataclass(frozen=True)
class Slow(Cell):
    """A user's own cell."""

    gates = ("h",)

    def step(self, xp, a, U, state, **extra):
        return (0.5 * state[0] + xp.sigmoid(a + state[0] @ U),)


def test_what_cannot_be_said_is_refused_with_the_layer():
    for part, words in ((Strange(), "erfinv"), (Counting(), "time")):
        with pytest.raises(ConversionError, match=f"{words}.*layer_1"):
            export.to_onnx(network(Sample("", (Dense(2), part), OPEN)))


def test_open_lengths_are_computed_with_as_in_python():
    model = network(Sample("", (Half(),), OPEN))
    export.check(model, export.to_onnx(model))


def test_a_cell_of_ones_own_needs_nothing():
    for parts in ((Recurrent(Slow(3), True),), (Bidirectional(Recurrent(Slow(3))), Dense(2))):
        model = network(Sample("", parts, OPEN))
        export.check(model, export.to_onnx(model))


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_generator(name):
    model = generator(VOCABULARIES[name])
    for step in (False, True):
        written = export.to_onnx(model, step=step)
        export.check(model, written)
        about = json.loads(written.model.metadata_props[0].value)
        assert written.model.metadata_props[0].key == KEY
        assert about["first"] == model.first
        stored = model.vocabulary.store()
        assert about["vocabulary"]["tensors"] == {k: v.tolist() for k, v in stored.tensors.items()}
        assert [s["start"] for s in about.get("states", [])] == ["zeros"] * 3 * step


def test_files_do_not_depend_on_when_they_are_written(tmp_path: Path):
    model = network(Sample("", (Recurrent(CELLS["layer_norm_gru"](3)),), OPEN))
    for name in "ab":
        export.save_onnx(model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_learned_starts_are_in_the_metadata():
    model = network(Sample("", (Recurrent(CELLS["lstm"](3), start="learned"),), OPEN))
    about = json.loads(export.to_onnx(model, step=True).model.metadata_props[0].value)
    np.testing.assert_allclose(about["states"][1]["start"], model.weights[0]["start_c"])


def test_the_table_of_the_page_is_current():
    assert [row[:3] for row in make_matrix.rows()] == make_matrix.written()


def test_the_table_has_every_layer_and_cell_in_every_format():
    """Exact in a format, or refused in it with a reason."""
    pytest.importorskip("h5py", reason="the extra keras is not installed")
    found = make_matrix.others()
    assert found == make_matrix.written(*make_matrix.OTHERS)
    assert {name for name, *_ in found} == {row[0] for row in make_matrix.written()} == {*MAPS, *CELLS, "bidirectional"}
    assert all(said == "yes" or said.startswith(("in part: ", "no: ")) for _, *both in found for said in both)
