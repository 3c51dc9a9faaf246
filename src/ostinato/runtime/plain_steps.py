"""Steps of a network, layer after layer in Python: for every layer that can be run step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.maps.base import State
from ostinato.runtime.one_step import OneStep
from ostinato.runtime.reading import refusal_of
from ostinato.runtime.turns import Turns


class PlainSteps:
    """The states of several sequences, which move on one by one, so that each has the same bits as alone.

    Args:
        network: What moves them on.
        capacity: Number of sequences; they are numbered from 0 and start anew.
        nonfinite: See `ostinato.runtime.reading.POLICIES`.
    """

    def __init__(self, network: OneStep, capacity: int, nonfinite: str) -> None:
        self.network, self.policies = network, [nonfinite] * capacity
        self.arrays = [np.repeat(start[None], capacity, axis=0) for start in network.starts]
        self.counts = np.zeros(capacity, np.int64)
        self._turns = Turns()

    def quick(self, x: object, out: object) -> NDArray[np.float32] | None:
        """None: there is no quick way, see `CompiledSteps.quick`."""
        return None

    def quick_run(self, x: object, out: object) -> NDArray[np.float32] | None:
        """None, as `quick`."""
        return None

    def quick_rows(self, rows: object, x: object, out: object) -> NDArray[np.float32] | None:
        """None, as `quick`."""
        return None

    def step(
        self, rows: NDArray[np.int64], x: NDArray[Any], *, out: NDArray[np.float32], who: Sequence[object] = ()
    ) -> NDArray[np.float32]:
        """Writes the outputs of one step `x [n, *features]` of these rows, which are different ones, to `out`.

        Raises:
            DataError: `nonfinite`, by the policy; no row has moved.
            StreamBusy: Another thread is at work.
        """
        with self._turns:
            self._check(rows.tolist(), x, self.counts[rows], who)
            for i, row in enumerate(rows.tolist()):
                self._one(row, x[i], out[i])
        return out

    def run(self, row: int, x: NDArray[Any], *, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Writes the outputs of several steps `x [time, *features]` of a row to `out`.

        Raises:
            DataError: `nonfinite`, by the policy; the row has not moved.
        """
        with self._turns:
            self._check([row] * len(x), x, self.counts[row] + np.arange(len(x)))
            for given, y in zip(x, out, strict=True):
                self._one(row, given, y)
        return out

    def _check(self, rows: list[int], x: NDArray[Any], steps: NDArray[np.int64], who: Sequence[object] = ()) -> None:
        refuses = np.array([self.policies[row] == "raise" for row in rows], bool)
        error = refusal_of(self.network.reading, refuses, x, steps, who)
        if error is not None:
            raise error

    def _one(self, row: int, x: NDArray[Any], y: NDArray[np.float32]) -> None:
        network = self.network
        if self.policies[row] == "hold" and not network.reading.symbols:
            held = self.arrays[-1][row].reshape(x.shape)
            np.copyto(held, x, where=np.isfinite(x))
            x = held
        flat = iter(self.arrays)
        states: list[State] = [tuple(next(flat)[row : row + 1] for _ in sizes) for sizes in network.layers]
        out, final = network.machine.run(x[None, None], states=states)
        y[:] = out.reshape(y.shape)
        for before, after in zip(states, final, strict=True):
            for old, new in zip(before, after, strict=True):
                old[:] = new
        self.counts[row] += 1

    def reset(self, row: int) -> None:
        """The row starts anew."""
        self.write(row, 0, self.network.starts)

    def set_policy(self, row: int, nonfinite: str) -> None:
        """What a row does about numbers that are not finite from now on; it keeps that when it is reset."""
        with self._turns:
            self.policies[row] = nonfinite

    def read(self, row: int) -> tuple[int, list[NDArray[np.float32]]]:
        """How many steps a row has made, and copies of its arrays, in the order of `OneStep.starts`."""
        with self._turns:
            return int(self.counts[row]), [array[row].copy() for array in self.arrays]

    def kept(self, rows: NDArray[np.int64]) -> Callable[[], None]:
        """Keeps where these rows are; what it gives puts them back."""
        before = [self.read(row) for row in rows.tolist()]

        def put_back() -> None:
            for row, one in zip(rows.tolist(), before, strict=True):
                self.write(row, *one)

        return put_back

    def write(self, row: int, steps: int, arrays: Any) -> None:
        """The inverse of `read`."""
        with self._turns:
            self.counts[row] = steps
            for array, value in zip(self.arrays, arrays, strict=True):
                array[row] = value
