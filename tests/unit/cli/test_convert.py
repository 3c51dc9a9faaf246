"""`ostinato convert`: what it writes, what it says, and what it refuses."""

import json

import numpy as np
import pytest
from tests.unit.cli.call import call

from ostinato.convert.onnx import compare
from ostinato.runtime import load


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
