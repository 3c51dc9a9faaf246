"""Stacks and sequences for the tests of windows along time."""

from __future__ import annotations

import numpy as np
import torch
from tests.laws.own_cell import Leaky

from ostinato.cells import Cell
from ostinato.cells.gru import GRU
from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.layers import Layer, Stack
from ostinato.maps.dense import Dense
from ostinato.maps.dropout import Dropout
from ostinato.scans.recurrent import Recurrent
from ostinato.train import Objective

CELLS: dict[str, type[Cell]] = {
    "lstm": LSTM,
    "gru": GRU,
    "gru_reset_after": GRUResetAfter,
    "simple_rnn": SimpleRNN,
    "own": Leaky,
}


def tagger(cell: type[Cell] = LSTM, *, seed: int = 0, rate: float = 0.0, last: bool = True, start: str = "learned"):
    """Two recurrent layers, dropout and a dense layer; one output a step, or one a sequence."""
    made = Stack(
        [
            Layer(Recurrent(cell(4), return_sequences=True, dropout=rate, start=start), name="one"),
            Layer(Dropout(rate), name="dropout"),
            Layer(Recurrent(cell(3), return_sequences=last, recurrent_dropout=rate), name="two"),
            Layer(Dense(2), name="head"),
        ],
        seed=seed,
    )
    made.build((None, 2))
    return made


def squared(y, batch, mask):
    """Mean square over real steps and its weight."""
    values = ((y - batch.target) ** 2).mean(-1)
    if mask is None or values.ndim == 1:
        return values.mean(), float(values.numel())
    return (values * mask).sum() / mask.sum().clamp(min=1), float(mask.sum())


def absolute(y, batch, mask):
    """Sum of absolute errors over real steps, and their number."""
    values = (y - batch.target).abs().mean(-1)
    if mask is None:
        return float(values.sum()), float(values.numel())
    return float((values * mask).sum()), float(mask.sum())


OBJECTIVE = Objective(squared, {"error": absolute})


def sequences(*lengths: int, seed: int = 5):
    """Inputs and targets of these lengths: the target is what was seen two steps ago."""
    rng = np.random.default_rng(seed)
    x = [torch.from_numpy(rng.normal(size=(n, 2)).astype(np.float32)) for n in lengths]
    return x, [torch.cat([torch.zeros(2, 2), v])[: len(v)] for v in x]
