"""The drop-in for `torch.nn.GRU`."""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.maps._check import check_count
from ostinato.nn.base import Recurrent, refuse_projection


class GRU(Recurrent):
    """The gated recurrent unit that resets after the product (`ostinato.cells.gru_reset_after`), as `torch.nn.GRU`.

    Unlike torch's module it takes sequences of length 0: the output is empty and the state unchanged.

    Args:
        input_size: Number of features of a step.
        hidden_size: Size of h.
        num_layers: Layers one above the other.
        bias: Whether b_ih and b_hh exist.
        batch_first: Whether inputs and outputs are `[batch, time, feature]` instead of `[time, batch, feature]`.
        dropout: Rate on the output of every layer but the last, in training only.
        bidirectional: Whether each layer runs in both directions; doubles the output's features.
        proj_size: Must be 0; torch has projections for LSTM only.
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
        refuse_projection("GRU", proj_size)
        super().__init__(
            GRUResetAfter(hidden_size),
            input_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
        )
        self.mode = "GRU"

    def _biases(self, b_ih: Tensor, b_hh: Tensor) -> dict[str, Tensor]:
        return {"b": b_ih, "b_rec": b_hh}

    @overload
    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

    @overload
    def forward(self, input: PackedSequence, hx: Tensor | None = None) -> tuple[PackedSequence, Tensor]: ...

    def forward(
        self, input: Tensor | PackedSequence, hx: Tensor | None = None
    ) -> tuple[Tensor | PackedSequence, Tensor]:
        """The outputs of the last layer, and the final states of all layers.

        Args:
            input: `[time, batch, feature]` (see `batch_first`), `[time, feature]`, or packed.
            hx: Start states `[num_layers · directions, batch, hidden_size]`, zeros if None.

        Raises:
            ShapeError: An array has the wrong shape.
        """
        y, (h,) = self._run(input, None if hx is None else (hx,))
        return y, h
