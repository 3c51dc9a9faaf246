"""How ostinato's recurrences relate to those of other software: exactly, not nearly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.laws.formulas import keras_gru_reset_before
from tests.laws.problems import FEATURES, UNITS, problem
from tests.laws.tolerance import different, same
from torch import nn

from ostinato.cells.gru import GRU
from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.kernels import KERNELS
from ostinato.kernels.base import Kernel

F64 = torch.float64


def test_published_gru_is_keras_reset_before_with_negated_z():
    p = problem(GRU(UNITS))
    y, _ = Kernel().forward(p.call(F64))
    r, z, n = (slice(k * UNITS, (k + 1) * UNITS) for k in range(3))
    kernel, recurrent, bias = (
        np.concatenate([-w[..., z], w[..., r], w[..., n]], axis=-1) for w in (p.w["W"], p.w["U"], p.w["b"])
    )
    same(y, keras_gru_reset_before(p.x, kernel, recurrent, bias, p.state[0]), what="published GRU and Keras")
    unsigned = (np.concatenate([w[..., z], w[..., r], w[..., n]], axis=-1) for w in (p.w["W"], p.w["U"], p.w["b"]))
    different(y, keras_gru_reset_before(p.x, *unsigned, p.state[0]), what="Keras without the sign")


def _reset_after(p, *, negate):
    w = {name: value.copy() for name, value in p.w.items()} | {"b_rec": np.zeros(3 * UNITS)}
    if negate:
        for name in ("W", "U", "b"):
            w[name][..., UNITS : 2 * UNITS] *= -1.0
    return Kernel().forward(type(p)(GRUResetAfter(UNITS), w, p.x, p.state).call(F64))[0]


def test_reset_before_and_after_differ_unless_r_is_one():
    p = problem(GRU(UNITS))
    different(Kernel().forward(p.call(F64))[0], _reset_after(p, negate=True), what="the two GRUs")
    for name in ("W", "U"):
        p.w[name][..., :UNITS] = 0.0
    p.w["b"][..., :UNITS] = 60.0  # r = sigmoid(60) = 1
    y = Kernel().forward(p.call(F64))[0]
    same(y, _reset_after(p, negate=True), what="the two GRUs with r = 1")
    different(y, _reset_after(p, negate=False), what="z of the two GRUs")


@pytest.mark.parametrize(
    ("cell", "theirs"),
    [
        (LSTM(UNITS), nn.LSTM(FEATURES, UNITS, batch_first=True)),
        (GRUResetAfter(UNITS), nn.GRU(FEATURES, UNITS, batch_first=True)),
        (SimpleRNN(UNITS), nn.RNN(FEATURES, UNITS, batch_first=True)),
        (SimpleRNN(UNITS, activation="relu"), nn.RNN(FEATURES, UNITS, nonlinearity="relu", batch_first=True)),
    ],
    ids=["lstm", "gru_reset_after", "simple_rnn", "simple_rnn, relu"],
)
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_cells_are_those_of_torch(kernel, cell, theirs):
    p = problem(cell)
    dtype = F64 if kernel.why_not(p.call(F64)) is None else torch.float32
    if kernel.why_not(p.call(dtype)) is not None:
        pytest.skip(str(kernel.why_not(p.call(dtype))))
    theirs = theirs.to(dtype)
    second = p.w.get("b_rec", np.zeros_like(p.w["b"]))
    values = (
        ("weight_ih_l0", p.w["W"].T),
        ("weight_hh_l0", p.w["U"].T),
        ("bias_ih_l0", p.w["b"]),
        ("bias_hh_l0", second),
    )
    theirs.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in values})
    state = tuple(torch.from_numpy(s)[None].to(dtype) for s in p.state)
    y, final = theirs(torch.from_numpy(p.x).to(dtype), state if len(state) > 1 else state[0])
    ours, last = kernel.forward(p.call(dtype))
    same(ours, y, what="outputs")
    for a, b in zip(last, final if isinstance(final, tuple) else (final,), strict=True):
        same(a, b[0], what="final states")
