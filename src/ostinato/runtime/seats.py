"""Room for any number of streams of one network: each takes the memory of its states, and many move on in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.runtime.stepping import Stepping, Steps

_FEW, _MANY = 16, 1024
"""Seats of the smallest and of the largest room."""


class Seat(NamedTuple):
    """The place of one stream.

    Args:
        room: The states of several streams.
        row: Which of them.
    """

    room: Steps
    row: int


class Seats:
    """Streams of a network that share their memory, so that one takes no more than its states.

    Room is taken as streams are opened, at most twice as much as they need, and is used again for later ones. Each has
    the same bits as alone, whichever others move with it. All of them are used by one thread at a time.

    Args:
        stepping: Of the network.
        nonfinite: As for `ostinato.runtime.stream.Stream`, for all of them.
    """

    def __init__(self, stepping: Stepping, nonfinite: str) -> None:
        self._stepping, self._nonfinite = stepping, nonfinite
        self._free: list[Seat] = []
        self._n = 0

    def open(self, blob: bytes | None = None) -> Seat:
        """A stream that starts, or goes on from a snapshot.

        Raises:
            SnapshotError: `blob` is no snapshot of this network.
        """
        found = None if blob is None else self._stepping.network.unpacked(blob)
        if not self._free:
            n = min(max(self._n, _FEW), _MANY)
            room = self._stepping.steps(n, self._nonfinite)
            self._free = [Seat(room, row) for row in range(n - 1, -1, -1)]
            self._n += n
        seat = self._free.pop()
        if found is None:
            seat.room.reset(seat.row)
        else:
            seat.room.write(seat.row, *found)
        return seat

    def close(self, seat: Seat) -> None:
        """The stream ends; another one may have its place."""
        self._free.append(seat)

    def snapshot(self, seat: Seat) -> bytes:
        """As `Stream.snapshot`."""
        return self._stepping.network.packed(*seat.room.read(seat.row))

    def step_one(self, seat: Seat, x: ArrayLike) -> NDArray[np.float32]:
        """The output `[*out]` for one step `x [*features]` of one stream.

        Raises:
            ShapeError, DataError: As for `Stream.step`; it has not moved.
        """
        network = self._stepping.network
        given, out = network.reading.checked(x), np.empty(network.out_shape, np.float32)
        seat.room.step(np.array([seat.row]), given[None], out=out[None])
        return out

    def run(self, seat: Seat, x: ArrayLike) -> NDArray[np.float32]:
        """The outputs `[time, *out]` for several steps `x [time, *features]` of one stream.

        Raises:
            ShapeError, DataError: As for `Stream.run`; nothing has moved.
        """
        network = self._stepping.network
        given = network.reading.checked(x, ("time",))
        return seat.room.run(seat.row, given, out=np.empty((len(given), *network.out_shape), np.float32))

    def step(self, seats: Sequence[Seat], x: ArrayLike) -> NDArray[np.float32]:
        """The outputs `[n, *out]` for one step `x [n, *features]` of different streams.

        Raises:
            ShapeError, DataError: As for `Stream.step`; nothing has moved.
        """
        network = self._stepping.network
        given = network.reading.checked(x, (str(len(seats)),))
        if self._nonfinite == "raise" and not np.isfinite(given).all():  # before any room moves
            refused = network.reading.refusal(given, np.array([seat.room.read(seat.row)[0] for seat in seats]))
            raise refused or AssertionError
        out = np.empty((len(seats), *network.out_shape), np.float32)
        rooms: dict[int, list[int]] = {}
        for i, seat in enumerate(seats):
            rooms.setdefault(id(seat.room), []).append(i)
        for at in rooms.values():
            rows = np.array([seats[i].row for i in at], np.int64)
            part = np.empty((len(at), *network.out_shape), np.float32)
            out[at] = seats[at[0]].room.step(rows, given[at], out=part)
        return out
