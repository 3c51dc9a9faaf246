"""The one door to the compiled kernels: is there one for this processor, for this cell, and how is it called."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ostinato.cells.base import Cell
from ostinato.cells.gru import GRU
from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.errors import ArgumentError, KernelError, ShapeError
from ostinato.maps.base import Array, State, Weights
from ostinato.version import __version__

FORWARD, BACKWARD, BACKWARD_INPUTS = range(3)
"""What weights are packed for; see `native/scan.hpp`."""

ALL, SOME, HOLES = range(3)
"""Kinds of masks; see `native/spans.hpp`."""

PRECISIONS = ("float32", "bf16")
"""What the products of a saved model may be computed in; sums, gates and states are float32 in both."""

FUNCTIONS = (
    "linear", "relu", "relu6", "leaky_relu", "tanh", "sigmoid", "hard_sigmoid", "softsign", "elu", "selu", "silu",
    "exponential", "softmax", "softplus",
)  # fmt: skip
"""The activations that have native code, in the order of `enum Function` in `native/include/ostinato/work.hpp`."""


@functools.cache
def _load() -> ModuleType | str:
    """The compiled module, or the reason why there is none."""
    try:
        import ostinato._native as _native
    except ImportError as error:
        if error.name == "ostinato._native":
            return "this installation of ostinato was made without a compiler"
        return f"the compiled kernels do not load ({error})"
    if _native.version != __version__:
        return f"the compiled kernels are of version {_native.version}, ostinato is {__version__}; install it again"
    return _native  # type: ignore[no-any-return]


@functools.cache
def _engine(wanted: str) -> str | None:
    """The instruction set in use; None if the environment asks for one that is not there."""
    names = module().engines()
    return (wanted if wanted in names else None) if wanted else names[0]


def module() -> ModuleType:
    """The compiled module.

    Raises:
        KernelError: There is none.
    """
    found = _load()
    if isinstance(found, str):
        raise KernelError("the compiled kernels must be there", got=found, fix="Call `available()` first.")
    return found


def _asked(name: str) -> str | None:
    """What the environment says now, or None. The compiled module reads it in a tenth of the time of `os.environ`."""
    found = _load()
    return os.environ.get(name) if isinstance(found, str) else found.environment(name)


def available() -> str | None:
    """None if the compiled kernels can run here, else the reason, in words that begin with a lower-case letter."""
    found = _load()
    if isinstance(found, str):
        return found
    wanted = _asked("OSTINATO_ISA") or ""
    if _engine(wanted) is None:
        return f"OSTINATO_ISA={wanted}, but there is only {', '.join(found.engines())}"
    return None


def usable() -> str | None:
    """As `available`, for code that is about to compute: what the environment asks for must be there.

    Raises:
        KernelError: OSTINATO_ISA names an instruction set that this build or this processor lacks.
    """
    reason = available()
    if reason is not None and _asked("OSTINATO_ISA") and not isinstance(_load(), str):
        raise KernelError("OSTINATO_ISA must name an instruction set that is there", got=reason, fix="Unset it.")
    return reason


def engine() -> str:
    """Name of the instruction set in use: the processor's best, or OSTINATO_ISA."""
    name = None if isinstance(_load(), str) else _engine(_asked("OSTINATO_ISA") or "")
    if name is None:
        raise KernelError("the compiled kernels must be there", got=str(available()), fix="Call `available()` first.")
    return name


def without_bf16() -> str | None:
    """None if products of bf16 can be computed here, else the reason, in words that begin with a lower-case letter.

    OSTINATO_ISA limits the processor: with less than its best instruction set there are no bf16 products either.
    """
    reason = available()
    if reason is not None:
        return reason
    wanted, best = _asked("OSTINATO_ISA") or "", module().engines()[0]
    if wanted not in ("", best):
        return f"OSTINATO_ISA={wanted} has no bf16 products"
    return None if module().bf16_engine() else str(module().without_bf16())


