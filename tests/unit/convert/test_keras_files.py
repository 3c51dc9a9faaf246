"""`.keras` files: Keras' own is read exactly, ours come back exactly, and damaged or hostile ones are refused."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.convert.samples import OPEN, Sample, network, samples

from ostinato import load_model
from ostinato.cells import CELLS
from ostinato.convert.keras.files import load_keras, save_keras
from ostinato.errors import ConversionError
from ostinato.maps.dense import Dense
from ostinato.maps.masking import Masking
from ostinato.maps.unembedding import Unembedding
from ostinato.runtime import load
from ostinato.runtime.bundle import save
from ostinato.runtime.sequential_file import Named, to_bundle
from ostinato.scans.recurrent import Recurrent

h5py = pytest.importorskip("h5py", reason="the extra keras is not installed")

GOLDEN = Path(__file__).parents[2] / "golden" / "model.keras"
REFUSED = {"attention", "layer_norm_gru", "layer_norm_lstm", "layer_norm_simple_rnn"}


def _named(sample: Sample) -> list[Named]:
    model = network(sample)
    return [Named(f"l{i}", p, w) for i, (p, w) in enumerate(zip(model.parts, model.weights, strict=True))]


def test_a_file_of_keras(tmp_path):
    read = load_keras(GOLDEN)
    made = json.loads(GOLDEN.with_name("model.keras.json").read_text())
    save(tmp_path / "m", to_bundle(read.layers, read.input_shape, name=read.name))
    np.testing.assert_allclose(load(tmp_path / "m").predict(made["x"]), made["y"], atol=1e-5)
    model = load_model(tmp_path / "m")
    np.testing.assert_allclose(model.predict(np.array(made["x"]), verbose=0), made["y"], atol=1e-5)
    assert model.name == "golden"


def test_every_layer_comes_back_or_is_refused(tmp_path):
    path = tmp_path / "m.keras"
    back, refused = set(), set()
    for sample in samples():
        layers = _named(sample)
        try:
            save_keras(path, layers, sample.shape, name="m")
        except ConversionError:
            refused.add(sample.name)
            continue
        read = load_keras(path)
        back.add(sample.name)
        assert read.input_shape == sample.shape
        for one, other in zip(layers, read.layers, strict=True):
            if not isinstance(one.part, Unembedding):  # a dense layer in Keras
                assert set(other.weights) == set(one.weights)
                assert all(np.array_equal(one.weights[k], other.weights[k]) for k in one.weights), sample
    assert refused - back == REFUSED


def test_a_missing_bias_stays_missing(tmp_path):
    part = Recurrent(CELLS["gru_reset_after"](3))
    w = {k: v for k, v in network(Sample("", (part,), OPEN)).weights[0].items() if k in "WU"}
    save_keras(tmp_path / "m.keras", [Named("gru", part, w)], OPEN, name="m")
    read = load_keras(tmp_path / "m.keras")
    assert set(read.layers[0].weights) == {"W", "U"}
    save(tmp_path / "m", to_bundle(read.layers, read.input_shape, name="m"))
    assert not load_model(tmp_path / "m").layers[0].get_weights()[2:]


def test_the_same_model_gives_the_same_bytes(tmp_path):
    layers = _named(Sample("", (Recurrent(CELLS["lstm"](3)), Dense(2)), OPEN))
    for name in ("a.keras", "b.keras"):
        save_keras(tmp_path / name, layers, OPEN, name="m")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


def test_the_last_output_is_that_of_the_last_real_step_in_keras_too(tmp_path):
    """With zero_output_for_mask Keras gives zeros for a sequence that ends in padding."""
    parts = (Masking(), Recurrent(CELLS["gru"](3), return_sequences=True), Recurrent(CELLS["gru"](3)))
    save_keras(tmp_path / "m.keras", _named(Sample("", parts, OPEN)), OPEN, name="m")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        layers = json.loads(archive.read("config.json"))["config"]["layers"]
    assert [one["config"].get("zero_output_for_mask") for one in layers] == [None, None, True, False]


def _members() -> dict[str, bytes]:
    with zipfile.ZipFile(GOLDEN) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(members: dict[str, bytes], *, how: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _configured(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The golden file with another configuration."""
    members = _members()
    config = json.loads(members["config.json"])
    members["config.json"] = json.dumps(change(config) or config).encode()
    return _zipped(members)


