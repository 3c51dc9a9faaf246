"""H5 files of Keras: weights alone and whole older models are read exactly, into their own layers or not at all."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.cli.call import call
from tests.unit.convert.samples import OPEN, network, samples

from ostinato import Sequential
from ostinato.convert.keras.classes import to_part
from ostinato.convert.keras.files import Read, load_keras, save_keras
from ostinato.convert.source import read_source
from ostinato.errors import ArgumentError, ConversionError, MissingDependency, ModelFileError
from ostinato.layers import GRU, Dense, Embedding
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.unembedding import Unembedding
from ostinato.runtime.models import from_bundle
from ostinato.runtime.sequential_file import Named

h5py = pytest.importorskip("h5py", reason="the extra keras is not installed")

GOLDEN = Path(__file__).parents[2] / "golden"
WHOLE, WEIGHTS, ARCHIVE = GOLDEN / "chain.h5", GOLDEN / "model.weights.h5", GOLDEN / "model.keras"
MADE = json.loads((GOLDEN / "model.keras.json").read_text())
X, Y = np.array(MADE["x"]), np.array(MADE["y"])


def _like(*, units: int = 2, more: bool = False) -> Sequential:
    """The golden model's layers with other weights."""
    layers = [
        Embedding(7, 3, mask_zero=True, input_shape=(None,)), GRU(3, reset_after=True, return_sequences=True),
        GRU(units), Dense(2, activation="softmax"), *([Dense(2)] if more else []),
    ]  # fmt: skip
    return Sequential(layers, seed=0)


def test_a_whole_older_file_of_a_functional_model():
    found = read_source(WHOLE)
    assert found.kind == "keras"
    np.testing.assert_allclose(from_bundle(found.bundle).predict(X), Y, atol=1e-5)


@pytest.mark.parametrize("path", [WHOLE, WEIGHTS], ids=["older", "newer"])
def test_weights_into_the_layers_that_they_belong_to(path, tmp_path):
    model = _like()
    model.load_weights(path)
    np.testing.assert_allclose(model.predict(X), Y, atol=1e-5)
    other = _like()
    other.save(tmp_path / "other.safetensors")
    done = call("convert", path, tmp_path / "m.safetensors", "--into", tmp_path / "other.safetensors")
    assert done.code == 0, done.err
    third = _like()
    third.load_weights(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(third.predict(X), model.predict(X))


@pytest.mark.parametrize("path", [WHOLE, WEIGHTS], ids=["older", "newer"])
@pytest.mark.parametrize("other", [{"units": 4}, {"more": True}], ids=str)
def test_weights_of_other_layers_change_nothing(path, other):
    model = _like(**other)
    before = model.get_weights()
    with pytest.raises(ConversionError):
        model.load_weights(path)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_weights_beyond_the_model_are_refused(tmp_path):
    layers = [Embedding(7, 3, mask_zero=True, input_shape=(None,)), GRU(3, reset_after=True, return_sequences=True)]
    model = Sequential([*layers, GRU(2)], seed=0)
    with pytest.raises(ConversionError, match="of the model's layers only, got 'layers/dense"):
        model.load_weights(WEIGHTS)


def test_every_layer_s_weights_come_back(tmp_path):
    path, seen = tmp_path / "m.weights.h5", set()
    for sample in samples():
        model = network(sample)
        layers = [Named(f"l{i}", p, w) for i, (p, w) in enumerate(zip(model.parts, model.weights, strict=True))]
        if any(isinstance(n.part, Unembedding) for n in layers):  # a dense layer in Keras
            continue
        try:
            save_keras(path, layers, sample.shape, name="m")
        except ConversionError:
            continue
        empty = [Named(n.name, n.part, {k: np.zeros_like(v) for k, v in n.weights.items()}) for n in layers]
        read = load_keras(path, into=Read("m", empty, sample.shape))
        seen.add(sample.name)
        for one, other in zip(layers, read.layers, strict=True):
            assert all(np.array_equal(one.weights[k], other.weights[k]) for k in one.weights), sample
    assert seen >= {"gru", "gru_reset_after", "lstm", "simple_rnn", "bidirectional", "conv1d", "time_distributed"}


def test_weights_alone_need_a_model():
    with pytest.raises(ConversionError, match="--into"):
        read_source(WEIGHTS)
    with pytest.raises(ArgumentError, match="into must only be given"):
        read_source(ARCHIVE, into=ARCHIVE)
    with pytest.raises(ModelFileError):
        read_source(WEIGHTS, into=GOLDEN / "keras.json")


def test_without_h5py(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    for read in (lambda: read_source(WHOLE), lambda: read_source(ARCHIVE), lambda: _like().load_weights(WEIGHTS)):
        with pytest.raises(MissingDependency, match=r"ostinato\[keras\]"):
            read()


def _changed(path: Path, change: Callable[[Any], object]) -> bytes:
    buffer = io.BytesIO(path.read_bytes())
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


def _configured(change: Callable[[Any], object]) -> Callable[[], bytes]:
    """The older file with another configuration."""

    def write(file):
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)

    return lambda: _changed(WHOLE, write)


def _layer(number: int, **changes: Any) -> Callable[[], bytes]:
    return _configured(lambda c: c["config"]["layers"][number].update(changes))


def _options(number: int, **changes: Any) -> Callable[[], bytes]:
    return _configured(lambda c: c["config"]["layers"][number]["config"].update(changes))


def _call_of(number: int, change: Callable[[Any], object]) -> Callable[[], bytes]:
    """With another call of one layer: 0 input, 1 embedding, 2 not_equal, 3 gru, 4 gru, 5 dense."""
    return _configured(lambda c: change(c["config"]["layers"][number]["inbound_nodes"][0]))


def _stored(change: Callable[[Any], object]) -> Callable[[], bytes]:
    return lambda: _changed(WHOLE, lambda f: change(f["model_weights"]))


def _named(group: Any, names: Any) -> None:
    group.attrs["weight_names"] = names


def _tensor(name: str, node: int = 0) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"shape": [], "keras_history": [name, node, 0]}}


