"""What is open until it is closed: a stream as a context."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

from ostinato.errors import StreamClosed


class Closing(ABC):
    """A stream that ends with `close`, or with the block of `with`; it is not pickled."""

    @abstractmethod
    def close(self) -> None:
        """Give its memory back; afterwards everything but `close` raises `StreamClosed`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a stream is not pickled; use snapshot()")


def closed() -> StreamClosed:
    """The error of a stream that is used after it was closed."""
    return StreamClosed("a stream must be open", got="a closed one", fix="Open another one.")
