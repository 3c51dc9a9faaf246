"""`ostinato convert`: what it writes, what it says, and what it refuses."""

import json
import subprocess
import sys

import numpy as np
import pytest
from tests.unit.cli.call import call

from ostinato.convert.onnx import compare
from ostinato.runtime import bundle, load


def run(path, x):
    """The output of an ONNX file."""
    ort = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    (y,) = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})
    return y


def test_a_forecaster_to_onnx(csv, tmp_path):
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    path, out = tmp_path / "m.safetensors", tmp_path / "m.onnx"
    words = ("--horizon", "3", "--units", "4", "--epochs", "1", "--members", "3", "--level", "80,50", "-q")
    assert call("fit", "forecast", csv, *words, "--out", path).code == 0
    done = call("convert", path, out)
    assert done.code == 0, done.err
    assert "from x to y" in done.out
    assert "mean of its 3 networks" in done.out
    assert "anchor" in done.out
    assert "checked with ONNX Runtime: largest difference" in done.out
    model = load(path)
    frame = model.frame(model.known.tails, model.known.spreads)
    np.testing.assert_allclose(run(out, frame.x), model.answer(frame.x), atol=compare.TOLERANCE)
    about = json.loads(onnx.load(str(out)).metadata_props[0].value)
    assert about["quantiles"] == [0.1, 0.25, 0.5, 0.75, 0.9]
    assert about["units"] == dict(zip(model.known.ids, model.known.spreads.tolist(), strict=True))
    refused = call("convert", path, tmp_path / "step.onnx", "--step")
    assert (refused.code, refused.fault) == (2, False)
    assert not (tmp_path / "step.onnx").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("{model}", "{folder}/out.zip"), "must end in"),
        (("{model}", "{folder}/no/out.onnx"), "folder that exists"),
        (("{folder}/none", "{folder}/out.onnx"), "readable"),
        (("{model}", "{folder}/out.onnx", "--sha256", "0" * 64), "SHA-256"),
    ],
)
def test_refused(model, tmp_path, words, said):
    done = call("convert", *(word.format(model=model, folder=tmp_path) for word in words))
    assert (done.code, done.out, done.fault) == (2, "", False)
    assert said in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def sequential(tmp_path_factory):
    """A small Sequential with a missing bias, and its outputs."""
    from ostinato import Sequential
    from ostinato.layers import GRU, LSTM, Dense

    model = Sequential([LSTM(3, return_sequences=True, use_bias=False, input_shape=(None, 2)),
                        GRU(3, reset_after=True), Dense(2)], seed=1)  # fmt: skip
    path = tmp_path_factory.mktemp("sequential") / "m.safetensors"
    model.save(path)
    x = np.random.default_rng(0).normal(size=(2, 5, 2)).astype(np.float32)
    return path, x, model.predict(x, verbose=0)


@pytest.mark.parametrize("to", ["onnx", "keras", "folder", "torch", "model"])
def test_there_and_back(sequential, tmp_path, to):
    pytest.importorskip({"onnx": "onnxruntime", "keras": "h5py"}.get(to, "numpy"))
    path, x, y = sequential
    out = tmp_path / {"onnx": "m.onnx", "keras": "m.keras", "folder": "m"}.get(to, "m.safetensors")
    done = call("convert", path, out, "--to", to)
    assert done.code == 0, done.err
    assert done.out.startswith(f"{out}: ")
    if to == "onnx":
        np.testing.assert_allclose(run(out, x), y, atol=1e-5)
        return
    back = tmp_path / "back.safetensors"
    done = call("convert", out, back)
    assert done.code == 0, done.err
    assert ("the last step" in done.out) == (to == "torch")
    np.testing.assert_allclose(load(back).predict(x), y, atol=1e-6)
    if to in ("folder", "model"):
        assert back.read_bytes() == path.read_bytes()


