"""What the three drop-ins share: weights under torch's names, layers and directions, packed and unbatched sequences."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ostinato.cells.base import Cell
from ostinato.errors import ArgumentError, OstinatoWarning
from ostinato.kernels.choose import scan
from ostinato.maps._check import check_count
from ostinato.nn.sequences import arrange, arrange_states, restore, restore_states

States = tuple[Tensor, ...]


class Recurrent(nn.Module, ABC):
    """A stack of recurrent layers that looks like torch's.

    Args:
        cell: The recurrence.
        input_size: Number of features of a step.
        num_layers: Layers one above the other.
        bias: Whether the layers have biases.
        batch_first: Whether inputs and outputs are `[batch, time, feature]` instead of `[time, batch, feature]`.
        dropout: Rate on the output of every layer but the last, in training only.
        bidirectional: Whether each layer runs in both directions; doubles the output's features.
        device: Where the weights live.
        dtype: Type of the weights.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        *,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        check_count("input_size", input_size)
        check_count("num_layers", num_layers)
        _check_flags(bias=bias, batch_first=batch_first, bidirectional=bidirectional)
        _check_dropout(dropout, num_layers)
        self.cell = cell
        self.input_size, self.hidden_size, self.num_layers = input_size, cell.units, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout = float(dropout)
        self.proj_size = 0
        width = len(cell.gates) * cell.units
        for layer in range(num_layers):
            features = input_size if layer == 0 else self.hidden_size * self._directions
            for suffix in self._suffixes(layer):
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (width, features), "weight_hh": (width, cell.units)}
                if bias:
                    shapes |= {"bias_ih": (width,), "bias_hh": (width,)}
                for name, shape in shapes.items():
                    self.register_parameter(name + suffix, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        one = f"_l{layer}"
        return (one, one + "_reverse") if self.bidirectional else (one,)

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The weights of each layer and direction, as torch lists them."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if self.bias else ("weight_ih", "weight_hh")
        return [
            [getattr(self, name + suffix) for name in names]
            for layer in range(self.num_layers)
            for suffix in self._suffixes(layer)
        ]

    def reset_parameters(self) -> None:
        """Draw all weights uniformly in ±1 / sqrt(hidden_size), from torch's global generator, in torch's order."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Do nothing: torch copies its weights into one block for cuDNN, ostinato's kernels take them as they are."""

    @abstractmethod
    def _biases(self, b_ih: Tensor, b_hh: Tensor) -> dict[str, Tensor]:
        """torch's two biases under the names that the cell knows."""

    def _weights(self, suffix: str) -> dict[str, Tensor]:
        W, U = getattr(self, "weight_ih" + suffix), getattr(self, "weight_hh" + suffix)
        if self.bias:
            b_ih, b_hh = getattr(self, "bias_ih" + suffix), getattr(self, "bias_hh" + suffix)
        else:
            b_ih = b_hh = W.new_zeros(W.shape[0])
        return {"W": W.T, "U": U.T, **self._biases(b_ih, b_hh)}

    def _run(self, given: Tensor | PackedSequence, states: States | None) -> tuple[Tensor | PackedSequence, States]:
        """All layers on `given`; `states` and the final states are `[layers · directions, batch, hidden_size]` each."""
        batch = arrange(given, self.input_size, batch_first=self.batch_first, dtype=next(self.parameters()).dtype)
        start = arrange_states(
            states,
            batch,
            names=self.cell.states,
            shape=(self.num_layers * self._directions, batch.x.shape[0], self.hidden_size),
        )
        x, final = batch.x, []
        for layer in range(self.num_layers):
            outputs = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                at = layer * self._directions + direction
                y, last = scan(
                    self.cell,
                    self._weights(suffix),
                    x,
                    tuple(s[at] for s in start),
                    mask=batch.mask,
                    reverse=direction == 1,
                )
                outputs.append(y)
                final.append(last)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
            if self.training and self.dropout > 0.0 and layer < self.num_layers - 1:
                x = batch.drop(x, self.dropout)
        stacked = tuple(torch.stack(s) for s in zip(*final, strict=True))
        return restore(x, batch, batch_first=self.batch_first), restore_states(stacked, batch)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, usual in (
            ("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0.0), ("bidirectional", False),
        ):  # fmt: skip
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text


def refuse_projection(name: str, proj_size: int) -> None:
    """Raise `ArgumentError` unless `proj_size` is 0."""
    if proj_size != 0:
        raise ArgumentError(
            f"proj_size of {name} must be 0, since no cell of ostinato projects its state",
            got=repr(proj_size),
            fix="Put a torch.nn.Linear behind the layer, or use torch.nn.LSTM for this model.",
        )


def _check_flags(**flags: object) -> None:
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ArgumentError(f"{name} must be True or False", got=repr(value), fix="Pass a bool.")


def _check_dropout(dropout: object, num_layers: int) -> None:
    if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0.0 <= dropout <= 1.0:
        raise ArgumentError(
            "dropout must be a number from 0 to 1", got=repr(dropout), fix="Pass the share of numbers to zero."
        )
    if dropout > 0.0 and num_layers == 1:
        warnings.warn(
            f"dropout={dropout} has no effect: it acts between layers, and num_layers is 1. Raise num_layers, or put a "
            "torch.nn.Dropout behind the layer.",
            OstinatoWarning,
            stacklevel=4,
        )
