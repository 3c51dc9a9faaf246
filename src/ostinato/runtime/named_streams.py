"""Many streams of a task, each under an id: what the pools of tasks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sized
from typing import Any, Generic, Protocol, TypeVar

from ostinato.errors import ShapeError
from ostinato.maps._check import check_count
from ostinato.runtime.ids import Id, Ids, check_different, listed, unknown
from ostinato.runtime.turns import Turns


class Named(Protocol):
    """What a stream under an id can do, beside moving on."""

    def reset(self) -> None:
        """Start anew."""

    def snapshot(self) -> bytes:
        """All that is needed to go on from here."""

    def close(self) -> None:
        """Give its memory back."""


S = TypeVar("S", bound=Named)


class NamedStreams(ABC, Generic[S]):
    """Up to `capacity` streams, each under an id; a call moves any of them on together.

    Each says the same as alone, to the bit, whichever others move with it. Memory is taken as they are opened. A call
    that raises has changed nothing. A pool is used by one thread at a time: a second one gets `StreamBusy`.

    Args:
        capacity: The largest number of open streams.

    Raises:
        ArgumentError: `capacity` is no whole number of at least 1.
    """

    def __init__(self, capacity: int) -> None:
        check_count("capacity", capacity)
        self.capacity = capacity
        self._ids, self._open, self._turns = Ids(capacity), dict[Id, S](), Turns()

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, id: object) -> bool:
        return id in self._open

    def __iter__(self) -> Iterator[Id]:
        return iter(tuple(self._open))

    def _opened(self, id: Id | None, *given: Any) -> Id:
        """Open a stream under an id."""
        with self._turns:
            name = self._ids.free(id, self._open)
            self._open[name] = self._made(*given)
            return name

    @abstractmethod
    def _made(self, *given: Any) -> S:
        """A stream as `open` is told to make it."""

    def reset(self, id: Id) -> None:
        """Start a stream anew.

        Raises:
            StreamClosed: No open stream has this id.
        """
        with self._turns:
            self._stream(id).reset()

    def close(self, id: Id) -> None:
        """End a stream; another one may have its place.

        Raises:
            StreamClosed: No open stream has this id.
        """
        with self._turns:
            self._stream(id).close()
            del self._open[id]

    def snapshot(self, id: Id) -> bytes:
        """All that `open`, or `stream` of the model, needs to go on from here.

        Raises:
            StreamClosed: No open stream has this id.
        """
        with self._turns:
            return self._stream(id).snapshot()

    def _stream(self, id: Id) -> S:
        try:
            return self._open[id]
        except (KeyError, TypeError):  # TypeError: no name at all, such as a list
            raise unknown(id) from None

    def _streams(self, ids: Iterable[Id], name: str, given: Sized) -> list[S]:
        """The streams of these ids, for each of which something is given.

        Raises:
            StreamClosed: No open stream has such an id.
            ArgumentError: `duplicate`, an id occurs twice; or `ids` is no list of ids.
            ShapeError: Another number of things is given.
        """
        names = listed(ids)
        found = [self._stream(one) for one in names]
        check_different(names)
        if len(given) != len(names):
            raise ShapeError(f"{name} must be one an id ({len(names)})", got=str(len(given)), fix="Pass as many.")
        return found
