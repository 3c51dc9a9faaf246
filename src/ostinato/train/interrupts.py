"""Ctrl-C and SIGTERM while a run is being saved: finish the step, save, stop. A second one acts at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Notes the first signal of a block; the handlers of before are back afterwards.

    In other threads than the main one, where handlers cannot be set, signals do what they always do.

    Attributes:
        caught: Number of the signal, or None.
        patient: Whether something looks at `caught` soon; otherwise a signal acts at once.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self.patient = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        first = self.caught is None
        self.caught = number
        if not (first and self.patient):
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