KERNEL = "dense/kernel"
CHAIN = "must be one chain"
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "a subclassed model": (_configured(lambda c: c.update(class_name="MyModel")), "Sequential, or a functional"),
    "a branch": (_call_of(5, lambda n: n.update(args=[_tensor("embedding")])), f"{CHAIN}.*'gru_1'.*layer 'dense'"),
    "two inputs of a layer": (_call_of(5, lambda n: n["args"].append(_tensor("embedding"))), "2 inputs.*'dense'"),
    "no input of a layer": (_call_of(5, lambda n: n.update(args=[])), CHAIN),
    "another output of a layer": (_call_of(5, lambda n: n.update(args=[_tensor("gru_1", 1)])), CHAIN),
    "a layer used twice": (
        _configured(lambda c: c["config"]["layers"][5]["inbound_nodes"].append({})), "used once, got 2.*'dense'"
    ),
    "a start state": (_call_of(4, lambda n: n["kwargs"].update(initial_state=_tensor("x"))), "'initial_state'"),
    "training": (_call_of(4, lambda n: n["kwargs"].update(training=True)), "'training'"),
    "another mask": (_call_of(4, lambda n: n["kwargs"].update(mask=_tensor("embedding"))), "a mask must come from"),
    "a mask of another number": (_call_of(2, lambda n: n["args"].__setitem__(1, 5)), "a mask must come from"),
    "another operation": (_layer(2, class_name="Add"), "layers must be among"),
    "an operation of a module": (_layer(2, module="os"), "never bring code"),
    "an operation that is no mask": (_call_of(2, lambda n: n["args"].pop()), "must compute the mask"),
    "two inputs": (_configured(lambda c: c["config"]["layers"].insert(2, c["config"]["layers"][0])), "one input"),
    "two outputs": (
        _configured(lambda c: c["config"].update(output_layers=[["gru", 0, 0], ["dense", 0, 0]])), "one output"
    ),
    "an earlier output": (_configured(lambda c: c["config"].update(output_layers=[["gru", 0, 0]])), "one output"),
    "no list of calls": (_layer(3, inbound_nodes={"args": 1}), "used once"),
    "a call that is a number": (_layer(3, inbound_nodes=[1]), "lists of arguments"),
    "two layers of one name": (_layer(3, name="embedding"), "names that differ"),
    "a lambda": (_layer(5, class_name="Lambda"), "layers must be among"),
    "a name that is a list": (_layer(5, name=[]), "short names"),
    "hard_sigmoid of Keras 2": (
        lambda: _changed(WHOLE, lambda f: f.attrs.update(
            keras_version="2.15.0",
            model_config=json.dumps(_hard(json.loads(f.attrs["model_config"]))))),
        "hard_sigmoid must be that of Keras 3.*layer 'gru'",
    ),
    "no configuration": (lambda: _changed(WHOLE, lambda f: f.attrs.__delitem__("model_config")), "--into"),
    "a configuration of numbers": (lambda: _changed(WHOLE, lambda f: f.attrs.update(model_config=3)), "must be text"),
    "several configurations": (lambda: _changed(WHOLE, lambda f: f.attrs.update(model_config=["a", "b"])), "one text"),
    "no json": (lambda: _changed(WHOLE, lambda f: f.attrs.update(model_config="{")), "JSON object"),
    "one layer less": (_stored(lambda g: g.attrs.update(layer_names=["embedding", "gru"])), "of 4 layers, got 2"),
    "an unknown layer": (_stored(lambda g: g.attrs.update(layer_names=["x"])), "must hold 'x'"),
    "a path as a layer": (_stored(lambda g: g.attrs.update(layer_names=["../x"])), "must hold '../x'"),
    "an absolute path": (_stored(lambda g: g.attrs.update(layer_names=["/model_weights"])), "short paths"),
    "names that are numbers": (_stored(lambda g: g.attrs.update(layer_names=[1, 2])), "must be text"),
    "a table of names": (_stored(lambda g: g.attrs.update(layer_names=[["a"], ["b"]])), "at most 64 names"),
    "many names": (_stored(lambda g: g.attrs.update(layer_names=["x" * 99] * 65)), "at most 64 names"),
    "no names of arrays": (_stored(lambda g: g["dense"].attrs.__delitem__("weight_names")), "must have weight_names"),
    "an array less": (_stored(lambda g: _named(g["dense"], [KERNEL])), "must have 2 arrays"),
    "an unknown array": (_stored(lambda g: _named(g["dense"], [KERNEL, "x"])), "must hold 'dense/x'"),
    "an array twice": (_stored(lambda g: _named(g["dense"], [KERNEL] * 2)), "name of its own"),
    "weights of the model": (
        _stored(lambda g: _named(g["top_level_model_weights"], ["x"])), "weights of layers only"
    ),
    "a link": (_stored(lambda g: _link(g["dense"], h5py.SoftLink("/model_weights/dense"))), "SoftLink"),
    "an external link": (_stored(lambda g: _link(g["dense"], h5py.ExternalLink("/etc/passwd", "/"))), "ExternalLink"),
    "cut": (lambda: WHOLE.read_bytes()[:-2000], "whole H5 file"),
    "a beginning alone": (lambda: WHOLE.read_bytes()[:8], "whole H5 file"),
}  # fmt: skip


