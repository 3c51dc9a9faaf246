"""A network step by step: the next output costs the same however long the past is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.runtime.closing import Closing, closed
from ostinato.runtime.reading import check_policy, new_or
from ostinato.runtime.stepping import Stepping, Steps


class Stream(Closing):
    """One sequence that goes on: each step gives what the network says of the sequence so far.

    One step, several steps in one call, and any way of cutting a sequence give the same bits. A stream is used by one
    thread at a time: a second one waits, or gets `StreamBusy`. Made by `Network.stream`.

    Args:
        stepping: Of the network.
        blob: A snapshot to go on from; by default the sequence starts.
        nonfinite: What to do about NaN and infinities in the input. "raise": a `DataError`, and the state stays as it
            was. "hold": each such number is replaced by the last finite one of that feature, zero before the first.
            "propagate": they are computed with, and stay in the state.

    Raises:
        SnapshotError: `blob` is no snapshot of this network.
        ArgumentError: There is no such policy.
    """

    def __init__(self, stepping: Stepping, blob: bytes | None = None, *, nonfinite: str = "raise") -> None:
        self._stepping, self._network, self._nonfinite = stepping, stepping.network, check_policy(nonfinite)
        found = None if blob is None else self._network.unpacked(blob)
        self._open: Steps | None = stepping.steps(1, nonfinite)
        self._quick, self._quick_run = self._open.quick, self._open.quick_run
        if found is not None:
            self._open.write(0, *found)

    @property
    def _steps(self) -> Steps:
        if self._open is None:
            raise closed()
        return self._open

    @property
    def steps(self) -> int:
        """How many steps it has made since it started or was reset."""
        return self._steps.read(0)[0]

    def step(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """The output `[*out]` for one step `x [*features]`; a whole number if the network reads symbols.

        Contiguous float32 arrays and ints are taken as they are, others are converted, which takes longer.

        Args:
            x: The step.
            out: A contiguous float32 array `[*out]` to write to; by default the output is a new array.

        Raises:
            ShapeError: `x` or `out` has another shape.
            DataError: `nonfinite`, by the policy; `type` or `range`, see `Reading.checked`. The state is as it was.
            StreamClosed: It is closed.
            StreamBusy: Another thread uses it.
        """
        y = self._quick(x, out)
        return self._slowly(x, out) if y is None else y

    def _slowly(self, x: ArrayLike, out: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """A step with all conversions and errors."""
        steps, given = self._steps, self._network.reading.checked(x)
        y = new_or(out, self._network.out_shape)
        steps.step(_FIRST, given[None], out=y[None])
        return y

    def run(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """The outputs `[time, *out]` for several steps `x [time, *features]`, to the bit as step by step.

        Args:
            x: The steps.
            out: A contiguous float32 array `[time, *out]` to write to; by default the outputs are a new array.

        Raises:
            ShapeError: `x` or `out` has another shape.
            DataError: As for `step`, of any of the steps; the state is as it was before all of them.
            StreamClosed: It is closed.
        """
        y = self._quick_run(x, out)
        if y is not None:
            return y
        steps, given = self._steps, self._network.reading.checked(x, ("time",))
        return steps.run(0, given, out=new_or(out, (len(given), *self._network.out_shape)))

    def reset(self) -> None:
        """Start anew."""
        self._steps.reset(0)

    def explain(self) -> str:
        """One sentence: how the steps are computed, and why."""
        return self._stepping.explain()

    def fork(self) -> Stream:
        """A second stream that goes on from here by itself."""
        twin = Stream(self._stepping, nonfinite=self._nonfinite)
        twin._steps.write(0, *self._steps.read(0))
        return twin

    def snapshot(self) -> bytes:
        """All that `Network.stream` or `Pool.open` need to go on from here, on this machine or another, to the bit if
        its processor has the same instruction set."""
        return self._network.packed(*self._steps.read(0))

    def close(self) -> None:
        self._open, self._quick, self._quick_run = None, _quick_closed, _quick_closed


_FIRST = np.zeros(1, np.int64)


def _quick_closed(x: object, out: object) -> None:
    raise closed()
