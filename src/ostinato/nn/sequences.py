"""From torch's forms of sequences (padded, unbatched, packed) to `[batch, time, feature]` with a mask, and back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ostinato.errors import ArgumentError, ShapeError


class Batch(NamedTuple):
    """Sequences as the kernels take them.

    Args:
        x: `[batch, time, feature]`; of a packed sequence the longest row first.
        mask: `[batch, time]`, True for real steps, or None if all are.
        lengths: Of a packed sequence, the real steps of each row, on the CPU.
        packed: The packed sequence that was given, or None.
        single: Whether one sequence without a batch axis was given.
    """

    x: Tensor
    mask: Tensor | None = None
    lengths: Tensor | None = None
    packed: PackedSequence | None = None
    single: bool = False

    def drop(self, x: Tensor, rate: float) -> Tensor:
        """Dropout on `[batch, time, feature]`, with the noise that torch's own modules draw from the same generator."""
        if self.lengths is None:
            return dropout(x.transpose(0, 1).contiguous(), rate).transpose(0, 1)
        packed = pack_padded_sequence(x, self.lengths, batch_first=True)
        return pad_packed_sequence(packed._replace(data=dropout(packed.data, rate)), batch_first=True)[0]


def arrange(given: Tensor | PackedSequence, features: int, *, batch_first: bool, dtype: torch.dtype) -> Batch:
    """Bring what a drop-in was called with into the form of the kernels.

    Args:
        given: The input.
        features: Size that its last axis must have.
        batch_first: Order of the first two axes of a padded input.
        dtype: Type that it must have.

    Raises:
        ShapeError: It has the wrong axes.
        ArgumentError: It is neither a tensor nor packed, or has another type than the weights.
    """
    if not isinstance(given, (Tensor, PackedSequence)):
        raise ArgumentError(
            "the input must be a tensor or a PackedSequence",
            got=type(given).__name__,
            fix="Convert it with torch.as_tensor.",
        )
    data = given.data if isinstance(given, PackedSequence) else given
    if data.dtype != dtype:
        raise ArgumentError(
            f"the input must have the dtype of the weights, {dtype}",
            got=str(data.dtype),
            fix=f"Convert the input with .to({dtype}), or the module.",
        )
    axes = "data (steps, {})" if isinstance(given, PackedSequence) else _axes(batch_first)
    fits = data.ndim == 2 if isinstance(given, PackedSequence) else data.ndim in (2, 3)
    if not fits or data.shape[-1] != features:
        raise ShapeError(
            f"the input must be {axes.format(features)}",
            got=str(tuple(data.shape)),
            fix="Reshape it, or change input_size.",
        )
    if isinstance(given, PackedSequence):
        x, lengths = pad_packed_sequence(PackedSequence(given.data, given.batch_sizes), batch_first=True)
        mask = torch.arange(x.shape[1])[None] < lengths[:, None]
        return Batch(x, None if bool(mask.all()) else mask.to(x.device), lengths, given)
    if given.ndim == 2:
        return Batch(given[None], single=True)
    return Batch(given if batch_first else given.transpose(0, 1))


def _axes(batch_first: bool) -> str:
    return "(batch, time, {0}) or (time, {0})" if batch_first else "(time, batch, {0}) or (time, {0})"


def arrange_states(
    states: tuple[Tensor, ...] | None, batch: Batch, *, names: tuple[str, ...], shape: tuple[int, int, int]
) -> tuple[Tensor, ...]:
    """Start states `[layers · directions, batch, hidden_size]` in the order of `batch`; zeros if none are given.

    Raises:
        ShapeError: A state does not have the shape `shape` (without its batch axis for a single sequence).
        ArgumentError: A state is no tensor, or has another type than the input.
    """
    if states is None:
        return (batch.x.new_zeros(shape),) * len(names)
    expected = (shape[0], shape[2]) if batch.single else shape
    for name, state in zip(names, states, strict=True):
        if not isinstance(state, Tensor) or state.dtype != batch.x.dtype:
            raise ArgumentError(
                f"the start state {name} must be a tensor of {batch.x.dtype}",
                got=str(state.dtype) if isinstance(state, Tensor) else type(state).__name__,
                fix="Convert it.",
            )
        if tuple(state.shape) != expected:
            raise ShapeError(
                f"the start state {name} must be {expected}: (layers · directions, "
                f"{'' if batch.single else 'batch, '}hidden_size)",
                got=str(tuple(state.shape)),
                fix="Reshape it, or leave it out for zeros.",
            )
    if batch.single:
        return tuple(s[:, None] for s in states)
    return _reorder(states, None if batch.packed is None else batch.packed.sorted_indices)


def restore(y: Tensor, batch: Batch, *, batch_first: bool) -> Tensor | PackedSequence:
    """The output in the form of the input."""
    if batch.packed is not None:
        assert batch.lengths is not None
        data = pack_padded_sequence(y, batch.lengths, batch_first=True).data
        return batch.packed._replace(data=data)
    if batch.single:
        return y[0]
    return y if batch_first else y.transpose(0, 1)


def restore_states(states: tuple[Tensor, ...], batch: Batch) -> tuple[Tensor, ...]:
    """Final states in the order of the input's rows."""
    if batch.single:
        return tuple(s[:, 0] for s in states)
    return _reorder(states, None if batch.packed is None else batch.packed.unsorted_indices)


def _reorder(states: tuple[Tensor, ...], index: Tensor | None) -> tuple[Tensor, ...]:
    return states if index is None else tuple(s.index_select(1, index) for s in states)
