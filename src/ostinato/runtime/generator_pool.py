"""Many texts or tunes that go on, which are read together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.errors import ArgumentError
from ostinato.runtime.generator_stream import GeneratorStream, feed_together
from ostinato.runtime.ids import Id
from ostinato.runtime.named_streams import NamedStreams
from ostinato.runtime.writing import Prime


class GeneratorPool(NamedStreams[GeneratorStream]):
    """Up to `capacity` texts under ids, of which any are read on in one call; see `NamedStreams`.

    For what could follow one of them, go on from its snapshot: `model.stream(pool.snapshot(id)).next()`. Made by
    `Generator.pool`.

    Args:
        make: A stream of the model that goes on from a snapshot, or begins; all of them in the same seats.
        capacity: The largest number of open texts.

    Raises:
        ArgumentError: `capacity` is no whole number of at least 1.
    """

    def __init__(self, make: Callable[[bytes | None], GeneratorStream], capacity: int) -> None:
        super().__init__(capacity)
        self._make = make

    def open(self, id: Id | None = None, blob: bytes | None = None) -> Id:
        """Open a stream; returns its id.

        Args:
            id: Its name, a word or a whole number; by default the next whole number that is free.
            blob: A snapshot to go on from, of this pool or of a stream of the model; by default a text begins.

        Raises:
            ArgumentError: `full`, `taken` (there is an open stream of that name), or the id is of another type.
            SnapshotError: `blob` is no snapshot of this model.
            StreamBusy: Another thread uses the pool.
        """
        return self._opened(id, blob)

    def _made(self, blob: bytes | None) -> GeneratorStream:
        return self._make(blob)

    def step(
        self, ids: Iterable[Id], pieces: Sequence[Prime | ArrayLike], *, ends: bool = False
    ) -> list[NDArray[np.float64]]:
        """Read a piece of each of the texts `ids [n]`; the surprise in nats of each symbol that is settled.

        Args:
            ids: Names of open streams.
            pieces: A piece for each, as for `GeneratorStream.feed`.
            ends: With each piece its text or item ends, as if by `GeneratorStream.finish`.

        Raises:
            StreamClosed: No open stream has such an id.
            ArgumentError: `duplicate`, an id occurs twice; `ids` is no list of ids, or `pieces` no list of pieces.
            ShapeError: There is another number of pieces.
            DataError: As for `GeneratorStream.feed` and `finish`, of any of them.
            StreamBusy: Another thread uses the pool.
        """
        if isinstance(pieces, (str, bytes)):
            raise ArgumentError("pieces must be a list", got=f"{pieces!r:.80}", fix="Pass [piece] for one stream.")
        with self._turns:
            streams = self._streams(ids, "pieces", pieces)
            return feed_together(streams, pieces, ends=ends) if streams else []
