"""One thread at a time: what a stream of Python keeps is not touched by two at once."""

from __future__ import annotations

import threading
from types import TracebackType

from ostinato.errors import StreamBusy


class Turns:
    """A context that one thread at a time is in; a second one gets `StreamBusy` and has done nothing."""

    def __init__(self) -> None:
        self.lock = threading.RLock()

    def __enter__(self) -> None:
        if not self.lock.acquire(blocking=False):
            raise busy()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock.release()


def busy() -> StreamBusy:
    """The error of a second thread."""
    return StreamBusy(
        "a stream or a pool must be used by one thread at a time", got="a call during another one",
        fix="Give each thread its own, or hold a lock around your calls.",
    )  # fmt: skip
