"""What a network reads at one step, and the checks of what a user hands it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.errors import ArgumentError, DataError, OstinatoError, ShapeError
from ostinato.maps.base import Part, Shape
from ostinato.maps.embedding import Embedding

POLICIES = ("raise", "hold", "propagate")
"""What a stream does about NaN and infinities in its input."""


def check_policy(nonfinite: str) -> str:
    """The policy, if it is one."""
    if nonfinite not in POLICIES:
        raise ArgumentError(
            f"nonfinite must be one of {', '.join(POLICIES)}", got=f"{nonfinite!r:.80}", fix="Pass one of them."
        )
    return nonfinite


@lean_dataclass(frozen=True)
class Reading:
    """What one step of a network is.

    Args:
        features: Its shape; `()` for one whole number a step.
        symbols: The number of different whole numbers, 0 if steps are not whole numbers.
    """

    features: tuple[int, ...]
    symbols: int = 0

    @property
    def width(self) -> int:
        """Numbers a step."""
        return math.prod(self.features)

    def checked(self, x: Any, lead: tuple[str, ...] = ()) -> NDArray[Any]:
        """`x [*lead, *features]` as contiguous float32, or int64 for whole numbers.

        Args:
            x: Any array or nested list of numbers.
            lead: Names of the axes before those of a step, for messages.

        Raises:
            ShapeError: It has another shape.
            DataError: `type`, it holds no numbers, or fractions where a whole number must be; `range`, a whole number
                is not one of the network's.
        """
        found = _numbers(x)
        n = len(lead)
        if found.ndim != n + len(self.features) or found.shape[n:] != self.features:
            raise ShapeError(
                f"x must be {shown(*lead, *self.features)}" if lead or self.features else "x must be one number",
                got=str(found.shape), fix="Pass one step's features in the order of training.",
            )  # fmt: skip
        if self.symbols:
            return self.whole(found, lead)
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which the policy treats
            return np.asarray(found, np.float32, order="C")

    def whole(self, found: NDArray[Any], lead: tuple[str, ...]) -> NDArray[Any]:
        """Numbers as the symbols that they stand for, int64; arguments and errors as for `checked`."""
        if found.dtype.kind == "f" and not np.array_equal(found, np.rint(found)):
            at = np.argwhere(found != np.rint(found))
            raise DataError(
                "x must hold whole numbers, since the network begins with an embedding", got=str(found[tuple(at[0])]),
                fix="Pass the numbers that the symbols had in training.", where=[_place(lead, one) for one in at[:5]],
                count=len(at), code="type",
            )  # fmt: skip
        bad = (found < 0) | (found >= self.symbols)
        if bad.any():
            at = np.argwhere(bad)
            raise DataError(
                f"x must hold whole numbers from 0 to {self.symbols - 1}", got=str(found[tuple(at[0])]),
                fix="Pass the numbers that the symbols had in training.", where=[_place(lead, one) for one in at[:5]],
                count=len(at), code="range",
            )  # fmt: skip
        return np.asarray(found, np.int64, order="C")

    def refusal(self, x: NDArray[Any], steps: NDArray[np.int64], who: Sequence[object] = ()) -> OstinatoError | None:
        """An error if numbers of `x [n, *features]` are not finite.

        Args:
            x: As `checked` gives it.
            steps: How many steps went before each row.
            who: Names of the rows, if they are streams of a pool.
        """
        if self.symbols or np.isfinite(x).all():
            return None
        at = np.argwhere(~np.isfinite(x))
        where = []
        for row, *feature in at[:5].tolist():
            place = [f"stream {who[row]!r:.80}"] if who else []
            place.append(f"step {int(steps[row]) + 1}")
            if self.features:
                place.append(f"feature {feature[0] if len(feature) == 1 else tuple(feature)}")
            where.append(", ".join(place))
        return DataError(
            "x must be finite, and fit into float32", got=str(x[tuple(at[0])]), where=where, count=len(at),
            code="nonfinite",
            fix='Repair it, or open the stream with nonfinite="hold" or nonfinite="propagate". The state is as it was.',
        )  # fmt: skip


def refusal_of(
    reading: Reading, refuses: NDArray[np.bool_], x: NDArray[Any], steps: NDArray[np.int64], who: Sequence[object] = ()
) -> OstinatoError | None:
    """As `Reading.refusal`, of those rows that `refuses [n]` says refuse numbers that are not finite."""
    return reading.refusal(x[refuses], steps[refuses], [one for one, its in zip(who, refuses, strict=False) if its])


@lean_dataclass(frozen=True)
class Samples:
    """What a network reads at once.

    Args:
        shape: Of one sample, None for an open length.
        symbols: As for `Reading`.
    """

    shape: Shape
    symbols: int = 0

    def checked(self, x: Any) -> NDArray[Any]:
        """`x [batch, *shape]` as float32, or int64 for whole numbers.

        Raises:
            ShapeError: It has another shape.
            DataError: `type` and `range` as for `Reading.checked`; `nonfinite`, a number is not finite in float32.
        """
        found = _numbers(x)
        if found.ndim != 1 + len(self.shape) or any(
            want not in (None, got) for want, got in zip(self.shape, found.shape[1:], strict=True)
        ):
            raise ShapeError(
                f"x must be {shown('batch', *('any' if n is None else n for n in self.shape))}",
                got=str(found.shape), fix="Reshape it.",
            )  # fmt: skip
        axes = ("row", "step", "feature")[: found.ndim]
        if self.symbols:
            return Reading((), self.symbols).whole(found, axes)
        with np.errstate(over="ignore"):
            samples = np.asarray(found, np.float32)
        if not np.isfinite(samples).all():
            at = np.argwhere(~np.isfinite(samples))
            raise DataError(
                "x must be finite, and fit into float32", got=str(found[tuple(at[0])]), count=len(at),
                where=[_place(axes, one) for one in at[:5]], fix="Fill or remove these places first.", code="nonfinite",
            )  # fmt: skip
        return samples


def symbols_of(parts: Sequence[Part]) -> int:
    """How many symbols a stack of layers reads, 0 if it reads other numbers."""
    return parts[0].input_dim if parts and isinstance(parts[0], Embedding) else 0


def shown(*axes: object) -> str:
    """A shape in messages, written as Python writes it: (3,) and (batch, 3)."""
    return f"({', '.join(map(str, axes))}{',' * (len(axes) == 1)})"


def new_or(out: NDArray[np.float32] | None, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The array to write results to: `out` if there is one, else a new one.

    Raises:
        ShapeError: `out` is no contiguous float32 array of this shape that can be written to.
    """
    if out is None:
        return np.empty(shape, np.float32)
    good = isinstance(out, np.ndarray) and out.dtype == np.float32 and out.shape == shape
    if not (good and out.flags.c_contiguous and out.flags.writeable):
        got = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ShapeError(f"out must be a contiguous float32 array {shape} to write to", got=got, fix="Leave it out.")
    return out


def _numbers(x: Any) -> NDArray[Any]:
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise DataError("x must have no masked numbers", got="a masked array", fix="Fill them.", code="type")
    try:
        found = np.asarray(x)
    except (ValueError, TypeError) as error:  # ragged nests of lists; objects that refuse to be arrays
        raise DataError(
            "x must be an array of numbers", got=f"{type(x).__name__} ({error})", fix="Pass one array.", code="type"
        ) from None
    if found.dtype.kind not in "biuf":
        raise DataError(
            "x must be an array of numbers", got=f"an array of {found.dtype}", fix="Convert it to float32.",
            code="type",
        )  # fmt: skip
    return found


def _place(lead: tuple[str, ...], at: NDArray[Any]) -> str:
    axes = [*lead, *(f"axis {i}" for i in range(len(at) - len(lead)))]
    return ", ".join(f"{name} {int(i)}" for name, i in zip(axes, at, strict=True)) or "x"
