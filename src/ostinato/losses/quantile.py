"""The quantile loss, also called pinball loss (Koenker & Bassett 1978)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ostinato.errors import ArgumentError, ShapeError


class Quantile:
    """max(q (t - y), (q - 1) (t - y)), averaged over quantiles and horizon.

    Args:
        quantiles: Shares in (0, 1); the output holds them side by side for every step, `[batch, horizon · quantiles]`.
    """

    def __init__(self, quantiles: Sequence[float]) -> None:
        if not isinstance(quantiles, Sequence) or not quantiles or not all(map(_fits, quantiles)):
            raise ArgumentError(
                "quantiles must be numbers between 0 and 1", got=repr(quantiles), fix="Pass [0.1, 0.5, 0.9]."
            )
        self.quantiles = torch.tensor(list(quantiles))

    def __call__(self, y: Tensor, target: Tensor, observed: Tensor | None = None) -> Tensor:
        """One value per sample.

        Args:
            y: `[batch, horizon · quantiles]`.
            target: `[batch, horizon]`.
            observed: `[batch, horizon]`, 0 where the target is unknown and does not count.
        """
        q = self.quantiles.to(y)
        if y.shape[1] != target.shape[1] * len(q):
            raise ShapeError(
                f"the output must have {target.shape[1]} steps of {len(q)} quantiles",
                got=str(tuple(y.shape)),
                fix="Give the last layer horizon · quantiles units.",
            )
        d = target[:, :, None] - y.view(len(y), -1, len(q))
        loss = torch.maximum(q * d, (q - 1.0) * d).mean(-1)
        if observed is None:
            return loss.mean(-1)
        return (loss * observed).sum(-1) / observed.sum(-1).clamp(min=1.0)


def _fits(share: object) -> bool:
    return isinstance(share, (int, float)) and 0.0 < share < 1.0
