"""A network step by step: the next output costs the same however long the past is."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.errors import StreamClosed
from ostinato.runtime.one_step import OneStep
from ostinato.runtime.plain_steps import PlainSteps
from ostinato.runtime.reading import check_policy


class Stream:
    """One sequence that goes on: each step gives what the network says of the sequence so far.

    One step, several steps in one call, and any way of cutting a sequence give the same bits. A stream is used by one
    thread at a time. Made by `Network.stream`.

    Args:
        network: The network.
        blob: A snapshot to go on from; by default the sequence starts.
        nonfinite: What to do about NaN and infinities in the input. "raise": a `DataError`, and the state stays as it
            was. "hold": each such number is replaced by the last finite one of that feature, zero before the first.
            "propagate": they are computed with, and stay in the state.

    Raises:
        SnapshotError: `blob` is no snapshot of this network.
        ArgumentError: There is no such policy.
    """

    def __init__(self, network: OneStep, blob: bytes | None = None, *, nonfinite: str = "raise") -> None:
        self._network, self._nonfinite = network, check_policy(nonfinite)
        found = None if blob is None else network.unpacked(blob)
        self._open: PlainSteps | None = PlainSteps(network, 1, nonfinite)
        if found is not None:
            self._open.write(0, *found)

    @property
    def _steps(self) -> PlainSteps:
        if self._open is None:
            raise StreamClosed("a stream must be open", got="a closed one", fix="Open another one.")
        return self._open

    @property
    def steps(self) -> int:
        """How many steps it has made since it started or was reset."""
        return self._steps.read(0)[0]

    def step(self, x: ArrayLike) -> NDArray[np.float32]:
        """The output `[*out]`, a new array, for one step `x [*features]`; a whole number if the network reads symbols.

        Raises:
            ShapeError: `x` has another shape.
            DataError: `nonfinite`, by the policy; `type` or `range`, see `Reading.checked`. The state is as it was.
            StreamClosed: It is closed.
        """
        y: NDArray[np.float32] = self._steps.step(_FIRST, self._network.reading.checked(x)[None])[0]
        return y

    def run(self, x: ArrayLike) -> NDArray[np.float32]:
        """The outputs `[time, *out]` for several steps `x [time, *features]`, to the bit as step by step.

        Raises:
            ShapeError: `x` has another shape.
            DataError: As for `step`, of any of the steps; the state is as it was before all of them.
            StreamClosed: It is closed.
        """
        return self._steps.run(0, self._network.reading.checked(x, ("time",)))

    def reset(self) -> None:
        """Start anew."""
        self._steps.reset(0)

    def fork(self) -> Stream:
        """A second stream that goes on from here by itself."""
        twin = Stream(self._network, nonfinite=self._nonfinite)
        twin._steps.write(0, *self._steps.read(0))
        return twin

    def snapshot(self) -> bytes:
        """All that `Network.stream` or `Pool.open` need to go on from here, on this machine or another, to the bit if
        its processor has the same instruction set."""
        return self._network.packed(*self._steps.read(0))

    def close(self) -> None:
        """Give its memory back; afterwards everything but `close` raises `StreamClosed`."""
        self._open = None

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a stream is not pickled; use snapshot()")


_FIRST = np.zeros(1, np.int64)