def test_a_refused_model_leaves_no_file(sequential, tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    made = bundle.load(sequential[0])
    made.manifest.options["horizon"] = 3
    bundle.save(tmp_path / "m", made)
    done = call("convert", tmp_path / "m", tmp_path / "m.onnx")
    assert (done.code, done.out, done.fault) == (2, "", False)
    assert "unknown field `horizon`" in done.err
    assert not (tmp_path / "m.onnx").exists()


def test_the_folder_is_for_people(sequential, tmp_path):
    call("convert", sequential[0], tmp_path / "m", "--to", "folder")
    assert json.loads((tmp_path / "m" / "config.json").read_text())["task"] == "sequential"
    assert "| lstm | lstm |" in (tmp_path / "m" / "README.md").read_text()
    assert call("convert", sequential[0], sequential[0], "--to", "folder").code == 2


def test_a_step_model(sequential, tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    done = call("convert", sequential[0], tmp_path / "m.onnx", "--step")
    assert "from x, h_0, c_0, h_1 to y, next_h_0, next_c_0, next_h_1" in done.out
    assert "largest difference" in done.out


def test_weights_for_keras(sequential, tmp_path):
    h5py = pytest.importorskip("h5py", reason="the extra keras is not installed")
    done = call("convert", sequential[0], tmp_path / "m.weights.h5")
    assert done.code == 0, done.err
    with h5py.File(tmp_path / "m.weights.h5") as file:
        assert set(file["layers"]) == {"lstm", "gru", "dense"}
    assert "must end in .weights.h5" in call("convert", sequential[0], tmp_path / "m.h5").err


def test_a_generator_tells_what_is_left_out(tmp_path):
    pytest.importorskip("h5py", reason="the extra keras is not installed")
    from tests.unit.runtime.generators import VOCABULARIES, generator

    from ostinato.runtime.bundle import save
    from ostinato.runtime.generator_file import to_bundle

    save(tmp_path / "g", to_bundle(generator(VOCABULARIES["bytes"]), version="0"))
    assert "the task generate" in call("convert", tmp_path / "g", tmp_path / "m.keras").out
    assert "resets before" in call("convert", tmp_path / "g", tmp_path / "m.safetensors", "--to", "torch").err


def test_several_members_are_one_network_in_onnx_only(csv, tmp_path):
    path = tmp_path / "m.safetensors"
    words = ("--horizon", "3", "--units", "4", "--epochs", "1", "--members", "2", "-q")
    assert call("fit", "forecast", csv, *words, "--out", path).code == 0
    assert "averaged" in call("convert", path, tmp_path / "m.keras").err


def test_a_stateful_model_tells_that_its_states_are_not_carried(tmp_path):
    pytest.importorskip("h5py", reason="the extra keras is not installed")
    from ostinato import Sequential
    from ostinato.layers import LSTM

    Sequential([LSTM(2, stateful=True, batch_input_shape=(1, 3, 2))]).save(tmp_path / "m")
    assert "each call starts anew" in call("convert", tmp_path / "m", tmp_path / "m.keras").out


def test_torch_and_keras_are_not_loaded(sequential, model, csv, tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("h5py", reason="the extra keras is not installed")
    np.save(tmp_path / "x.npy", sequential[1])
    script = f"""
import sys
from ostinato.cli.main import group
small = "w.safetensors --weights int8 --data x.npy"
for words in ("m.onnx", "m.keras", "t.safetensors --to torch", "f --to folder", small):
    group.main(["convert", {str(sequential[0])!r}, *words.split()], standalone_mode=False)
for words in ("m.keras k.onnx", "t.safetensors t.onnx", "f f.onnx"):
    group.main(["convert", *words.split()], standalone_mode=False)
scored = ["--weights", "int8", "--data", {str(csv)!r}]
group.main(["convert", {str(model)!r}, "f.safetensors", *scored], standalone_mode=False)
print({{name.partition(".")[0] for name in sys.modules}} & {{"torch", "keras", "jax"}})
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "set()"
    assert "cost: mae" in done.stdout


def test_options_of_another_format(sequential, tmp_path):
    assert "only be given for ONNX" in call("convert", sequential[0], tmp_path / "m.keras", "--step").err
    (tmp_path / "m.keras").write_bytes(b"PK\x03\x04")
    for words in (("--sha256", "0" * 64), ()):
        done = call("convert", tmp_path / "m.keras", tmp_path / "m.onnx", *words)
        assert (done.code, done.fault, done.err.count("\n")) == (2, False, 1)


def test_without_the_packages_the_pip_line_is_said(sequential, tmp_path, monkeypatch):
    for package, name in (("onnx", "m.onnx"), ("h5py", "m.keras")):
        monkeypatch.setitem(sys.modules, package, None)
        done = call("convert", sequential[0], tmp_path / name)
        assert (done.code, done.fault) == (2, False)
        assert "pip install" in done.err
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("weights", "largest"), [("bf16", 0.1), ("int8", 0.2)])
def test_smaller_weights(sequential, model, csv, tmp_path, weights, largest):
    path, x, y = sequential
    np.save(tmp_path / "x.npy", x)
    out = tmp_path / "out.safetensors"
    done = call("convert", path, out, "--weights", weights, "--data", tmp_path / "x.npy")
    assert done.code == 0, done.err
    off = np.abs(load(out).predict(x) - y)
    assert 0.0 < off.max() < largest
    assert f"largest difference to the model that was read {off.max() / y.std():.2g}" in done.out
    for words in ((), ("--data", csv)):
        done = call("convert", model, out, "--weights", weights, *words)
        assert done.code == 0, done.err
        cost = float(done.out.partition("difference to the model that was read ")[2].split(",")[0])
        assert 0.0 < cost < largest
        assert "difference to float32" not in done.out
    assert call("predict", out).code == 0


def test_smaller_weights_of_a_generator(tmp_path):
    from tests.unit.runtime.generators import TEXT, VOCABULARIES, generator

    from ostinato.runtime.bundle import save
    from ostinato.runtime.generator_file import to_bundle

    save(tmp_path / "g", to_bundle(generator(VOCABULARIES["characters"]), version="0"))
    (tmp_path / "text").write_text(TEXT)
    words = ("convert", tmp_path / "g", tmp_path / "small.safetensors", "--weights", "int8")
    done = call(*words, "--data", tmp_path / "text")
    before, after = (load(tmp_path / name).evaluate(str(tmp_path / "text")) for name in ("g", "small.safetensors"))
    assert f"{after.nats:.4f} nats a symbol instead of {before.nats:.4f}" in done.out
    assert "must be given" in call(*words).err


@pytest.mark.parametrize(
    "words",
    [
        ("out.onnx", "--weights", "int8"),
        ("out.safetensors", "--data", "x.npy"),
        ("out.safetensors", "--weights", "int8"),
        ("out.safetensors", "--weights", "int4"),
        ("out.safetensors", "--weights", "int8", "--data", "none.npy"),
        ("out.safetensors", "--weights", "int8", "--data", "pickled.npy"),
        ("x.npy", "--to", "model", "--weights", "int8", "--data", "x.npy"),
    ],
)
def test_refused_weights(sequential, tmp_path, words, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", sequential[1])
    np.save("pickled.npy", np.array([{}], object), allow_pickle=True)
    done = call("convert", sequential[0], *words)
    assert (done.code, done.out, done.fault, done.err.count("\n")) == (2, "", False, 1)
    assert len(list(tmp_path.iterdir())) == 2


def test_nobody_is_told_to_trust_a_pickle(sequential, tmp_path):
    np.save(tmp_path / "pickled.npy", np.array([{}], object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("1 2 3")
    for name in ("pickled.npy", "text.npy"):
        done = call(
            "convert", sequential[0], tmp_path / "o.safetensors", "--weights", "int8", "--data", tmp_path / name
        )
        assert "must be a .npy file of numbers" in done.err
        assert "allow_pickle" not in done.err


def test_a_file_of_keras_says_how_it_is_read(sequential, tmp_path):
    pytest.importorskip("h5py", reason="the extra keras is not installed")
    call("convert", sequential[0], tmp_path / "m.keras")
    call("convert", sequential[0], tmp_path / "m.weights.h5")
    for name in ("m.keras", "m.weights.h5"):
        done = call("stream", tmp_path / name)
        assert (done.code, done.fault) == (2, False)
        assert "ostinato convert FILE" in done.err