def _layer(number: int, **changes: Any) -> Callable[[], bytes]:
    """The golden file with other options of one layer."""
    return lambda: _configured(lambda c: c["config"]["layers"][number]["config"].update(changes))


def _stored(change: Callable[[Any], object]) -> bytes:
    """The golden file with other weights."""
    members = _members()
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        change(file)
    return _zipped(members | {"model.weights.h5": buffer.getvalue()})


DENSE = "layers/dense/vars"


def _replaced(make: Callable[[Any], object]) -> Callable[[], bytes]:
    def change(file):
        del file[f"{DENSE}/0"]
        make(file)

    return lambda: _stored(change)


def _virtual(file):
    layout = h5py.VirtualLayout((2, 2), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (2, 2))
    file.create_virtual_dataset(f"{DENSE}/0", layout)


def _declared(name: str, *, number: int = 4, **changes: Any) -> bytes:
    """A layer of another class."""
    return _configured(lambda c: c["config"]["layers"][number].update(class_name=name, **changes))


HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "no zip": lambda: b"PK" * 40,
    "cut": lambda: GOLDEN.read_bytes()[:-100],
    "cut in the weights": lambda: GOLDEN.read_bytes()[:9000],
    "a bomb": lambda: _zipped(_members() | {"model.weights.h5": bytes(1 << 24)}, how=zipfile.ZIP_DEFLATED),
    "another file": lambda: _zipped(_members() | {"../../evil.py": b"x"}),
    "an absolute path": lambda: _zipped(_members() | {"/etc/passwd": b"x"}),
    "assets": lambda: _zipped(_members() | {"assets/words.txt": b"x"}),
    "no weights": lambda: _zipped({"config.json": _members()["config.json"]}),
    "a name twice": lambda: _twice(),
    "no json": lambda: _zipped(_members() | {"config.json": b"{"}),
    "a list": lambda: _zipped(_members() | {"config.json": b"[]"}),
    "deep json": lambda: _zipped(_members() | {"config.json": b'{"a":' * 100000 + b"1" + b"}" * 100000}),
    "long json": lambda: _zipped(_members() | {"config.json": b"{" + b" " * (5 << 20) + b"}"}),
    "functional": lambda: _configured(lambda c: c.update(class_name="Functional")),
    "no layers": lambda: _configured(lambda c: c["config"].pop("layers") and None),
    "a lambda": lambda: _declared("Lambda", config={"name": "f", "function": {"class_name": "__lambda__"}}),
    "a module": lambda: _declared("Dense", module="os"),
    "a registered class": lambda: _declared("Dense", registered_name="my>Dense"),
    "an unknown class": lambda: _declared("Dense\x1b[31m" * 100),
    "a class that is no text": lambda: _declared(["Dense"]),  # type: ignore[arg-type]
    "two layers of one name": _layer(4, name="gru"),
    "no name": _layer(4, name=""),
    "a huge layer": _layer(4, units=2**30),
    "a larger layer": _layer(4, units=3),
    "a negative size": _layer(4, units=-1),
    "true units": _layer(4, units=True),
    "a function as activation": _layer(4, activation={"class_name": "function", "config": "evil"}),
    "an unknown activation": _layer(4, activation="gelu"),
    "an unknown option": _layer(4, power=2),
    "another dtype": _layer(4, dtype="mixed_bfloat16"),
    "a policy that is no object": _layer(4, dtype={"config": []}),
    "stateful": _layer(3, stateful=True),
    "return_state": _layer(3, return_state=True),
    "gates that are not mirrored": _layer(3, recurrent_activation="tanh"),
    "a mask into a pooling": lambda: _declared("GlobalMaxPooling1D", number=3, config={"name": "p"}),
    "an input of no shape": _layer(0, batch_shape=None),
    "an input of a wild shape": _layer(0, batch_shape=[None, "a"]),
    "no h5": lambda: _zipped(_members() | {"model.weights.h5": b"x" * 20000}),
    "a cut h5": lambda: _zipped(_members() | {"model.weights.h5": _members()["model.weights.h5"][:-3000]}),
    "no array": _replaced(lambda f: None),
    "an external link": _replaced(lambda f: f.__setitem__(f"{DENSE}/0", h5py.ExternalLink("/etc/passwd", "/"))),
    "a soft link": _replaced(lambda f: f.__setitem__(f"{DENSE}/0", h5py.SoftLink("/layers/gru/cell/vars/0"))),
    "an external array": _replaced(
        lambda f: f.create_dataset(f"{DENSE}/0", (2, 2), "f4", external=[("/etc/passwd", 0, 16)])
    ),
    "a virtual array": _replaced(_virtual),
    "a compressed array": _replaced(lambda f: f.create_dataset(f"{DENSE}/0", data=np.zeros((2, 2)), compression=9)),
    "a huge array": _replaced(lambda f: f.create_dataset(f"{DENSE}/0", (2**31, 2**31), "f4", chunks=(64, 64))),
    "another shape": _replaced(lambda f: f.create_dataset(f"{DENSE}/0", data=np.zeros((2, 3)))),
    "whole numbers": _replaced(lambda f: f.create_dataset(f"{DENSE}/0", data=np.zeros((2, 2), int))),
    "texts": _replaced(lambda f: f.create_dataset(f"{DENSE}/0", data=np.array([[b"a", b"b"], [b"c", b"d"]]))),
    "not finite": _replaced(lambda f: f.create_dataset(f"{DENSE}/0", data=np.full((2, 2), np.nan))),
    "too large for float32": _replaced(lambda f: f.create_dataset(f"{DENSE}/0", data=np.full((2, 2), 1e300))),
    "a group": _replaced(lambda f: f.create_group(f"{DENSE}/0")),
    "one array more": lambda: _stored(lambda f: f.create_dataset(f"{DENSE}/2", data=np.zeros(2))),
}


