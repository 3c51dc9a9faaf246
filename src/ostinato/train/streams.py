"""Long sequences side by side: each row of a batch is a stream, of which every step sees the next window."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ostinato.errors import ArgumentError, DataError
from ostinato.train.batches import Batch
from ostinato.train.feeds import Feed, Piece

Ints = NDArray[np.int64]
_STILL = 1024


class Layout(NamedTuple):
    """An epoch: for each row and window its first step in the data, its length (0 behind the end of a row), and the
    number of its sequence; each `[rows, windows]`. `fresh` is True where a window begins a sequence."""

    begin: Ints
    length: Ints
    sequence: Ints
    fresh: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Streams(Feed):
    """Sequences with a target per step, laid out as `batch_size` rows that are cut into windows.

    States go on from window to window along a row, and start anew where a row begins a sequence. No window spans two
    sequences: the last one of a sequence is shorter, and masked on the right if others in the batch are longer. A
    single sequence becomes `batch_size` contiguous parts of (almost) equal length. Several are dealt out to the rows:
    each row gets the next one when it is done with the one before.

    Args:
        inputs: Sequences `[time, …]` of one type, each of at least one step.
        targets: As many, each of the length of its input.
        batch_size: Rows.
        bptt: Steps of a window; None for whole sequences.
        seed: Together with the epoch it decides the order.
        shuffle: Several sequences: a new order in each epoch. A single one: each epoch begins at another of its first
            `bptt` steps, so that windows and parts have other borders. False for neither.

    Example:
        >>> text = torch.arange(12)
        >>> streams = Streams([text[:-1]], [text[1:]], batch_size=2, bptt=3, shuffle=False)
        >>> [piece.batch.x.tolist() for piece in streams.pieces(0)]
        [[[0, 1, 2], [5, 6, 7]], [[3, 4, 0], [8, 9, 10]]]
    """

    inputs: Sequence[Tensor]
    targets: Sequence[Tensor]
    batch_size: int
    bptt: int | None = None
    seed: int = 0
    shuffle: bool = True

    carries = True

    def __post_init__(self) -> None:
        for name in ("batch_size", "bptt"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ArgumentError(
                    f"{name} must be a whole number of at least 1", got=repr(value), fix="Pass, say, 64."
                )
        if len(self.inputs) == 0:
            raise DataError("there must be at least one sequence", got="none", fix="Pass more data.", code="empty")
        if len(self.inputs) != len(self.targets):
            raise DataError(
                "there must be as many targets as inputs",
                got=f"{len(self.targets)} and {len(self.inputs)}",
                fix="Pass one target sequence for each input sequence.",
                code="length",
            )
        for i, (x, y) in enumerate(zip(self.inputs, self.targets, strict=True)):
            if len(x) != len(y) or len(x) == 0:
                raise DataError(
                    "a sequence must have at least one step, and a target for each",
                    got=f"{len(x)} steps and {len(y)} targets",
                    where=f"sequence {i}",
                    fix="Remove or correct it.",
                    code="length",
                )
        if len(self.inputs) == 1 and len(self.inputs[0]) < self.batch_size:
            raise DataError(
                f"a sequence that is cut into {self.batch_size} rows must have at least as many steps",
                got=str(len(self.inputs[0])),
                fix="Pass a longer sequence or a smaller batch_size.",
                code="short",
            )

    @cached_property
    def _x(self) -> Tensor:
        return self.inputs[0] if len(self.inputs) == 1 else torch.cat(list(self.inputs))

    @cached_property
    def _target(self) -> Tensor:
        return self.targets[0] if len(self.targets) == 1 else torch.cat(list(self.targets))

    @cached_property
    def _lengths(self) -> Ints:
        return np.array([len(x) for x in self.inputs], np.int64)

    def most(self) -> int:
        if len(self.inputs) == 1:
            return 1 if self.bptt is None else -(-self._longest_part() // self.bptt)
        windows = _windows(self._lengths, self.bptt)
        most = int(windows.max())
        return (int(windows.sum()) - most) // self.batch_size + most  # Graham 1966: a bound for any order

    def _longest_part(self) -> int:
        return -(-len(self.inputs[0]) // self.batch_size)

    def steps(self, epoch: int) -> int:
        return int(self.layout(epoch).length.shape[1])

    def still(self) -> Streams:
        return replace(self, shuffle=False, bptt=self.bptt or _STILL)

    def cut(self, bptt: int | None) -> Streams:
        """The same sequences in windows of another length."""
        return self if bptt == self.bptt else replace(self, bptt=bptt)

    def layout(self, epoch: int) -> Layout:
        """Where the windows of `epoch` lie: a function of the epoch and of what the constructor got."""
        segments = self._parts(epoch) if len(self.inputs) == 1 else self._dealt(epoch)
        rows = [_row(segment, self.bptt) for segment in segments]
        width = max(len(row[0]) for row in rows)
        columns = [np.stack([np.pad(row[i], (0, width - len(row[i]))) for row in rows]) for i in range(4)]
        return Layout(columns[0], columns[1], columns[2], columns[3].astype(np.bool_))

    def _parts(self, epoch: int) -> list[Ints]:
        total = int(self._lengths[0])
        offset = 0
        if self.shuffle and self.bptt is not None and self.bptt < self._longest_part():
            offset = int(np.random.default_rng([self.seed, epoch]).integers(self.bptt))
        border = offset + np.arange(self.batch_size + 1) * (total - offset) // self.batch_size
        return [np.array([[0, a, b]], np.int64) for a, b in pairwise(border)]

    def _dealt(self, epoch: int) -> list[Ints]:
        n = len(self.inputs)
        order = np.random.default_rng([self.seed, epoch]).permutation(n) if self.shuffle else np.arange(n)
        end = np.cumsum(self._lengths)
        windows = _windows(self._lengths, self.bptt)
        rows: list[list[int]] = [[] for _ in range(min(self.batch_size, n))]
        free = [(0, row) for row in range(len(rows))]
        for i in order.tolist():  # to the row that is done first
            busy, row = heapq.heappop(free)
            rows[row].append(i)
            heapq.heappush(free, (busy + int(windows[i]), row))
        return [np.stack([row, end[row] - self._lengths[row], end[row]], axis=1) for row in map(np.array, rows)]

    def pieces(self, epoch: int, first: int = 0) -> Iterator[Piece]:
        layout = self.layout(epoch)
        before: Ints | None = None if first == 0 else _active(layout, first - 1)
        for k in range(first, layout.length.shape[1]):
            rows = _active(layout, k)
            yield self._piece(layout, k, rows, before)
            before = rows

    def _piece(self, layout: Layout, k: int, rows: Ints, before: Ints | None) -> Piece:
        begin, length = layout.begin[rows, k], layout.length[rows, k]
        steps = np.arange(length.max())
        real = None if (length == len(steps)).all() else steps < length[:, None]
        place = begin[:, None] + steps
        at = torch.from_numpy((place if real is None else np.where(real, place, 0)).reshape(-1))
        shape = (len(rows), len(steps))
        x, target = (t.index_select(0, at).reshape(*shape, *t.shape[1:]) for t in (self._x, self._target))
        mask = None if real is None else torch.from_numpy(real)
        fresh = layout.fresh[rows, k]
        return Piece(
            Batch(x, target, None, mask),
            torch.from_numpy(layout.sequence[rows, k]),
            None if fresh.all() else torch.from_numpy(fresh),
            None if before is None or len(before) == len(rows) else torch.from_numpy(np.searchsorted(before, rows)),
            torch.from_numpy(rows),
        )


def _active(layout: Layout, k: int) -> Ints:
    return np.flatnonzero(layout.length[:, k])


def _windows(lengths: Ints, bptt: int | None) -> Ints:
    return np.ones_like(lengths) if bptt is None else -(-lengths // bptt)


def _row(segments: Ints, bptt: int | None) -> tuple[Ints, Ints, Ints, Ints]:
    """The windows of one row: first steps, lengths, numbers of sequences, and whether they begin one."""
    number, begin, end = segments.T
    count = _windows(end - begin, bptt)
    nth = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    first = np.repeat(begin, count) + nth * (bptt or 0)
    last = np.repeat(end, count)
    if bptt is not None:
        last = np.minimum(last, first + bptt)
    return first, last - first, np.repeat(number, count), (nth == 0).astype(np.int64)
