"""The drop-in for `torch.nn.LSTM`."""

from __future__ import annotations

from collections.abc import Sized
from typing import overload

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ostinato.cells import lstm
from ostinato.errors import ArgumentError
from ostinato.maps._check import check_count
from ostinato.nn.base import Recurrent, refuse_projection

Pair = tuple[Tensor, Tensor]


class LSTM(Recurrent):
    """Long short-term memory (`ostinato.cells.lstm`), as `torch.nn.LSTM`.

    Unlike torch's module it takes sequences of length 0: the output is empty and the state unchanged.

    Args:
        input_size: Number of features of a step.
        hidden_size: Size of h and of c.
        num_layers: Layers one above the other.
        bias: Whether b_ih and b_hh exist.
        batch_first: Whether inputs and outputs are `[batch, time, feature]` instead of `[time, batch, feature]`.
        dropout: Rate on the output of every layer but the last, in training only.
        bidirectional: Whether each layer runs in both directions; doubles the output's features.
        proj_size: Must be 0: projections of the state are not supported.
        device: Where the weights live.
        dtype: Type of the weights.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_count("hidden_size", hidden_size)
        refuse_projection("LSTM", proj_size)
        super().__init__(
            lstm.LSTM(hidden_size),
            input_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
        )
        self.mode = "LSTM"

    def _biases(self, b_ih: Tensor, b_hh: Tensor) -> dict[str, Tensor]:
        return {"b": b_ih + b_hh}

    @overload
    def forward(self, input: Tensor, hx: Pair | None = None) -> tuple[Tensor, Pair]: ...

    @overload
    def forward(self, input: PackedSequence, hx: Pair | None = None) -> tuple[PackedSequence, Pair]: ...

    def forward(self, input: Tensor | PackedSequence, hx: Pair | None = None) -> tuple[Tensor | PackedSequence, Pair]:
        """The outputs of the last layer, and the final states of all layers.

        Args:
            input: `[time, batch, feature]` (see `batch_first`), `[time, feature]`, or packed.
            hx: Start states (h, c), each `[num_layers · directions, batch, hidden_size]`, zeros if None.

        Raises:
            ShapeError: An array has the wrong shape.
            ArgumentError: hx is not a pair of tensors.
        """
        if hx is not None and (not isinstance(hx, (tuple, list)) or len(hx) != 2):
            raise ArgumentError(
                "the start states of LSTM must be a pair (h, c)",
                got=f"{type(hx).__name__} of length {len(hx)}" if isinstance(hx, Sized) else type(hx).__name__,
                fix="Pass a tuple of two tensors, or None for zeros.",
            )
        y, (h, c) = self._run(input, None if hx is None else tuple(hx))
        return y, (h, c)
