"""The recurrent layers of the Keras face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from torch import nn

from ostinato.cells import gru, lstm
from ostinato.cells.base import Cell
from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.cells.simple_rnn import SimpleRNN as SimpleRNNCell
from ostinato.errors import ArgumentError
from ostinato.layers.initialisers import Rule
from ostinato.layers.keras_base import Common, KerasLayer, Weighing, activation_name, check_bool, split, weighing, whole
from ostinato.layers.keras_initialisers import ForgetOne
from ostinato.layers.regularisers import L1L2
from ostinato.layers.step_module import StepModule, state_sizes
from ostinato.scans.recurrent import Recurrent

Initial = str | Rule | None
Penalty = str | L1L2 | None

_OWN = ("dropout", "recurrent_dropout", "weight_drop", "zoneout", "start")
"""Options that need a `Cell`."""


class Running(Common, total=False):
    """How a recurrent layer runs along time, next to what every layer can be told.

    Args:
        return_sequences: All outputs `(batch, time, units)` instead of the one of the last real step.
        return_state: A direct call returns `[output, *states]`.
        go_backwards: Run from the last step to the first; outputs come in the order of computation.
        stateful: Start each batch from the final states of the one before, until `reset_states()`.
        dropout: Rate on the inputs, in training only; one pattern for all steps of a sequence.
        recurrent_dropout: Rate on h inside the recurrent product, likewise.
        weight_drop: Rate on the recurrent weights, in training only; every fast kernel can run with it.
        zoneout: Probability that a step leaves a number of a state as it was; no fast kernel trains it.
        start: "zeros", or "learned": the start state is a weight.
    """

    return_sequences: bool
    return_state: bool
    go_backwards: bool
    stateful: bool
    dropout: float
    recurrent_dropout: float
    weight_drop: float
    zoneout: float
    start: str


class Recurring(Running, total=False):
    """`Running`, and how the weights begin and what they cost."""

    kernel_initializer: Initial
    recurrent_initializer: Initial
    bias_initializer: Initial
    kernel_regularizer: Penalty
    recurrent_regularizer: Penalty
    bias_regularizer: Penalty


class RecurrentLayer(KerasLayer):
    """A cell run along time.

    Args:
        cell: The recurrence.
        own: The keywords of `Running`.
        weights: First values and penalties.
        common: The keywords of `Common`.
    """

    part: Recurrent

    def __init__(
        self, cell: Cell, *, own: dict[str, Any], weights: Weighing | None = None, common: dict[str, Any]
    ) -> None:
        for name in ("return_sequences", "return_state", "go_backwards", "stateful"):
            check_bool(name, own.get(name, False))
        part = Recurrent(
            cell,
            return_sequences=own.get("return_sequences", False),
            reverse=own.get("go_backwards", False),
            start=own.get("start", "zeros"),
            dropout=own.get("dropout", 0.0),
            recurrent_dropout=own.get("recurrent_dropout", 0.0),
            weight_drop=own.get("weight_drop", 0.0),
            zoneout=own.get("zoneout", 0.0),
        )
        super().__init__(part, weighing=weights, common=common)
        self.return_state = own.get("return_state", False)
        self.stateful = own.get("stateful", False)

    @property
    def units(self) -> int:
        """Size of the state."""
        return self.part.cell.units


def _weighing(cell: Cell, own: dict[str, Any], *, use_bias: bool) -> Weighing:
    check_bool("use_bias", use_bias)
    biases = [name for name in ("b", "b_rec") if name == "b" or name in cell.extra()]
    return weighing(own, {"kernel": ["W"], "recurrent": ["U"], "bias": biases}, fixed=() if use_bias else tuple(biases))


class SimpleRNN(RecurrentLayer):
    """h_t = f(x_t W + b + h_{t-1} U) (Elman 1990).

    Args:
        units: Size of h.
        activation: f.
        use_bias: Whether b exists.
        options: See `Recurring`.
    """

    def __init__(
        self, units: int, activation: str | None = "tanh", use_bias: bool = True, **options: Unpack[Recurring]
    ) -> None:
        own, common = split(type(self), options, Recurring)
        cell = SimpleRNNCell(whole(units), activation=activation_name(activation))
        super().__init__(cell, own=own, weights=_weighing(cell, own, use_bias=use_bias), common=common)


class LSTM(RecurrentLayer):
    """Long short-term memory; gates in the order i, f, c, o, as in Keras.

    Args:
        units: Size of h and of c.
        activation: The nonlinearity of the candidate and of the output.
        recurrent_activation: The nonlinearity of the gates.
        use_bias: Whether b exists.
        unit_forget_bias: Start the forget gate's bias at 1.
        options: See `Recurring`.
    """

    def __init__(
        self,
        units: int,
        activation: str | None = "tanh",
        recurrent_activation: str | None = "sigmoid",
        use_bias: bool = True,
        *,
        unit_forget_bias: bool = True,
        **options: Unpack[Recurring],
    ) -> None:
        own, common = split(type(self), options, Recurring)
        check_bool("unit_forget_bias", unit_forget_bias)
        cell = lstm.LSTM(
            whole(units),
            activation=activation_name(activation),
            recurrent_activation=activation_name(recurrent_activation),
            unit_forget_bias=unit_forget_bias,
        )
        weights = _weighing(cell, own, use_bias=use_bias)
        if unit_forget_bias and "b" in weights.initial:
            weights |= Weighing({"b": ForgetOne(weights.initial["b"])})
        super().__init__(cell, own=own, weights=weights, common=common)


class GRU(RecurrentLayer):
    """The gated recurrent unit, by default as published (Cho et al. 2014): reset before product, z weighs the new.

    Args:
        units: Size of h.
        activation: The nonlinearity of the candidate.
        recurrent_activation: The nonlinearity of the gates.
        use_bias: Whether there are biases.
        reset_after: True for the variant of cuDNN, PyTorch and Keras' default: a second bias, z weighs the old state.
        options: See `Recurring`.
    """

    def __init__(
        self,
        units: int,
        activation: str | None = "tanh",
        recurrent_activation: str | None = "sigmoid",
        use_bias: bool = True,
        *,
        reset_after: bool = False,
        **options: Unpack[Recurring],
    ) -> None:
        own, common = split(type(self), options, Recurring)
        check_bool("reset_after", reset_after)
        cls = GRUResetAfter if reset_after else gru.GRU
        cell = cls(
            whole(units),
            activation=activation_name(activation),
            recurrent_activation=activation_name(recurrent_activation),
        )
        super().__init__(cell, own=own, weights=_weighing(cell, own, use_bias=use_bias), common=common)


class RNN(KerasLayer):
    """A user's own recurrence along time.

    Args:
        cell: A `Cell` object, or a torch module whose `forward(input, hidden)` returns `(output, hidden)`, unchanged.
        state_size: Width of a module's hidden, or a tuple of widths; by default its attribute `hidden_size`.
        options: See `Running`. Dropout and a learned start need a `Cell`.
    """

    def __init__(
        self,
        cell: Cell | nn.Module,
        *,
        state_size: int | Sequence[int] | None = None,
        **options: Unpack[Running],
    ) -> None:
        own, common = split(type(self), options, Running)
        for name in ("return_sequences", "return_state", "go_backwards", "stateful"):
            check_bool(name, own.get(name, False))
        runs = {"return_sequences": own.get("return_sequences", False), "reverse": own.get("go_backwards", False)}
        if isinstance(cell, Cell):
            if state_size is not None:
                raise ArgumentError(
                    "state_size must only be given for a torch module", got=repr(state_size), fix="Remove it."
                )
            rates = {k: own[k] for k in _OWN if k in own}
            super().__init__(Recurrent(cell, **runs, **rates), common=common)
        elif isinstance(cell, nn.Module) and not isinstance(cell, KerasLayer):
            unusable = sorted(k for k in _OWN if own.get(k))
            if unusable:
                raise ArgumentError(
                    "a torch module must bring its own dropout and start state",
                    got=", ".join(unusable),
                    fix="Remove it, or write the recurrence as a Cell.",
                )
            sizes = state_sizes(cell, state_size)
            super().__init__(StepModule(cell, sizes, **runs), common=common)
            self.module = cell
        else:
            raise ArgumentError(
                "cell must be a Cell object or a torch module with forward(input, hidden)",
                got=type(cell).__name__,
                fix="Pass such an object; stack several RNN layers instead of several cells.",
            )
        self.return_state = own.get("return_state", False)
        self.stateful = own.get("stateful", False)
