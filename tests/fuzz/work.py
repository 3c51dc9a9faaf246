"""How much work an input may take in a fuzzer. In the main thread of a Unix process."""

from __future__ import annotations

import signal

SECONDS = 1.0


class TooLong(BaseException):
    """An input took more work than it may."""


class Work:
    """Within it, `TooLong` is raised where an input takes more work than it was granted."""

    def __enter__(self) -> Work:
        self._handler = signal.signal(signal.SIGPROF, _stop)
        return self

    def grant(self, seconds: float = SECONDS) -> None:
        """Count from here, for the next input."""
        signal.setitimer(signal.ITIMER_PROF, seconds)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self._handler)


def _stop(*_: object) -> None:
    raise TooLong
