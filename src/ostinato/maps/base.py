"""What every layer below the torch line is: a frozen description that computes on the array namespace it is handed.

A `Part` holds options, never numbers: its weights are passed in, so that NumPy (the runtime) and torch (training) run
the same formula. Shapes are written without the batch axis, `None` stands for an open length: `(None, 8)` is a
sequence of any length with 8 features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ostinato._lean_dataclass import lean_dataclass

Array = Any
"""An array of the namespace in use: `numpy.ndarray` or `torch.Tensor`."""

Shape = tuple[int | None, ...]
Weights = Mapping[str, Array]
State = tuple[Array, ...]


class Weight(NamedTuple):
    """The shape of one weight and the name of the rule that draws its first value (see `layers/initialisers.py`)."""

    shape: tuple[int, ...]
    init: str


class Context(NamedTuple):
    """What a part computes with.

    Args:
        xp: The array namespace (Python array API standard, plus `sigmoid`).
        scan: Runs a cell along time: `scan(cell, w, x, state, *, mask, reverse, noise, zone) -> (outputs, state)`.
        drop: `drop(x, rate, axes)` zeroes entries with probability `rate` and rescales the others; the noise is shared
            along the given axes. None outside training.
        charge: `charge(price)` adds a number to the loss. None outside training.
    """

    xp: Any
    scan: Callable[..., tuple[Array, State]]
    drop: Callable[[Array, float, tuple[int, ...]], Array] | None = None
    charge: Callable[[Array], None] | None = None


class Out(NamedTuple):
    """What a part returns: values, their mask `[batch, time]` (True = real) or None, and final states."""

    y: Array
    mask: Array | None
    state: State


class Part(ABC):
    """A layer as data. Subclasses are frozen dataclasses; their fields are what a model file stores."""

    def weights(self, shape: Shape) -> dict[str, Weight]:
        """Names and shapes of the weights for inputs of `shape` (no batch axis)."""
        return {}

    def out_shape(self, shape: Shape) -> Shape:
        """Shape of the output (no batch axis); raises `ShapeError` if inputs of `shape` do not fit."""
        return shape

    def stepwise(self) -> bool:
        """Whether the output at a step needs no later steps, and of earlier ones only the state that the layer gives
        back: then a sequence can be computed piece by piece."""
        return False

    @abstractmethod
    def apply(self, ctx: Context, w: Weights, x: Array, *, mask: Array | None = None, state: State = ()) -> Out:
        """Compute the layer. `x` is `[batch, *shape]`, `mask` `[batch, time]` with True for real steps."""


@lean_dataclass(frozen=True)
class Map(Part):
    """A layer without state: one formula. What lies at masked steps of its input counts as zero, whatever it is."""

    @abstractmethod
    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        """The formula, on the array namespace `xp`."""

    def out_mask(self, xp: Any, x: Array, mask: Array | None) -> Array | None:
        """The mask that belongs to the output; the same one unless the map changes the time axis."""
        return mask

    def apply(self, ctx: Context, w: Weights, x: Array, *, mask: Array | None = None, state: State = ()) -> Out:
        if mask is not None:
            x = silence(ctx.xp, x, mask)
        return Out(self.formula(ctx.xp, w, x, mask), self.out_mask(ctx.xp, x, mask), ())


def silence(xp: Any, x: Array, mask: Array) -> Array:
    """`x` with zeros at masked steps, so that no padding (NaN included) reaches a result or a gradient."""
    if tuple(x.shape[:2]) != tuple(mask.shape):
        return x
    real = xp.reshape(mask, (*mask.shape, *(1 for _ in x.shape[2:])))
    return xp.where(real, x, xp.zeros_like(x))
