"""Randomness in training, keyed by (seed, step, layer, draw): nothing to replay, so a resumed run draws the same.

A step that computes a sequence in windows has a further key, the window: noise with a time axis differs from window to
window, noise that is shared by all steps of a sequence does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93)
_64 = (1 << 64) - 1
_APART = 0x2545F4914F6CDD1D


class Noise:
    """The source of a model's dropout noise.

    Args:
        seed: The model's seed.

    Attributes:
        among: If the rows of a batch are a part of a larger one: their positions there, and how many rows it has. They
            then draw what they would draw in it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.among: tuple[Tensor, int] | None = None
        self.step = 0
        self.window = 0
        self._layer = 0
        self._draws = 0
        self.calls = 0
        self._generators: dict[torch.device, torch.Generator] = {}

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Within the block, noise of its own that differs from call to call and leaves that of training as it is."""
        seed, step = self.seed, self.step
        self.calls += 1
        self.seed, self.step = seed ^ _APART, self.calls
        try:
            yield
        finally:
            self.seed, self.step = seed, step

    def enter(self, layer: int) -> Noise:
        """Say that the layer with this index draws next."""
        self._layer, self._draws = layer, 0
        return self

    def drop(self, x: Tensor, rate: float, axes: tuple[int, ...]) -> Tensor:
        """Zero entries of `x` with probability `rate`, divide the others by 1 - rate; noise is shared along `axes`."""
        shape = [1 if axis in axes else n for axis, n in enumerate(x.shape)]
        rows = None if 0 in axes or isinstance(x, nn.Parameter) else self.among
        if rows is not None:
            shape[0] = rows[1]
        keep = torch.empty(shape, dtype=x.dtype, device=x.device)
        window = self.window if len(shape) > 2 and 1 not in axes else 0
        keep.bernoulli_(1.0 - rate, generator=self._generator(x.device, window))
        if rows is not None:
            keep = keep.index_select(0, rows[0].to(x.device))
        return x * keep.mul_(1.0 / (1.0 - rate))

    def _generator(self, device: torch.device, window: int) -> torch.Generator:
        if device not in self._generators:
            self._generators[device] = torch.Generator(device)
        key = 0
        for odd, part in zip(_ODD, (self.seed, self.step, self._layer, self._draws + (window << 32)), strict=True):
            key = ((key ^ part) * odd) & _64
            key ^= key >> 31
        self._draws += 1
        return self._generators[device].manual_seed(key >> 1)
