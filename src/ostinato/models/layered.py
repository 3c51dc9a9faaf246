"""What a model of the Keras face is before it is trained: named layers, shapes, weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.errors import ArgumentError, NotBuiltError, ShapeError
from ostinato.layers.keras_base import KerasLayer, check_shape
from ostinato.layers.keras_input import Input
from ostinato.layers.seeds import check_seed, next_seed
from ostinato.layers.stack import Stack
from ostinato.maps.base import Shape
from ostinato.maps.embedding import Embedding
from ostinato.models.choices import explain_choices
from ostinato.models.entries import check_layer, free_name
from ostinato.models.inputs import Given, as_input
from ostinato.models.summary import table


class Layered(Stack):
    """Named layers one after the other.

    Args:
        name: The model's name in summaries and files.
        seed: Decides first weights, data order and dropout; a fresh one by default (see `set_random_seed`), which
            `model.seed` shows.
    """

    def __init__(self, *, name: str | None = None, seed: int | None = None) -> None:
        if seed is not None:
            check_seed(seed)
        self_seed = next_seed() if seed is None else int(seed)
        super().__init__(seed=self_seed)
        self.seed = self_seed
        self.name = name or "sequential"
        self._input: Input | None = None

    def add(self, layer: KerasLayer | Input) -> None:
        """Append a layer; the model is built as soon as its input shape is known."""
        if isinstance(layer, Input):
            if len(self.layers) or self._input is not None:
                raise ArgumentError(
                    "an Input must be the first entry of a model", got=f"entry {len(self.layers) + 1}", fix="Move it."
                )
            self._input = layer
            return
        check_layer(layer, self.entries)
        layer.name = free_name(layer, self.entries)
        self.layers.append(layer)
        shape = self._input.shape if self._input is not None else self.entries[0].input_shape
        shape = self.built_shape or shape
        if shape is not None:
            try:
                super().build(shape)
            except Exception:
                del self.layers[-1]
                raise

    def pop(self) -> KerasLayer:
        """Remove the last layer and return it."""
        if not len(self.layers):
            raise ArgumentError("a model must have a layer to remove", got="none", fix="Call add() first.")
        last = self.entries[-1]
        del self.layers[-1]
        if self.built_shape is not None:
            super().build(self.built_shape)
        return last

    def build(self, input_shape: Shape | None = None) -> None:
        """Draw the weights.

        Args:
            input_shape: Shape with the batch axis in front, as in Keras: (None, 10, 1).
        """
        if input_shape is None:
            self._need_built()
            return
        _, *shape = check_shape("input_shape", input_shape)
        super().build(tuple(shape))

    @property
    def input_shape(self) -> Shape:
        """Shape of the input, batch axis first."""
        self._need_built()
        return (self.batch_size, *(self.built_shape or ()))

    @property
    def output_shape(self) -> Shape:
        """Shape of the output, batch axis first."""
        self._need_built()
        shape = self.built_shape or ()
        for layer in self.entries:
            shape = layer.part.out_shape(shape)
        return (self.batch_size, *shape)

    @property
    def batch_size(self) -> int | None:
        """The fixed batch size, or None."""
        first = self._input if self._input is not None else self.entries[0] if len(self.layers) else None
        return None if first is None else first.batch_size

    def forward(self, x: Any, mask: Any = None, *, training: bool = False) -> Any:
        """The outputs for `x` at once; dropout is off unless `training` is True, whatever was called before.

        Args:
            x: As for `predict`; a tensor is taken as it is and keeps its gradients.
            mask: `[batch, time]`, True for real steps.
            training: Whether dropout acts, with other noise in every call.

        Returns:
            A tensor for a tensor, else an array.
        """
        tensor = isinstance(x, Tensor)
        given = Given(x) if tensor and self.built_shape is not None else self._input_of(x)
        mask = given.mask if mask is None else torch.as_tensor(mask, dtype=torch.bool)
        self.claim()
        was = self.training
        self.train(training)
        try:
            with self.noise.apart(), torch.set_grad_enabled(tensor and torch.is_grad_enabled()):
                y = self.run(given.x, mask=mask)[0]
        finally:
            self.train(was)
        return y if tensor else y.numpy()

    def claim(self) -> None:
        """Let this model's noise decide the dropout of its layers, which may stand in other models too."""
        if self.built_shape is not None:
            super().build(self.built_shape)

    @property
    def trainable(self) -> bool:
        """Whether training changes any layer; assigning it tells all layers, at once."""
        return any(layer.trainable for layer in self.entries)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.entries:
            layer.trainable = value

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Copies of all weights, layer by layer, in Keras' order and layout."""
        return [w for layer in self.entries for w in layer.get_weights()]

    def set_weights(self, values: Sequence[Any]) -> None:
        """Replace all weights by arrays in Keras' order and layout, such as `get_weights` gives here and in Keras."""
        counts = [len(layer.get_weights()) for layer in self.entries]
        if len(values) != sum(counts):
            raise ShapeError(
                f"weights must be {sum(counts)} arrays, of the shapes that get_weights() gives",
                got=f"{len(values)} arrays",
                fix="Pass what get_weights() of a model of the same layers gave, here or in Keras.",
            )
        first = 0
        for layer, count in zip(self.entries, counts, strict=True):
            layer.set_weights(values[first : first + count])
            first += count

    def reset_states(self) -> None:
        """Forget the states that stateful layers carry from batch to batch."""
        for layer in self.entries:
            layer.reset_states()

    def get_layer(self, name: str | None = None, index: int | None = None) -> KerasLayer:
        """A layer by name or by number."""
        names = [str(layer.name) for layer in self.entries]
        if name is not None and name in names:
            return self.entries[names.index(name)]
        if name is None and index is not None and -len(names) <= index < len(names):
            return self.entries[index]
        raise ArgumentError(
            f"a layer must be one of {', '.join(names) or 'none'}",
            got=repr(name if name is not None else index),
            fix="Choose a name from the list, or a number below their count.",
        )

    def summary(self, print_fn: Callable[[str], object] = print) -> None:
        """Print a table of layers, output shapes and numbers of weights."""
        print_fn(table(self.name, self.entries, self.built_shape))

    def explain_choices(self) -> dict[str, str]:
        """Which kernel computes each recurrent layer, and why not a faster one."""
        self._need_built()
        return explain_choices(self.entries, self.built_shape or ())

    @property
    def entries(self) -> list[KerasLayer]:
        """The layers, as a list."""
        return list(self.layers)  # type: ignore[arg-type]

    def _need_built(self) -> None:
        if self.built_shape is None or not len(self.layers):
            raise NotBuiltError(
                "a model must know its input shape and have a layer",
                got="no input shape" if len(self.layers) else "no layer",
                fix="Give the first layer an input_shape, or call build() or fit().",
            )

    def _input_of(self, x: Any) -> Given:
        if not len(self.layers):
            self._need_built()
        part = self.entries[0].part
        symbols = part.input_dim if isinstance(part, Embedding) else None
        whole = self._input is not None and self._input.whole
        given = as_input(x, shape=self.built_shape, symbols=symbols, whole=whole)
        if self.built_shape is None:
            self._build_for(tuple(given.x.shape[1:]), ragged=given.mask is not None)
        return given

    def _build_for(self, shape: tuple[int, ...], *, ragged: bool) -> None:
        """Build for the data at hand: with an open length, as far as the layers can do with one."""
        if not shape:
            super().build(shape)
            return
        out: Shape = (None, *shape[1:])
        try:
            for layer in self.entries:
                out = layer.part.out_shape(out)
        except ShapeError:
            if not ragged:
                super().build(shape)
                return
        super().build((None, *shape[1:]))
