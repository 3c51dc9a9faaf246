"""Windows of series as training samples, cut out when they are needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ostinato.data.framing import Floats, Framing
from ostinato.train.batches import Batch


class WindowSamples:
    """All windows of some series whose forecasts begin in given spans of time.

    A window whose future reaches beyond its series, or where values were missing, counts only what is known: the
    batch's weight is `[batch, horizon]`, 1 for known values.

    Args:
        framing: How windows are seen.
        values: Each series `[time]`, after `framing.into`.
        observed: Likewise, False for values that were filled.
        spreads: `[series]`, the unit of each.
        spans: Per series the steps at which forecasts begin.
        stride: Take every so many of the windows.
    """

    def __init__(
        self,
        framing: Framing,
        values: Sequence[Floats],
        observed: Sequence[NDArray[np.bool_]],
        spreads: Floats,
        *,
        spans: Sequence[Sequence[int]],
        stride: int = 1,
    ) -> None:
        self.framing = framing
        horizon = framing.horizon
        self._values = np.concatenate([part for v in values for part in (v, np.zeros(horizon))])
        self._known = np.concatenate([part for o in observed for part in (o, np.zeros(horizon, bool))])
        first = np.cumsum([0, *(len(v) + horizon for v in values)])
        self._origins = np.concatenate([first[i] + np.asarray(span, np.int64) for i, span in enumerate(spans)])[
            ::stride
        ]
        self._spreads = np.repeat(spreads, [len(span) for span in spans])[::stride]
        self._past, self._future = np.arange(-framing.reach, 0), np.arange(horizon)

    def __len__(self) -> int:
        return len(self._origins)

    def batch(self, index: Tensor) -> Batch:
        """The windows with these numbers."""
        chosen = index.numpy()
        origin = self._origins[chosen][:, None]
        frame = self.framing.frame(self._values[origin + self._past], self._spreads[chosen])
        at = origin + self._future
        known = self._known[at]
        target = self.framing.target(frame, np.where(known, self._values[at], frame.base))
        return Batch(torch.from_numpy(frame.x), torch.from_numpy(target), torch.from_numpy(known.astype(np.float32)))
