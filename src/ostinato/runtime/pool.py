"""Many streams of one network, which move on together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.errors import ArgumentError, ShapeError
from ostinato.maps._check import check_count
from ostinato.runtime import native
from ostinato.runtime.ids import Id, Ids, check_different, listed, unknown
from ostinato.runtime.reading import check_policy, new_or
from ostinato.runtime.stepping import Stepping
from ostinato.runtime.turns import Turns, busy

_MOST = 1 << 40
"""Streams beyond which bytes are not even counted."""


class Pool:
    """Up to `capacity` streams, each under an id; a call moves any of them on by one step.

    Each has the same bits as alone, whichever others move with it. Memory for all of them is taken at once. A call that
    raises has changed nothing. A pool is used by one thread at a time: a second one gets `StreamBusy`. Made by
    `Network.pool`.

    Args:
        stepping: Of the network.
        capacity: The largest number of open streams.
        nonfinite: As for `ostinato.runtime.stream.Stream`, for those that `open` gives no other policy.
        threads: The most that a step may use, if it is large enough; OSTINATO_THREADS or 1 by default.

    Raises:
        ArgumentError: `capacity` is no whole number of at least 1, `memory` has no room for so many, or there is no
            such policy.
    """

    def __init__(
        self, stepping: Stepping, capacity: int, *, nonfinite: str = "raise", threads: int | None = None
    ) -> None:
        check_count("capacity", capacity)
        if threads is None:
            threads = native.threads(1)
        check_count("threads", threads)
        self._stepping, self._network = stepping, stepping.network
        self._nonfinite = check_policy(nonfinite)
        try:
            if capacity > _MOST:
                raise MemoryError
            self._steps = stepping.steps(capacity, nonfinite, threads=threads)
        except MemoryError:
            raise ArgumentError(
                "the states of all streams must fit into memory", got=f"capacity={capacity}",
                fix="Make a smaller pool.", code="memory",
            ) from None  # fmt: skip
        self.capacity = capacity
        self._rows: dict[Id, int] = {}
        self._free = list(range(capacity - 1, -1, -1))
        self._ids = Ids(capacity)
        self._last: tuple[list[Id], NDArray[np.int64]] = ([], np.zeros(0, np.int64))
        self._one = np.zeros(1, np.int64)
        self._quick = self._steps.quick_rows
        self._turns = Turns()
        self._lock = self._turns.lock

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, id: object) -> bool:
        return id in self._rows

    def __iter__(self) -> Iterator[Id]:
        return iter(tuple(self._rows))

    def open(self, id: Id | None = None, blob: bytes | None = None, *, nonfinite: str | None = None) -> Id:
        """Open a stream; returns its id.

        Args:
            id: Its name, a word or a whole number; by default the next whole number that is free.
            blob: A snapshot to go on from, of this pool or of any stream of the network.
            nonfinite: What this stream does about NaN and infinities; the pool's policy by default.

        Raises:
            ArgumentError: `full`, `taken` (there is an open stream of that name), the id is of another type, or there
                is no such policy.
            SnapshotError: `blob` is no snapshot of this network.
            StreamBusy: Another thread uses the pool.
        """
        with self._turns:
            return self._opened(id, blob, self._nonfinite if nonfinite is None else nonfinite)

    def _opened(self, id: Id | None, blob: bytes | None, nonfinite: str) -> Id:
        id, nonfinite = self._ids.free(id, self._rows), check_policy(nonfinite)
        found = None if blob is None else self._network.unpacked(blob)
        row = self._free[-1]
        if found is None:
            self._steps.reset(row)
        else:
            self._steps.write(row, *found)
        self._steps.set_policy(row, nonfinite)
        self._rows[id] = self._free.pop()
        return id

    def step(self, ids: Iterable[Id], x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """The outputs `[n, *out]` for one step `x [n, *features]` of the streams `ids [n]`, in this order.

        Contiguous float32 arrays (int64, if the network reads symbols) are taken as they are, others are converted.

        Args:
            ids: Names of open streams.
            x: A step for each.
            out: A contiguous float32 array `[n, *out]` to write to; by default the outputs are a new array.

        Raises:
            StreamClosed: No open stream has such an id.
            ArgumentError: `duplicate`, an id occurs twice; or `ids` is no list of ids.
            ShapeError: `x` or `out` has another shape.
            DataError: As for `Stream.step`.
            StreamBusy: Another thread uses the pool.
        """
        names = listed(ids)
        if not self._lock.acquire(blocking=False):  # as `with self._turns`, in a quarter of the time
            raise busy()
        try:
            rows = self._found(names)
            y = self._quick(rows, x, out)
            return self._slowly(names, rows, x, out) if y is None else y
        finally:
            self._lock.release()

    def _slowly(
        self, names: list[Id], rows: NDArray[np.int64], x: ArrayLike, out: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """A step with all conversions and errors."""
        given = self._network.reading.checked(x, (str(len(rows)),))
        if len(given) != len(rows):
            raise ShapeError(f"x must have one row an id ({len(rows)})", got=f"{len(given)} rows", fix="Pass as many.")
        shape = (len(rows), *self._network.out_shape)
        return self._steps.step(rows, given, out=new_or(out, shape), who=names)

    def reset(self, id: Id) -> None:
        """Start a stream anew.

        Raises:
            StreamClosed: No open stream has this id.
        """
        with self._turns:
            self._steps.reset(self._row(id))

    def close(self, id: Id) -> None:
        """End a stream; its place is free for another one.

        Raises:
            StreamClosed: No open stream has this id.
        """
        with self._turns:
            self._free.append(self._row(id))
            del self._rows[id]
            self._last = [], np.zeros(0, np.int64)

    def snapshot(self, id: Id) -> bytes:
        """As `Stream.snapshot`.

        Raises:
            StreamClosed: No open stream has this id.
        """
        with self._turns:
            found = self._steps.read(self._row(id))
        return self._network.packed(*found)

    def explain(self) -> str:
        """One sentence: how the steps are computed, and why."""
        return self._stepping.explain()

    def _row(self, id: Id) -> int:
        try:
            return self._rows[id]
        except (KeyError, TypeError):  # TypeError: no name at all, such as a list
            raise unknown(id) from None

    def _found(self, names: list[Id]) -> NDArray[np.int64]:
        """Where the streams are; the array is read before the next call of this."""
        if len(names) == 1:
            self._one[0] = self._row(names[0])
            return self._one
        if names == self._last[0]:  # as most callers do, the same ones again
            return self._last[1]
        try:
            rows = np.array([self._rows[name] for name in names], np.int64)
        except (KeyError, TypeError):
            raise unknown(next(n for n in names if not isinstance(n, (int, str)) or n not in self._rows)) from None
        check_different(names)
        self._last = names, rows
        return rows
