"""A state_dict fills the layers of a model of ours: every layer that torch has, whatever the names of its modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from tests.unit.convert.samples import Sample, network, samples
from torch import nn

from ostinato.cells import CELLS
from ostinato.cli.convert import command
from ostinato.convert.torch import to_state_dict
from ostinato.convert.torch_into import into_layers
from ostinato.errors import ArgumentError, ConversionError
from ostinato.maps.activation import Activation
from ostinato.maps.conv1d import Conv1D
from ostinato.maps.dense import Dense
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.runtime import load
from ostinato.runtime.bundle import save
from ostinato.runtime.sequential_file import Named, to_bundle
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

LSTM, GRU = CELLS["lstm"](4), CELLS["gru_reset_after"](4)


def named(sample, names=()):
    """The layers of a sample, with random weights, and the model of them."""
    model = network(sample)
    names = names or [f"l{i}" for i in range(len(model.parts))]
    return [Named(n, p, dict(w)) for n, p, w in zip(names, model.parts, model.weights, strict=True)], model


def blank(layers):
    """The same layers with other numbers."""
    return [Named(n.name, n.part, {k: np.full_like(v, 7) for k, v in n.weights.items()}) for n in layers]


def test_every_layer_gets_its_numbers_back():
    went = set()
    for sample in samples():
        layers, _ = named(sample)
        try:
            state = to_state_dict(layers, sample.shape)
        except ConversionError:
            with pytest.raises(ConversionError, match="every layer must be one that torch has"):
                into_layers(blank(layers), sample.shape, {})
            continue
        found = into_layers(blank(layers), sample.shape, dict(reversed(state.tensors.items())))
        for before, after in zip(layers, found, strict=True):
            assert before.weights.keys() == after.weights.keys()
            for key, value in before.weights.items():
                np.testing.assert_array_equal(after.weights[key], value, err_msg=f"{sample} {key}")
        went.add(sample.name)
    assert {"lstm", "gru_reset_after", "simple_rnn", "bidirectional", "conv1d", "layer_norm", "unembedding"} <= went


class Theirs(nn.Module):
    """A model that a state_dict alone does not describe."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 5, 3, padding="same")
        self.rnn = nn.LSTM(5, 4, num_layers=2, batch_first=True)
        self.norm = nn.LayerNorm(4)
        self.fc1, self.fc2 = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        x = torch.relu(self.conv(x.transpose(1, 2)).transpose(1, 2))
        return self.fc2(torch.tanh(self.fc1(self.norm(self.rnn(x)[0]))))


OURS = Sample(
    "theirs",
    (
        Conv1D(5, 3, padding="same", activation="relu"), Recurrent(LSTM, True), Recurrent(LSTM, True), LayerNorm(1e-5),
        TimeDistributed(Dense(4, "tanh")), Dense(4),
    ),
    (None, 3),
)  # fmt: skip


@pytest.fixture
def files(tmp_path):
    torch.manual_seed(0)
    theirs = Theirs().eval()
    save_file(theirs.state_dict(), tmp_path / "state.safetensors")
    layers, _ = named(OURS)
    save(tmp_path / "model.safetensors", to_bundle(layers, OURS.shape, name="m"))
    return theirs, tmp_path


def convert(folder, *more):
    return CliRunner().invoke(
        command, [str(folder / "state.safetensors"), str(folder / "out.safetensors"), *map(str, more)]
    )


def test_the_command_fills_a_model(files):
    theirs, folder = files
    before = (folder / "model.safetensors").read_bytes()
    done = convert(folder, "--into", folder / "model.safetensors")
    assert done.exit_code == 0, done.output
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    with torch.no_grad():
        want = theirs(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(load(folder / "out.safetensors").predict(x), want, atol=1e-6)
    assert (folder / "model.safetensors").read_bytes() == before


def test_into_is_for_weights_alone(files):
    _, folder = files
    for name in ("model.safetensors", "nothing", "state.safetensors"):
        (folder / "state.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
        done = CliRunner().invoke(
            command, [str(folder / name), str(folder / "o.onnx"), "--into", str(folder / "model.safetensors")]
        )
        assert isinstance(done.exception, ArgumentError)
        assert "weights alone" in str(done.exception)


def state_of(module):
    return {k: v.numpy() for k, v in module.state_dict().items()}


def test_a_torch_sequential_goes_by_its_places():
    torch.manual_seed(0)
    theirs = nn.Sequential(*[m for _ in range(11) for m in (nn.Linear(3, 3), nn.Tanh())])
    sample = Sample("s", tuple(Dense(3, "tanh") for _ in range(11)), (3,))
    layers = into_layers(named(sample)[0], (3,), dict(sorted(state_of(theirs).items())))
    for i, layer in enumerate(layers):
        np.testing.assert_array_equal(layer.weights["W"].T, theirs[2 * i].weight.detach().numpy())


def test_a_name_of_a_layer_comes_first():
    layers, _ = named(Sample("s", (Dense(3), Dense(3)), (3,)), ["second", "first"])
    state = {f"{name}.{k}": v for name in ("first", "second") for k, v in state_of(nn.Linear(3, 3)).items()}
    found = into_layers(layers, (3,), state)
    np.testing.assert_array_equal(found[0].weights["W"].T, state["second.weight"])
    np.testing.assert_array_equal(found[1].weights["W"].T, state["first.weight"])


def test_both_biases_of_torch_are_one_of_ours():
    theirs = nn.LSTM(3, 4, bidirectional=True)
    layers, _ = named(Sample("s", (Bidirectional(Recurrent(LSTM)),), (None, 3)))
    (found,) = into_layers(layers, (None, 3), state_of(theirs))
    want = (theirs.bias_ih_l0_reverse + theirs.bias_hh_l0_reverse).detach().numpy()
    np.testing.assert_array_equal(found.weights["backward_b"], want)
    (gru,) = into_layers(named(Sample("s", (Recurrent(GRU),), (None, 3)))[0], (None, 3), state_of(nn.GRU(3, 4)))
    assert set(gru.weights) == {"W", "U", "b", "b_rec"}


LINEAR = state_of(nn.Linear(3, 3))


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({}, "none that is left"),
        (LINEAR | {"more.weight": np.zeros((2, 2), np.float32)}, "must belong to a layer"),
        ({"weight": LINEAR["weight"]}, "there must be a module"),
        ({"weight": LINEAR["weight"][:2], "bias": LINEAR["bias"]}, "there must be a module"),
        ({f"{n}.{k}": v for n in ("encoder", "decoder") for k, v in LINEAR.items()}, "only one module must fit"),
        (LINEAR | {"extra": LINEAR["bias"]}, "there must be a module"),
    ],
    ids=range(6),
)
def test_what_does_not_fit_is_refused(state, why):
    layers, _ = named(Sample("s", (Dense(3), Activation("tanh")), (3,)))
    before = layers[0].weights["W"].copy()
    with pytest.raises(ConversionError, match=why):
        into_layers(layers, (3,), state)
    np.testing.assert_array_equal(layers[0].weights["W"], before)


def test_sums_of_biases_are_finite():
    state = state_of(nn.LSTM(3, 4)) | {k: np.full(16, 3e38, np.float32) for k in ("bias_ih_l0", "bias_hh_l0")}
    with pytest.raises(ConversionError, match="finite"):
        into_layers(named(Sample("s", (Recurrent(LSTM),), (None, 3)))[0], (None, 3), state)
