"""Cells that the step machine has and the compiled loops along time do not: composed of products and functions."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ostinato.cells.base import Cell
from ostinato.cells.gru import GRU
from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.cells.layer_norm_gru import LayerNormGRU
from ostinato.cells.layer_norm_lstm import LayerNormLSTM
from ostinato.cells.layer_norm_simple_rnn import LayerNormSimpleRNN
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.maps.base import Weights
from ostinato.runtime import native

FORMULAS = MappingProxyType(
    {
        SimpleRNN: "ANY_RNN", LSTM: "ANY_LSTM", GRU: "ANY_GRU", GRUResetAfter: "ANY_GRU_RESET_AFTER",
        LayerNormSimpleRNN: "LAYER_NORM_RNN", LayerNormLSTM: "LAYER_NORM_LSTM", LayerNormGRU: "LAYER_NORM_GRU",
    }
)  # fmt: skip
"""Names in C, in the order of `enum Formula` in `native/composed.hpp`."""

WEIGHTS = MappingProxyType(
    {"W": "W", "U": "U", "b": "b", "b_rec": "b_rec", "gain_x": "gain_x", "gain_h": "gain_h", "gain_c": "gain_c",
     "shift_c": "shift_c", "gain": "gain_h"}
)  # fmt: skip
"""A cell's weights to the fields of `struct Given` there."""


class Options(NamedTuple):
    """What a formula leaves open: names of functions, and what is added to variances."""

    activation: str
    recurrent_activation: str
    epsilon: float


def why_not(cell: Cell) -> str | None:
    """None if the step machine has this cell, else the reason, beginning with a lower-case letter."""
    return None if type(cell) in FORMULAS else f"no native step of {type(cell).__name__}"


def options(cell: Cell) -> Options:
    """The options of a cell; those that it does not have are those of its formula."""
    activation: str = getattr(cell, "activation", "tanh")
    recurrent_activation: str = getattr(cell, "recurrent_activation", "sigmoid")
    epsilon: float = getattr(cell, "epsilon", 0.0)
    return Options(activation, recurrent_activation, epsilon)


def composed(cell: Cell, w: Weights) -> Any:
    """A cell for which `why_not` gives None, with its weights packed; later changes of them have no effect.

    Args:
        cell: The recurrence.
        w: Its weights by name.

    Raises:
        ShapeError: A weight is missing or has another shape.
    """
    native.check_weights(cell, w)
    given = {field: np.ascontiguousarray(w[name], np.float32) for name, field in WEIGHTS.items() if name in w}
    activation, recurrent_activation, epsilon = options(cell)
    return native.module().Composed(
        native.engine(), list(FORMULAS).index(type(cell)), int(w["W"].shape[0]), cell.units,
        native.FUNCTIONS.index(activation), native.FUNCTIONS.index(recurrent_activation), epsilon,
        [native.address(given.get(field)) for field in dict.fromkeys(WEIGHTS.values())],
    )  # fmt: skip
