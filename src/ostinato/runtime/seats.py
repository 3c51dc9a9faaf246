"""Room for any number of streams of one network: each takes the memory of its states, and many move on in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.runtime.stepping import Stepping, Steps
from ostinato.runtime.turns import Turns

_FEW, _MANY = 16, 2048
"""Seats of the first room, if nothing else is said, and of the largest one."""


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
        few: Seats of the first room.
    """

    def __init__(self, stepping: Stepping, nonfinite: str, *, few: int = _FEW) -> None:
        self._stepping, self._nonfinite, self._few = stepping, nonfinite, few
        self.turns = Turns()
        """Whose all streams are: one thread's at a time."""
        self._free: list[Seat] = []
        self._n = 0
        self._begun: tuple[int, NDArray[np.float32], tuple[int, list[NDArray[np.float32]]]] | None = None

    def open(self, blob: bytes | None = None) -> Seat:
        """A stream that starts, or goes on from a snapshot.

        Raises:
            SnapshotError: `blob` is no snapshot of this network.
        """
        found = None if blob is None else self._stepping.network.unpacked(blob)
        seat = self._taken()
        if found is None:
            seat.room.reset(seat.row)
        else:
            seat.room.write(seat.row, *found)
        return seat

    def _taken(self) -> Seat:
        """A place that is free."""
        if not self._free:
            n = min(max(self._n, self._few), _MANY)
            room = self._stepping.steps(n, self._nonfinite)
            self._free = [Seat(room, row) for row in range(n - 1, -1, -1)]
            self._n += n
        return self._free.pop()

    def close(self, seat: Seat) -> None:
        """The stream ends; another one may have its place."""
        self._free.append(seat)

    def snapshot(self, seat: Seat) -> bytes:
        """As `Stream.snapshot`."""
        return self._stepping.network.packed(*seat.room.read(seat.row))

    def begin(self, seat: Seat, x: int) -> NDArray[np.float32]:
        """Start anew with the step `x`; its output `[*out]`, read-only, which is computed once for all streams."""
        seat.room.reset(seat.row)
        if self._begun is None or self._begun[0] != x:
            y = self.step_one(seat, x)
            y.flags.writeable = False
            self._begun = x, y, seat.room.read(seat.row)
        else:
            seat.room.write(seat.row, *self._begun[2])
        return self._begun[1]

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
        return self.together(seats).step(given)

    def together(self, seats: Sequence[Seat]) -> Together:
        """Different streams, to make several steps in common."""
        return Together(seats, self._stepping.network.out_shape)


class Together:
    """Different streams that make several steps in common, of which the last ones may stop before the others.

    Args:
        seats: The streams.
        out_shape: Of a step's output.
    """

    def __init__(self, seats: Sequence[Seat], out_shape: tuple[int, ...]) -> None:
        self._out_shape = out_shape
        rooms: dict[int, list[int]] = {}
        for i, seat in enumerate(seats):
            rooms.setdefault(id(seat.room), []).append(i)
        self._rooms = [
            (seats[at[0]].room, np.array(at), np.array([seats[i].row for i in at], np.int64)) for at in rooms.values()
        ]

    def kept(self) -> Callable[[], None]:
        """Keeps where the streams are; what it gives puts them back."""
        rooms = [room.kept(rows) for room, _, rows in self._rooms]

        def put_back() -> None:
            for room in rooms:
                room()

        return put_back

    def step(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """The outputs `[n, *out]` for one step `x [n, *features]` of the first `n` streams."""
        out = np.empty((len(x), *self._out_shape), np.float32)
        for room, at, rows in self._rooms:
            n = int(np.searchsorted(at, len(x)))
            if n:
                part, given = np.empty((n, *self._out_shape), np.float32), x[at[:n]]
                if room.quick_rows(rows[:n], given, part) is None:
                    room.step(rows[:n], given, out=part)
                out[at[:n]] = part
        return out
