"""Many series that go on, which take their values together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.runtime.ahead import Ahead, Forecasting
from ostinato.runtime.forecaster_stream import ForecasterStream, Values, step_together
from ostinato.runtime.ids import Id
from ostinato.runtime.named_streams import NamedStreams
from ostinato.runtime.reading import check_policy


class ForecasterPool(NamedStreams[ForecasterStream]):
    """Up to `capacity` series under ids, of which any take a value in one call; see `NamedStreams`.

    Made by `Forecaster.pool`.

    Args:
        model: The forecaster.
        capacity: The largest number of open series.
        nonfinite: As for `ForecasterStream`, for those that `open` gives no other policy.

    Raises:
        ArgumentError: `capacity` is no whole number of at least 1, or there is no such policy.
    """

    def __init__(self, model: Forecasting, capacity: int, *, nonfinite: str = "raise") -> None:
        super().__init__(capacity)
        self._model, self._nonfinite = model, check_policy(nonfinite)

    def open(
        self, id: Id | None = None, blob: bytes | None = None, *, series: str | None = None,
        nonfinite: str | None = None,
    ) -> Id:  # fmt: skip
        """Open a stream; returns its id.

        Args:
            id: Its name, a word or a whole number; by default the next whole number that is free.
            blob: A snapshot to go on from, of this pool or of a stream of the model; by default the series starts.
            series: Name of a series of training, which is gone on with; None for a new one.
            nonfinite: What this stream does about missing and infinite values; the pool's policy by default.

        Raises:
            ArgumentError: `full`, `taken` (there is an open stream of that name), the id is of another type,
                `series` is given beside a snapshot, or there is no such policy.
            DataError: `id`, no such series was in training.
            SnapshotError: `blob` is no snapshot of this model.
            StreamBusy: Another thread uses the pool.
        """
        return self._opened(id, blob, series, self._nonfinite if nonfinite is None else nonfinite)

    def _made(self, blob: bytes | None, series: str | None, nonfinite: str) -> ForecasterStream:
        return ForecasterStream(self._model, blob, series=series, nonfinite=nonfinite)

    def step(
        self, ids: Iterable[Id], values: Values, times: Sequence[Any] | NDArray[Any] | None = None
    ) -> list[Ahead | None]:
        """The forecasts of the series `ids [n]` after one more value each, in this order; see `ForecasterStream.step`.

        Args:
            ids: Names of open streams.
            values: `[n]`, a value for each; None and NaN are missing ones.
            times: `[n]`, when they were; None, for all or for one, for the step after the last one.

        Raises:
            StreamClosed: No open stream has such an id.
            ArgumentError: `duplicate`, an id occurs twice; or `ids` is no list of ids.
            ShapeError: There is another number of values or times.
            DataError: As for `ForecasterStream.step`, of any of them.
            StreamBusy: Another thread uses the pool.
        """
        given = values if isinstance(values, np.ndarray) else list(np.atleast_1d(np.asarray(values, object)))
        with self._turns:
            streams = self._streams(ids, "values", given)
            return step_together(streams, given, times) if streams else []
