"""Every law, for every cell on every kernel that can compute it, in float32 and float64."""

from __future__ import annotations

import pytest
import torch
from tests.laws.formulas import FORMULAS
from tests.laws.own_cell import Leaky
from tests.laws.problems import UNITS, problem
from tests.laws.recurrence import FLOAT64_ONLY, LAWS

from ostinato.cells import CELLS, Cell
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.kernels import KERNELS
from ostinato.runtime import native

VARIANTS: dict[str, Cell] = {name: cls(UNITS) for name, cls in CELLS.items()} | {
    "simple_rnn, relu": SimpleRNN(UNITS, activation="relu"),
    "lstm, other activations": LSTM(UNITS, activation="softsign", recurrent_activation="hard_sigmoid"),
    "a user's own": Leaky(UNITS),
}

PAIRS = [
    pytest.param(kernel, cell, id=f"{key}-{name}")
    for key, kernel in KERNELS.items()
    for name, cell in VARIANTS.items()
    if kernel.why_not(problem(cell).call(torch.float32)) is None
]


CASES = [
    pytest.param(law, dtype, id=f"{name}-{str(dtype)[6:]}")
    for name, law in LAWS.items()
    for dtype in ((torch.float64,) if name in FLOAT64_ONLY else (torch.float32, torch.float64))
]


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own forward mode calls it
@pytest.mark.parametrize(("law", "dtype"), CASES)
@pytest.mark.parametrize(("kernel", "cell"), PAIRS)
def test_law(kernel, cell, law, dtype):
    law(kernel, cell, dtype)


def test_every_kernel_meets_the_laws_with_some_cell():
    there = set(KERNELS) if native.available() is None else set(KERNELS) - {"native"}
    assert {p.id.split("-")[0] for p in PAIRS} == there
    assert {p.id for p in PAIRS if p.id.startswith("reference")} == {f"reference-{name}" for name in VARIANTS}


def test_the_four_published_recurrences_have_an_independent_formula():
    assert set(FORMULAS) <= set(CELLS)
    assert {"simple_rnn", "lstm", "gru", "gru_reset_after"} <= set(FORMULAS)