def _twice() -> bytes:
    members = _members()
    members["xonfig.json"] = b"{}"
    return _zipped(members).replace(b"xonfig.json", b"config.json")


SAID = {
    "a bomb": "unpack to at most",
    "another file": "evil.py",
    "a huge layer": "numbers",
    "a lambda": "layers must be among",
    "a module": "never bring code",
    "a registered class": "never bring code",
    "a mask into a pooling": "no mask must reach",
    "an external link": "ExternalLink",
    "a soft link": "SoftLink",
    "an external array": "compressed, virtual or external",
    "a virtual array": "compressed, virtual or external",
    "a compressed array": "compressed, virtual or external",
    "a huge array": "needs shape",
}
"""What must refuse a file: another reason would mean that more was done with it than should be."""


@pytest.mark.parametrize("name", HOSTILE)
def test_refused(name, tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(HOSTILE[name]())
    with pytest.raises(ConversionError) as info:
        load_keras(path)
    assert SAID.get(name, "") in str(info.value)
    assert len(str(info.value)) < 1200
    assert str(info.value).isprintable() or "…" in str(info.value)
    assert os.listdir(tmp_path) == ["m.keras"]


def test_a_changed_byte_never_ends_in_anything_else(tmp_path):
    """Only a `ConversionError`, or a model: H5 has no digest."""
    raw = GOLDEN.read_bytes()
    path = tmp_path / "m.keras"
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(raw), 300):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ int(rng.integers(1, 256))]) + raw[at + 1 :])
        try:
            load_keras(path)
        except ConversionError:
            continue
