"""What the steps of an epoch see, one piece after the other, and which rows of a piece go on from the piece before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from ostinato.errors import ArgumentError, ShapeError
from ostinato.train.batches import Batch, Order, Samples


class Piece(NamedTuple):
    """What one step sees.

    Args:
        batch: The numbers.
        numbers: Numbers of the samples or sequences, for messages.
        fresh: `[batch]`, True for rows that begin a sequence here; None if all do.
        keep: Which rows of the piece before this one's rows are, in order; None if they are all.
        lanes: `[batch]`, a number of each row that it keeps as long as its state is carried; None for its position.
        among: If these rows are a part of a larger piece: their positions there, and how many rows it has.
    """

    batch: Batch
    numbers: Tensor
    fresh: Tensor | None = None
    keep: Tensor | None = None
    lanes: Tensor | None = None
    among: tuple[Tensor, int] | None = None


class Feed(ABC):
    """A source of pieces. What an epoch holds follows from its number alone, so that nothing is replayed on a resume.

    `carries` says whether rows go on from piece to piece, so that their states have to be kept.
    """

    carries = False

    @abstractmethod
    def steps(self, epoch: int) -> int:
        """Number of pieces of `epoch`."""

    @abstractmethod
    def most(self) -> int:
        """No epoch has more pieces than this; the number is the same in every epoch."""

    @abstractmethod
    def pieces(self, epoch: int, first: int = 0) -> Iterator[Piece]:
        """The pieces of `epoch` from number `first` on."""

    @abstractmethod
    def still(self) -> Feed:
        """The same data in its own order, for measuring."""


@dataclass(frozen=True)
class Batches(Feed):
    """Whole samples, batch by batch.

    Args:
        samples: The data.
        order: Which samples form a batch.
    """

    samples: Samples
    order: Order

    def steps(self, epoch: int) -> int:
        return self.most()

    def most(self) -> int:
        return self.order.steps(len(self.samples))

    def pieces(self, epoch: int, first: int = 0) -> Iterator[Piece]:
        for index in islice(self.order.epoch(len(self.samples), epoch), first, None):
            yield Piece(self.samples.batch(index), index)

    def still(self) -> Feed:
        return Batches(self.samples, Order(0, self.order.batch_size, shuffle=False))


@dataclass(frozen=True)
class Cut(Feed):
    """Batches of sequences of one length whose targets have a time axis, cut into windows: one step a window.

    Args:
        samples: The data; `batch` gives all sequences with one length (padded and masked if need be).
        order: Which sequences form a batch.
        bptt: Steps of a window; the last one of a sequence may be shorter.
    """

    samples: Samples
    order: Order
    bptt: int

    carries = True

    def steps(self, epoch: int) -> int:
        return self.most()

    def most(self) -> int:
        return self.order.steps(len(self.samples)) * self._windows()

    def _windows(self) -> int:
        return -(-self.samples.batch(torch.zeros(1, dtype=torch.int64)).x.shape[1] // self.bptt)

    def pieces(self, epoch: int, first: int = 0) -> Iterator[Piece]:
        skipped, window = divmod(first, self._windows())
        for index in islice(self.order.epoch(len(self.samples), epoch), skipped, None):
            batch = self.samples.batch(index)
            for begin in range(window * self.bptt, batch.x.shape[1], self.bptt):
                part = between(batch, begin, begin + self.bptt)
                yield Piece(part, index, None if begin == 0 else _none_fresh(len(index)))
            window = 0

    def still(self) -> Feed:
        return Batches(self.samples, Order(0, self.order.batch_size, shuffle=False))


def _none_fresh(rows: int) -> Tensor:
    return torch.zeros(rows, dtype=torch.bool)


def between(batch: Batch, begin: int, end: int, *, per_step: bool = True) -> Batch:
    """The steps from `begin` up to `end` of a batch; targets and weights are cut too if they are `per_step`.

    Raises:
        ShapeError: Targets that are said to be per step have no time axis.
    """
    x, target, weight, mask = batch
    if per_step and target.shape[1:2] != x.shape[1:2]:
        raise ShapeError(
            f"targets must have one value per step, shape ({x.shape[0]}, {x.shape[1]}, …)",
            got=str(tuple(target.shape)),
            fix="Pass one target per step, or let the last recurrent layer return its last output only.",
        )
    return Batch(
        x[:, begin:end],
        target[:, begin:end] if per_step else target,
        weight[:, begin:end] if per_step and weight is not None and weight.ndim > 1 else weight,
        None if mask is None else mask[:, begin:end],
    )


def as_feed(samples: Samples | Feed, order: Order | None) -> Feed:
    """A feed as it is, or samples in an order.

    Raises:
        ArgumentError: Samples without an order, or a feed, which has one, with another.
    """
    if isinstance(samples, Feed) == (order is not None):
        raise ArgumentError(
            "order must be given for samples, and not for a feed, which has its own",
            got="both" if order is not None else "neither",
            fix="Pass order=Order(…)." if order is None else "Leave it out.",
        )
    return samples if isinstance(samples, Feed) else Batches(samples, order)  # type: ignore[arg-type]