def _hard(config: Any) -> Any:
    config["config"]["layers"][3]["config"]["recurrent_activation"] = "hard_sigmoid"
    return config


def _link(group: Any, link: Any) -> None:
    group["x"] = link
    _named(group, [KERNEL, "x"])


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, tmp_path):
    make, said = REFUSED[name]
    (tmp_path / "m.h5").write_bytes(make())
    with pytest.raises(ConversionError, match=said) as info:
        read_source(tmp_path / "m.h5")
    assert len(str(info.value)) < 1200
    assert str(info.value).isprintable()


def test_hard_sigmoid_of_keras_3_is_read(tmp_path):
    (tmp_path / "m.h5").write_bytes(_changed(WHOLE, lambda f: f.attrs.update(
        model_config=json.dumps(_hard(json.loads(f.attrs["model_config"]))))))  # fmt: skip
    assert load_keras(tmp_path / "m.h5").layers[1].part.cell.recurrent_activation == "hard_sigmoid"


def test_calls_as_keras_2_writes_them(tmp_path):
    """Names, node, number and arguments in lists, and no operations for masks."""

    def older(config):
        layers = config["config"]["layers"]
        del layers[2]
        for one, before in zip(layers[1:], layers, strict=False):
            one["inbound_nodes"] = [[[before["name"], 0, 0, {}]]]

    (tmp_path / "m.h5").write_bytes(_configured(older)())
    np.testing.assert_allclose(from_bundle(read_source(tmp_path / "m.h5").bundle).predict(X), Y, atol=1e-5)


def test_names_in_pieces(tmp_path):
    """Keras cuts a list of names that is too long for one attribute."""

    def cut(group):
        names = [n.encode() for n in group.attrs["layer_names"]]
        del group.attrs["layer_names"]
        group.attrs["layer_names0"], group.attrs["layer_names1"] = np.array(names[:2]), np.array(names[2:])

    (tmp_path / "m.h5").write_bytes(_stored(cut)())
    np.testing.assert_allclose(from_bundle(read_source(tmp_path / "m.h5").bundle).predict(X), Y, atol=1e-5)


