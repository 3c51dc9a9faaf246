"""The names of streams in a pool."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence, Sized
from itertools import count
from typing import Protocol

import numpy as np

from ostinato.errors import ArgumentError, StreamClosed

Id = int | str
"""The name of a stream in a pool."""


class _Named(Sized, Container[object], Protocol):
    """The names of the open streams."""


class Ids:
    """Gives names to the streams of a pool.

    Args:
        capacity: The largest number of open streams.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._next: Iterator[int] = count()

    def free(self, id: Id | None, taken: _Named) -> Id:
        """The name of a stream that is opened: `id`, or the next whole number that no stream has.

        Raises:
            ArgumentError: `full`, `taken` (there is an open stream of that name), or the id is of another type.
        """
        if len(taken) >= self.capacity:
            raise ArgumentError(
                f"a pool must have room for the stream ({self.capacity})", got="as many open streams",
                fix="Close one, or make a larger pool.", code="full",
            )  # fmt: skip
        if id is None:
            return next(n for n in self._next if n not in taken)
        if isinstance(id, bool) or not isinstance(id, (int, str)):
            raise ArgumentError("id must be a word or a whole number", got=f"{id!r:.80}", fix="Pass one.")
        if id in taken:
            raise ArgumentError(
                "id must be of no open stream", got=f"{id!r:.80}", fix="Close that one, or take another id.",
                code="taken",
            )  # fmt: skip
        return id


def listed(ids: Iterable[Id]) -> list[Id]:
    """Ids as a list; raises `ArgumentError` if they are no list of ids."""
    if isinstance(ids, np.ndarray) and ids.ndim == 1:
        names: list[Id] = ids.tolist()
        return names
    if isinstance(ids, (str, bytes, np.ndarray)) or not isinstance(ids, Iterable):
        raise ArgumentError("ids must be a list of ids", got=f"{ids!r:.80}", fix="Pass [id] for one stream.")
    return list(ids)


def check_different(names: Sequence[Id]) -> None:
    """Raise `ArgumentError` (`duplicate`) if an id occurs twice."""
    if len(set(names)) != len(names):
        twice = sorted({n for n in names if names.count(n) > 1}, key=names.index)
        raise ArgumentError(
            "ids must be different ones", got=f"{twice[0]!r:.80} twice", fix="Make one step after the other.",
            code="duplicate",
        )  # fmt: skip


def unknown(id: object) -> StreamClosed:
    """The error of an id that no open stream has."""
    return StreamClosed("id must be of an open stream", got=f"{id!r:.80}", fix="Open it first.")
