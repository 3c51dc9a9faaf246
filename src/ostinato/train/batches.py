"""Which samples a step sees: computed from (seed, epoch), so there is nothing to replay when a run is resumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from ostinato.errors import DataError


class Batch(NamedTuple):
    """What one step sees.

    Args:
        x: `[batch, *input_shape]`.
        target: `[batch, …]`.
        weight: `[batch]` or `[batch, time]`, or None for equal weights.
        mask: `[batch, time]`, True for real steps of x, or None.
    """

    x: Tensor
    target: Tensor
    weight: Tensor | None = None
    mask: Tensor | None = None


class Samples(Protocol):
    """A source of samples that can be picked by number."""

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> Batch: ...


@dataclass(frozen=True)
class Arrays:
    """Samples that lie in memory; the fields are those of `Batch`, with all samples along the first axis."""

    x: Tensor
    target: Tensor
    weight: Tensor | None = None
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, index: Tensor) -> Batch:
        return Batch(
            self.x.index_select(0, index),
            self.target.index_select(0, index),
            None if self.weight is None else self.weight.index_select(0, index),
            None if self.mask is None else self.mask.index_select(0, index),
        )


@dataclass(frozen=True)
class Order:
    """The order of samples.

    Args:
        seed: Together with the epoch it decides the order.
        batch_size: Samples a step; the last step of an epoch may have fewer.
        shuffle: False keeps the order of the data.
        limit: At most so many steps an epoch; with shuffling, each epoch then sees another part of the data.
    """

    seed: int
    batch_size: int
    shuffle: bool = True
    limit: int | None = None

    def steps(self, n: int) -> int:
        """Steps of an epoch over `n` samples."""
        steps = -(-n // self.batch_size)
        return steps if self.limit is None else min(steps, self.limit)

    def epoch(self, n: int, epoch: int) -> Iterator[Tensor]:
        """The numbers of the samples of each step of `epoch`."""
        if n == 0:
            raise DataError("there must be at least one sample", got="none", fix="Pass more data.", code="empty")
        if self.shuffle:
            order = torch.from_numpy(np.random.default_rng([self.seed, epoch]).permutation(n))
        else:
            order = torch.arange(n)
        return iter(torch.split(order, self.batch_size)[: self.limit])