def check_precision(precision: str) -> None:
    """Raise unless products can be computed in `precision` here.

    Raises:
        ArgumentError: It is none of `PRECISIONS`.
        KernelError: It is "bf16", which this processor, this build or OSTINATO_ISA does not have.
    """
    if precision not in PRECISIONS:
        raise ArgumentError(
            f"precision must be one of {', '.join(PRECISIONS)}", got=repr(precision), fix="Pass one of them."
        )
    reason = without_bf16() if precision == "bf16" else None
    if reason is not None:
        raise KernelError("bf16 products must be there", got=reason, fix="Use precision='float32'.")


def threads(default: int) -> int:
    """How many threads a call may use: OSTINATO_THREADS, else `default`.

    Raises:
        ArgumentError: OSTINATO_THREADS is not a whole number of at least 1.
    """
    text = _asked("OSTINATO_THREADS")
    if text is None:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentError(
            "OSTINATO_THREADS must be a whole number of at least 1", got=repr(text), fix="Set it, or unset it."
        )
    return int(text)


_NUMBERS: dict[type, int] = {LSTM: 2, GRU: 3, GRUResetAfter: 4}


def key(cell: Cell) -> int | str:
    """The cell's number in the compiled module, or why it has none."""
    kind = type(cell)
    if kind is SimpleRNN:
        if cell.activation in ("tanh", "relu"):  # type: ignore[attr-defined]
            return 0 if cell.activation == "tanh" else 1  # type: ignore[attr-defined]
        return f"no native code for the activation {cell.activation!r}"  # type: ignore[attr-defined]
    number = _NUMBERS.get(kind)
    if number is None:
        return f"no native code for {kind.__name__}"
    if (cell.activation, cell.recurrent_activation) != ("tanh", "sigmoid"):  # type: ignore[attr-defined]
        return "native code has no other activations than tanh and sigmoid"
    return number


@functools.cache
def cell_of(number: int, units: int) -> Cell:
    """The cell that has this number in the compiled module, see `key`."""
    if number <= 1:
        return SimpleRNN(units, activation=("tanh", "relu")[number])
    return (LSTM, GRU, GRUResetAfter)[number - 2](units)


def spans(mask: int, batch: int, time: int, start: int, length: int) -> int:
    """Which kind of mask lies at the address `mask`; fills the int32 arrays at `start` and `length`."""
    return module().spans(mask, batch, time, start, length)  # type: ignore[no-any-return]


def why_not(
    cell: Cell, x: Array, *, noise: Array | None = None, zone: Sequence[Array] | float | None = None
) -> str | None:
    """None if `forward` can compute this, else the reason."""
    reason = usable()
    if reason is not None:
        return reason
    number = key(cell)
    if isinstance(number, str):
        return number
    if noise is not None:
        return "native code has no recurrent dropout"
    if zone is not None:
        return "native code has no zoneout"
    return None if x.dtype == np.float32 else f"native code computes in float32, not {x.dtype}"


def check_weights(cell: Cell, w: Weights) -> None:
    """Raise `ShapeError` unless `w` holds all weights of `cell` in their shapes: compiled code is handed addresses."""
    for name, weight in cell.weights(len(w["W"])).items():
        got = np.shape(w[name]) if name in w else None
        if got != weight.shape:
            raise ShapeError(
                f"the weight {name} of {type(cell).__name__} must be {weight.shape}",
                got="none" if got is None else str(got),
                fix="Pass the weights of this cell.",
            )


