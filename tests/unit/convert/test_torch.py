"""torch's modules and our layers compute the same with each other's weights; what torch does not have is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.unit.convert.samples import Sample, network, samples
from torch import nn

from ostinato.cells import CELLS
from ostinato.convert.tensors import read_tensors, write_tensors
from ostinato.convert.torch import from_state_dict, to_state_dict
from ostinato.errors import ConversionError
from ostinato.maps import MAPS
from ostinato.maps.activation import FUNCTIONS
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.masking import Masking
from ostinato.runtime.arrays import NUMPY
from ostinato.runtime.models import Network
from ostinato.runtime.sequential_file import Named
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent


class Theirs(nn.Module):
    """A usual model of torch."""

    def __init__(self, kind: type[nn.RNNBase], *, all_steps: bool, **options: object) -> None:
        super().__init__()
        self.rnn = kind(3, 4, batch_first=True, **options)
        self.head = nn.Linear(4 * (1 + self.rnn.bidirectional), 2)
        self.all_steps = all_steps

    def forward(self, x):
        y, h = self.rnn(x)
        h = h[0] if isinstance(h, tuple) else h
        last = torch.cat([h[-2], h[-1]], dim=1) if self.rnn.bidirectional else h[-1]
        return self.head(y if self.all_steps else last)


@pytest.mark.parametrize("all_steps", [False, True])
@pytest.mark.parametrize(
    "options",
    [{}, {"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}, {"bias": False}],
    ids=str,
)
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_from_torch(kind, options, all_steps, tmp_path):
    torch.manual_seed(0)
    model = Theirs(kind, all_steps=all_steps, **options).eval()
    save_file(model.state_dict(), tmp_path / "s")
    read = from_state_dict(read_tensors(tmp_path / "s").arrays, sequences=all_steps, nonlinearity="tanh")
    needed = [layer.part.weights((None, n)) for layer, n in _inputs(read.layers)]
    weights = [
        {k: layer.weights.get(k, np.zeros(w.shape, np.float32)) for k, w in n.items()}
        for layer, n in zip(read.layers, needed, strict=True)
    ]
    ours = Network(tuple(layer.part for layer in read.layers), weights, read.input_shape)
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    with torch.no_grad():
        np.testing.assert_allclose(ours.predict(x), model(torch.from_numpy(x)).numpy(), atol=1e-6)


def _inputs(layers):
    """Each layer with the features of its input."""
    shape = (None, 3)
    for layer in layers:
        yield layer, shape[-1]
        shape = layer.part.out_shape(shape)


def test_the_nonlinearity_of_an_rnn_must_be_told():
    state = {k: v.numpy() for k, v in nn.RNN(2, 3, nonlinearity="relu").state_dict().items()}
    with pytest.raises(ConversionError, match="does not say"):
        from_state_dict(state)
    assert from_state_dict(state, nonlinearity="relu").layers[0].part.cell.activation == "relu"


def _named(sample):
    model = network(sample)
    return [Named(f"l{i}", p, w) for i, (p, w) in enumerate(zip(model.parts, model.weights, strict=True))], model


OURS = [
    Sample("lstm", (Embedding(9, 3), Recurrent(CELLS["lstm"](4), True), LayerNorm(1e-5), Dense(5)), (None,)),
    Sample("rnn", (Recurrent(CELLS["simple_rnn"](4, activation="relu"), True), Dense(2, use_bias=False)), (None, 3)),
    Sample("gru", (Bidirectional(Recurrent(CELLS["gru_reset_after"](4))), Dense(2)), (None, 3)),
]


def _run(said, modules, x):
    """What the descriptions of the modules say."""
    with torch.no_grad():
        for m in said:
            turned = "input" in m
            if turned:
                zeros = re.search(r"([0-9]+) steps of zeros", m["input"])
                x = nn.functional.pad(x.transpose(1, 2), (int(zeros[1]) if zeros else 0, 0))
            x = modules[m["name"]](x)
            if m.get("output", "").startswith(("all steps", "the last")):
                y, h = x
                h = h[0] if isinstance(h, tuple) else h
                x = y if m["output"] == "all steps" else torch.cat(list(h), dim=1)
            elif turned:
                x = x[:, :, 0] if m.get("output") == "the only step" else x.transpose(1, 2)
            if "then" in m:
                x = torch.from_numpy(FUNCTIONS[m["then"]](NUMPY, x.numpy()))
    return x.numpy()


def _in_torch(sample, path):
    """Layers as torch's, the same ones here, an input, and what torch computes."""
    layers, model = _named(sample)
    state = to_state_dict(layers, sample.shape)
    write_tensors(path, state.tensors, state.metadata)
    with safe_open(path, framework="np") as file:
        said = json.loads(file.metadata()["modules"])
    modules = nn.ModuleDict(
        {m["name"]: getattr(nn, m["module"].rpartition(".")[2])(**m["arguments"]) for m in said}
    ).eval()
    modules.load_state_dict(load_file(path))
    rng = np.random.default_rng(0)
    shape = (2, *(7 if n is None else n for n in sample.shape))
    symbols = isinstance(sample.parts[0], Embedding)
    x = rng.integers(0, sample.parts[0].input_dim, shape) if symbols else rng.normal(size=shape).astype(np.float32)
    return layers, model, x, _run(said, modules, torch.from_numpy(x))


@pytest.mark.parametrize("sample", OURS, ids=lambda s: s.name)
def test_to_torch(sample, tmp_path):
    _, model, x, theirs = _in_torch(sample, tmp_path / "s")
    np.testing.assert_allclose(model.predict(x), theirs, atol=1e-6)


