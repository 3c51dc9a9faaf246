"""Gives any part its weights: the one bridge between a formula and `torch.nn`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from ostinato.errors import ArgumentError, NotBuiltError
from ostinato.kernels.base import TORCH
from ostinato.kernels.choose import Choice, scan, watched
from ostinato.layers.initialisers import Rule, draw
from ostinato.layers.noise import Noise
from ostinato.maps._check import show
from ostinato.maps.base import Context, Out, Part, Shape, State, Weight

_EVAL = Context(TORCH, scan)


class Layer(nn.Module):
    """A part with weights, as a torch module.

    Args:
        part: The formula.
        initial: Initialisers by weight name, instead of the part's own: names of rules, or rules.
        tied: Weights that are another layer's: own name to (layer, its name); it must be built before this one.
        fixed: Names of weights that are 0 for ever: no parameters, not counted, not trained (a missing bias).
        input_shape: Shape of one sample, if this layer is the first of a stack.
        name: Name in summaries and errors; by default the part's, in the field's spelling.

    `kept` is what a stateful layer carries from batch to batch.
    """

    def __init__(
        self,
        part: Part,
        *,
        initial: Mapping[str, str | Rule] | None = None,
        tied: Mapping[str, tuple[Layer, str]] | None = None,
        fixed: Collection[str] = (),
        input_shape: Shape | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.part = part
        self.initial = dict(initial or {})
        self.tied = dict(tied or {})
        self.fixed = frozenset(fixed)
        self.input_shape = input_shape
        self.name = name
        self.index = 0
        self.noise: Noise | None = None
        self.built_shape: Shape | None = None
        self.kept: State = ()
        self.weights = nn.ParameterDict()
        self.charges: list[Tensor] = []

    def build(self, shape: Shape, *, noise: Noise, index: int = 0) -> Shape:
        """Draw the weights for inputs of `shape` (no batch axis) and return the shape of the output."""
        if self.built_shape is not None and self.built_shape != shape:
            raise ArgumentError(
                f"layer {self.name!r} must keep the input shape it was built for, {show(self.built_shape)}",
                got=show(shape),
                fix="Make a new layer.",
            )
        out = self.part.out_shape(shape)
        if self.built_shape is None:
            needed = self.part.weights(shape)
            unknown = sorted(set(self.initial) - set(needed))
            if unknown:
                raise ArgumentError(
                    f"initial must name weights of {self.name!r}: {', '.join(needed) or 'it has none'}",
                    got=", ".join(unknown),
                    fix="Use the names of the list.",
                )
            for key, weight in needed.items():
                if key in self.tied:
                    self.weights[key] = self._shared(key, weight)
                    continue
                if key in self.fixed:
                    self.register_buffer(f"fixed_{key}", torch.zeros(weight.shape), persistent=False)
                    continue
                first = draw(self.initial.get(key, weight.init), weight.shape, seed=noise.seed, key=f"{index}/{key}")
                self.weights[key] = nn.Parameter(torch.from_numpy(first).to(torch.get_default_dtype()))
            self.built_shape = shape
        self.noise, self.index = noise, index
        return out

    def run(self, x: Tensor, *, mask: Tensor | None = None, state: State = ()) -> Out:
        """Compute the layer; dropout acts in training mode only."""
        if self.noise is None:
            raise NotBuiltError(
                f"layer {self.name!r} must know its input shape before it computes",
                got="no input shape",
                fix="Call build(), or put the layer in a model.",
            )
        context = _EVAL
        if self.training:
            self.charges.clear()
            context = Context(TORCH, scan, self.noise.enter(self.index).drop, self.charges.append)
        return self.part.apply(context, self.tensors(), x, mask=mask, state=state)

    def _shared(self, key: str, weight: Weight) -> nn.Parameter:
        other, name = self.tied[key]
        if name not in other.weights or tuple(other.weights[name].shape) != weight.shape:
            raise ArgumentError(
                f"the weight {key!r} of {self.name!r} must be tied to one of shape {weight.shape}",
                got=f"{name!r}: {tuple(other.weights[name].shape) if name in other.weights else 'not there'}",
                fix="Build that layer first, and make both as wide as each other.",
            )
        shared: nn.Parameter = other.weights[name]
        return shared

    def choices(self, x: Tensor, *, mask: Tensor | None = None) -> dict[str, Choice]:
        """The kernel of each cell for inputs like `x`, and why not a faster one."""
        seen: dict[str, Choice] = {}
        with torch.no_grad():
            self.part.apply(watched(_EVAL, seen), self.tensors(), x, mask=mask)
        return seen

    def tensors(self) -> dict[str, Tensor]:
        own = self.weights._parameters
        if self.fixed:
            return {**own, **{key: self.get_buffer(f"fixed_{key}") for key in self.fixed}}  # type: ignore[dict-item]
        return own  # type: ignore[return-value]