@pytest.mark.parametrize("path", [WHOLE, WEIGHTS], ids=["older", "newer"])
def test_a_changed_byte_never_ends_in_anything_else(path, tmp_path):
    """Only a `ConversionError`, or a model: H5 has no digest."""
    raw, changed = path.read_bytes(), tmp_path / "m.h5"
    rng = np.random.default_rng(0)
    model = read_source(ARCHIVE)
    from ostinato.runtime.bundle import save

    save(tmp_path / "m", model.bundle)
    for at in rng.integers(8, len(raw), 200):
        changed.write_bytes(raw[:at] + bytes([raw[at] ^ int(rng.integers(1, 256))]) + raw[at + 1 :])
        try:
            read_source(changed, into=None if path == WHOLE else tmp_path / "m")
        except ConversionError:
            continue


def test_a_missing_bias_stays_missing(tmp_path):
    model = Sequential([GRU(3, use_bias=False, reset_after=True, input_shape=OPEN), Dense(2)], seed=1)
    model.save(tmp_path / "m")
    call("convert", tmp_path / "m", tmp_path / "m.weights.h5")
    other = Sequential([GRU(3, use_bias=False, reset_after=True, input_shape=OPEN), Dense(2)], seed=2)
    other.load_weights(tmp_path / "m.weights.h5")
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    np.testing.assert_array_equal(model.predict(x), other.predict(x))


def test_groups_as_keras_2_12_names_them(tmp_path):
    """Another name around the layers, and two numbers for each that has weights."""

    def older(file):
        file.move("layers", "_layer_checkpoint_dependencies")
        file.move("_layer_checkpoint_dependencies/gru_1", "_layer_checkpoint_dependencies/gru_2")
        file["vars"].attrs.clear()

    path = tmp_path / "older.weights.h5"
    path.write_bytes(_changed(WEIGHTS, older))
    model = _like()
    model.load_weights(path)
    np.testing.assert_allclose(model.predict(X), Y, atol=1e-5)
    with pytest.raises(ConversionError, match="dense"):
        _like(more=True).load_weights(path)


def test_groups_as_keras_2_14_names_them(tmp_path):
    path = tmp_path / "older.weights.h5"
    path.write_bytes(_changed(WEIGHTS, lambda file: file.move("layers", "_layer_checkpoint_dependencies")))
    model = _like()
    model.load_weights(path)
    np.testing.assert_allclose(model.predict(X), Y, atol=1e-5)


def test_weights_that_do_not_say_which_hard_sigmoid(tmp_path):
    """Keras 2.13 to 2.15 write weights alone as Keras 3 does, but for names beside them."""
    path = tmp_path / "m.weights.h5"
    path.write_bytes(_changed(WEIGHTS, lambda file: file["vars"].attrs.clear()))
    layers = [Embedding(7, 3, mask_zero=True, input_shape=(None,)), GRU(3, reset_after=True, return_sequences=True)]
    hard = Sequential([*layers, GRU(2, recurrent_activation="hard_sigmoid"), Dense(2)], seed=0)
    with pytest.raises(ConversionError, match=r"perhaps 3, where it was 0\.2 x"):
        hard.load_weights(path)
    hard.load_weights(WEIGHTS)
    hard.save(tmp_path / "hard.safetensors")
    done = call("convert", tmp_path / "hard.safetensors", tmp_path / "own.weights.h5")
    assert done.code == 0, done.err
    hard.load_weights(tmp_path / "own.weights.h5")
    _like().load_weights(path)


@pytest.mark.parametrize(("inside", "axis"), [(False, [2]), (False, 2), (True, [1])])
def test_axes_as_keras_2_counts_them(inside, axis):
    said = {"axis": axis, "epsilon": 0.001}
    around = {"layer": {"class_name": "LayerNormalization", "config": said}} if inside else said
    part, _ = to_part("TimeDistributed" if inside else "LayerNormalization", around, "layer 'n'", axes=3)
    assert (part.inner if inside else part) == LayerNorm(0.001)


@pytest.mark.parametrize(("axis", "axes"), [(1, 3), ([1], 3), ([2], 4), ([1, 2], 3), (True, 2), (1.0, 2)])
def test_another_axis_is_refused(axis, axes):
    with pytest.raises(ConversionError, match="the last one"):
        to_part("LayerNormalization", {"axis": axis, "epsilon": 0.001}, "layer 'n'", axes=axes)