class Prepared:
    """A cell with its weights packed once, for NumPy arrays of float32. `why_not` must have said that it can be done.

    Args:
        cell: The recurrence.
        w: Its weights; later changes of these arrays have no effect.
        precision: "float32", or "bf16": weights, inputs and h are rounded to 8 significant bits where they are
            multiplied; biases, sums, gates and states stay float32.

    Raises:
        KernelError: There is no such precision here; see `check_precision`.
        ArgumentError: There is no such precision.
        ShapeError: A weight is missing or has another shape.
    """

    def __init__(self, cell: Cell, w: Weights, *, precision: str = "float32") -> None:
        check_weights(cell, w)
        self.cell, self.features, self.precision = cell, int(w["W"].shape[0]), precision
        plain = [_plain(w[name], w[name].shape) for name in ("W", "U", "b", *cell.extra())]
        self.packed = packed(cell, self.features, [address(v) for v in plain], FORWARD, threads(1), precision)

    def forward(
        self, x: Array, state: State, *, mask: Array | None = None, reverse: bool = False
    ) -> tuple[Array, State]:
        """Run along time; arguments as in `ostinato.scans.loop.loop`.

        Raises:
            ShapeError: The shapes do not fit the weights or each other.
        """
        if x.ndim != 3 or x.shape[2] != self.features:
            raise ShapeError(
                f"the input must be (batch, time, {self.features})", got=str(x.shape), fix="Reshape or convert it."
            )
        batch, time, _ = x.shape
        shape = (batch, self.cell.units)
        if len(state) != len(self.cell.states) or any(s.shape != shape for s in state):
            raise ShapeError(
                f"the start states must be {len(self.cell.states)} of {shape}",
                got=", ".join(str(s.shape) for s in state),
                fix="Pass one array per state.",
            )
        state = tuple(_plain(s, shape) for s in state)
        if 0 in x.shape:
            return np.zeros((batch, time, self.cell.units), np.float32), state
        x = _plain(x, x.shape)
        start = length = order = None
        if mask is not None:
            if mask.shape != (batch, time) or mask.dtype != np.bool_:
                raise ShapeError(
                    f"the mask must be bool ({batch}, {time})", got=f"{mask.dtype} {mask.shape}", fix="Convert it."
                )
            mask = np.ascontiguousarray(mask)
            start, length = np.empty(batch, np.int32), np.empty(batch, np.int32)
            kind = spans(address(mask), batch, time, address(start), address(length))
            if kind == ALL:
                start = length = None
            elif kind == HOLES:  # bring the real steps to the front, which keeps their order
                order = np.argsort(~mask, axis=1, kind="stable")[:, :, None]
                x = np.take_along_axis(x, order, axis=1)
                start[:] = 0
        y = np.empty((batch, time, self.cell.units), np.float32)
        last = tuple(np.empty(shape, np.float32) for _ in state)
        ends = (state[0], _second(state), start, length, y, last[0], _second(last))
        module().Run(
            self.packed, batch, time, reverse, address(x), *(address(a) for a in ends), training=False,
            threads=threads(1),
        )  # fmt: skip
        if order is not None:
            back = np.zeros_like(y)
            np.put_along_axis(back, order, y, axis=1)
            y = back
        return y, last


def forward(
    cell: Cell, w: Weights, x: Array, state: State, *, mask: Array | None = None, reverse: bool = False
) -> tuple[Array, State]:
    """Run `cell` along time on NumPy arrays, as `ostinato.scans.loop.loop` does. Packs the weights in each call."""
    return Prepared(cell, w).forward(x, state, mask=mask, reverse=reverse)


def _second(items: Any) -> Any:
    return items[1] if len(items) > 1 else None


def packed(
    cell: Cell,
    features: int,
    addresses: Sequence[int],
    what: int,
    n_threads: int,
    precision: str = "float32",
    *,
    by_gate: bool = False,
) -> Any:
    """The cell's weights in the order of the compiled loops.

    Args:
        cell: The recurrence.
        features: Inputs a step.
        addresses: Of its weights W, U, b and, if it has one, b_rec, contiguous float32; see `by_gate`.
        what: FORWARD, BACKWARD or BACKWARD_INPUTS.
        n_threads: As for the run.
        precision: As for `Prepared`; "bf16" is for FORWARD alone, and its runs keep no tape.
        by_gate: W and U are transposed views of contiguous `[gates · units, features]` and `[gates · units, units]`.

    Raises:
        KernelError: There is no such precision here, or it has no slopes.
    """
    if precision != "float32":
        check_precision(precision)
        if what != FORWARD:
            raise KernelError("training must be in float32", got=precision, fix="Use bf16 for inference only.")
    return module().Packed(
        engine() if precision == "float32" else module().bf16_engine(),
        key(cell), features, cell.units, *addresses, *((0,) if len(addresses) == 3 else ()), what, n_threads, by_gate,
    )  # fmt: skip


def _plain(array: Array, shape: tuple[int, ...]) -> Array:
    """Contiguous float32 of exactly this shape; a view of other strides is copied."""
    return np.ascontiguousarray(np.broadcast_to(array, shape), dtype=np.float32)


def address(array: Array | None) -> int:
    """Where an array's first number is; 0 for None."""
    return 0 if array is None else int(array.ctypes.data)