NEVER = {
    "attention", "gru", "layer_norm_gru", "layer_norm_lstm", "layer_norm_simple_rnn", "masking", "repeat_vector",
    "reshape",
}  # fmt: skip


def test_every_layer_is_exact_in_torch_or_refused(tmp_path):
    """With the reason, which names it; a mask is always one."""
    exact, refused = set(), {}
    for sample in (one for one in samples() if one.name != "stack"):
        try:
            layers, model, x, theirs = _in_torch(sample, tmp_path / "s")
        except ConversionError as error:
            if not isinstance(sample.parts[0], Masking) or sample.name == "masking":
                refused.setdefault(sample.name, set()).add(error.got)
            continue
        exact.add(sample.name)
        ours = model.predict(x)
        np.testing.assert_allclose(ours, theirs, atol=2e-6 * max(1.0, float(np.abs(ours).max())), err_msg=str(sample))
        if len(layers) == 1 and sample.name in CELLS:
            part = layers[0].part
            read = from_state_dict(
                read_tensors(tmp_path / "s").arrays, sequences=part.return_sequences,
                nonlinearity=getattr(part.cell, "activation", None),
            )  # fmt: skip
            other = Network(tuple(n.part for n in read.layers), [n.weights for n in read.layers], read.input_shape)
            np.testing.assert_allclose(ours, other.predict(x), atol=1e-6)
    assert set(refused) - exact == NEVER
    assert {*MAPS, *CELLS, "bidirectional"} == exact | NEVER
    assert all("no counterpart" not in reason for reasons in refused.values() for reason in reasons)


@pytest.mark.parametrize("options", [{"recurrent_activation": "tanh"}, {"activation": "relu"}])
def test_variants_of_gru_are_refused(options):
    for name, why in (("gru", "resets before"), ("gru_reset_after", "activation=")):
        layers, _ = _named(Sample("", (Recurrent(CELLS[name](3, **options)),), (None, 2)))
        with pytest.raises(ConversionError, match=why):
            to_state_dict(layers, (None, 2))


def _two(first, second):
    return {f"{name}.{k}": v.numpy() for name, m in (("a", first), ("b", second)) for k, v in m.state_dict().items()}


def test_the_order_of_modules_follows_from_their_sizes_or_is_told():
    read = from_state_dict(_two(nn.LSTM(4, 5), nn.GRU(3, 4)))
    assert [layer.name for layer in read.layers] == ["b", "a"]
    same = _two(nn.LSTM(4, 4), nn.LSTM(4, 4))
    with pytest.raises(ConversionError, match="2 orders"):
        from_state_dict(same)
    assert [layer.name for layer in from_state_dict(same, order=["b", "a"]).layers] == ["b", "a"]


def _state(**changes):
    state = {k: v.numpy() for k, v in nn.LSTM(2, 3, num_layers=2).state_dict().items()}
    return {k: v for k, v in (state | changes).items() if v is not None}


@pytest.mark.parametrize(
    "changes",
    [
        {"weight_hr_l0": np.zeros((2, 3))},
        {"weight_ih_l0": None},
        {"weight_ih_l1": None, "weight_hh_l1": None, "bias_ih_l1": None, "bias_hh_l1": None,
         "weight_ih_l9999": np.zeros((12, 3)), "weight_hh_l9999": np.zeros((12, 3))},
        {"bias_hh_l1": None},
        {"bias_hh_l1": np.zeros(7)},
        {"weight_hh_l1": np.zeros((13, 3))},
        {"weight_hh_l1": np.zeros((12, 0))},
        {"weight_hh_l1": np.zeros((6, 3)), "weight_ih_l1": np.zeros((6, 3))},
        {"weight_ih_l1": np.zeros((12, 4))},
        {"weight_ih_l0_reverse": np.zeros((12, 2))},
        {"conv.weight": np.zeros((3, 2, 2))},
        {"head.weight": np.zeros((3, 2))},
        {"a.weight": np.zeros((2, 3)), "b.weight": np.zeros((2, 2))},
        {"weight_ih_l" + "9" * 5000: np.zeros((12, 2))},
    ],
    ids=lambda c: next(iter(c))[:20],
)  # fmt: skip
def test_a_state_dict_of_something_else_is_refused(changes):
    with pytest.raises(ConversionError):
        from_state_dict(_state(**changes))


HEADERS = [
    "{",
    "[]",
    '{"a": 1}',
    '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "more": 1}}',
    '{"a": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}',
    '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
    '{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}',
    '{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}',
    '{"a": {"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]}}',
    '{"a": {"dtype": "F32", "shape": [4611686018427387904, 4], "data_offsets": [0, 0]}}',
    '{"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}',
    '{"__metadata__": {"modules": "{}"}}',
    '{"a":' * 50000,
]


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_files_that_are_refused(header, tmp_path):
    raw = len(header).to_bytes(8, "little") + header.encode() + b"\0" * 6 + b"\xf0\x7f"
    for file in (raw, raw[:-1], b"x" * 40, b""):
        (tmp_path / "s").write_bytes(file)
        with pytest.raises(ConversionError):
            read_tensors(tmp_path / "s")
    with pytest.raises(ConversionError):
        read_tensors(tmp_path)


def test_small_numbers_are_read(tmp_path):
    save_file({"a": torch.tensor([1.5, -2.25], dtype=torch.bfloat16), "b": torch.tensor([0.5], dtype=torch.half)},
              tmp_path / "s")  # fmt: skip
    assert {k: v.tolist() for k, v in read_tensors(tmp_path / "s").arrays.items()} == {"a": [1.5, -2.25], "b": [0.5]}
