"""What all layers of the Keras face share: names, input shapes, penalties, carried states, direct calls."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypedDict, get_type_hints

import numpy as np
import torch
from torch import Tensor

from ostinato.errors import ArgumentError, NotBuiltError, ShapeError
from ostinato.layers.initialisers import Rule
from ostinato.layers.keras_initialisers import initialiser
from ostinato.layers.module import Layer
from ostinato.layers.noise import Noise
from ostinato.layers.regularisers import L1L2, regulariser
from ostinato.layers.seeds import check_seed, next_seed
from ostinato.maps.base import Out, Part, Shape, State
from ostinato.maps.embedding import Embedding
from ostinato.runtime.keras_weights import from_keras, to_keras


class Named(TypedDict, total=False):
    """What every layer can be told.

    Args:
        name: Its name in summaries, errors and files; by default the class's, numbered within a model.
        input_shape: Shape of one sample, for the first layer of a model; None for an open length.
        batch_input_shape: The same with the batch size in front, which is then fixed.
        batch_size: A fixed batch size, for stateful layers.
        trainable: False keeps the weights as they are in training.
        seed: First values and dropout noise follow from it instead of the model's seed.
    """

    name: str | None
    input_shape: Sequence[int | None] | int | None
    batch_input_shape: Sequence[int | None] | None
    batch_size: int | None
    trainable: bool
    seed: int | None


class Common(Named, total=False):
    """`Named`, and Keras' oldest way to tell the input shape.

    Args:
        input_dim: Features of one step (of one sample for `Dense`), instead of `input_shape`.
        input_length: Steps of a sample, together with `input_dim`.
    """

    input_dim: int | None
    input_length: int | None


@dataclass(frozen=True)
class Weighing:
    """How the weights of a layer begin, and what they cost; all by weight name.

    Args:
        initial: Rules of first values.
        penalties: Regularisers.
        fixed: Weights that do not exist (0 for ever).
    """

    initial: Mapping[str, str | Rule] = field(default_factory=dict)
    penalties: Mapping[str, L1L2] = field(default_factory=dict)
    fixed: Collection[str] = ()

    def prefixed(self, prefix: str) -> Weighing:
        """The same for weights whose names begin with `prefix`."""
        return Weighing(
            {prefix + k: v for k, v in self.initial.items()},
            {prefix + k: v for k, v in self.penalties.items()},
            [prefix + k for k in self.fixed],
        )

    def __or__(self, other: Weighing) -> Weighing:
        return Weighing(
            {**self.initial, **other.initial},
            {**self.penalties, **other.penalties},
            [*self.fixed, *other.fixed],
        )


class KerasLayer(Layer):
    """A layer with the arguments that Keras users know.

    Args:
        part: The formula.
        weighing: First values and penalties of the weights.
        common: See `Common`.
    """

    def __init__(self, part: Part, *, weighing: Weighing | None = None, common: Mapping[str, Any]) -> None:
        check_options(type(self), common, Common)
        weighing = weighing or Weighing()
        batch_size, shape = _given_shape(type(self).__name__, common)
        super().__init__(
            part, initial=weighing.initial, fixed=weighing.fixed, input_shape=shape, name=_checked_name(common)
        )
        self.weighing = weighing
        self.batch_size = batch_size
        self.return_state = False
        self.stateful = False
        self.seed = common.get("seed")
        if self.seed is not None:
            check_seed(self.seed)
        self._trainable = bool(common.get("trainable", True))

    @property
    def kind(self) -> str:
        """The class's name as names of layers begin with: `lstm`, `time_distributed`, `conv1d`."""
        text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(self).__name__)
        return re.sub(r"_?(\d)_?d$", r"\1d", text.lower())

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; may be assigned."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        self.requires_grad_(self._trainable)

    def build(self, shape: Shape, *, noise: Noise, index: int = 0) -> Shape:
        if self.seed is not None:
            noise = OwnNoise(self.seed, noise)
        out = super().build(shape, noise=noise, index=index)
        if not self._trainable:
            self.requires_grad_(False)
        return out

    def run(self, x: Tensor, *, mask: Tensor | None = None, state: State = ()) -> Out:
        if not self.stateful or state:
            return super().run(x, mask=mask, state=state)
        if self.kept and len(self.kept[0]) != len(x):
            raise ShapeError(
                f"a stateful layer must get batches of one size, {len(self.kept[0])} here",
                got=f"{len(x)} rows",
                where=f"layer {self.name or self.kind!r}",
                fix="Pass batches of that size, or call reset_states() first.",
            )
        out = super().run(x, mask=mask, state=self.kept)
        self.kept = tuple(s.detach() for s in out.state)
        return out

    def reset_states(self) -> None:
        """Forget the carried states; the next batch starts from zeros."""
        self.kept = ()

    reset_state = reset_states

    def penalty(self) -> Tensor | None:
        """The regularisers' share of the loss, or None."""
        terms = [rule(self.weights[key]) for key, rule in self.weighing.penalties.items() if key in self.weights]
        return torch.stack(terms).sum() if terms else None

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Copies of the weights in Keras' order and layout (see `runtime/keras_weights.py`)."""
        return to_keras(self.part, self._arrays())

    @torch.no_grad()
    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replace the weights by arrays in Keras' order and layout, such as `get_weights` gives here and in Keras."""
        if self.built_shape is None:
            raise NotBuiltError(
                f"layer {self.name or self.kind!r} must know its input shape before it gets weights",
                got="no input shape",
                fix="Put the layer in a model that knows its input shape, or call the layer once.",
            )
        new = from_keras(self.part, weights, like=self._arrays())
        for name, p in self.named_parameters():
            p.copy_(torch.as_tensor(new[name.removeprefix("weights.")]))

    def _arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        return {k.removeprefix("weights."): p.detach().cpu().numpy().copy() for k, p in self.named_parameters()}

    def count_params(self) -> int:
        """Number of trainable and frozen numbers in the weights."""
        return sum(p.numel() for p in self.parameters())

    def forward(self, x: Any, mask: Any = None, *, initial_state: Sequence[Any] = (), training: bool = False) -> Any:
        """Compute the layer by itself; weights are drawn on the first call.

        Args:
            x: `[batch, …]`, tensor or array.
            mask: `[batch, time]`, True for real steps.
            initial_state: One `[batch, units]` per state, for recurrent layers.
            training: Whether dropout acts.

        Returns:
            The output; `[output, *states]` with `return_state`. Tensors for a tensor, else arrays.
        """
        tensor = isinstance(x, Tensor)
        x = self._numbers(_tensor(x))
        if self.built_shape is None:
            self.build(tuple(x.shape[1:]), noise=Noise(next_seed()))
        else:
            self.part.out_shape(tuple(x.shape[1:]))
        was = self.training
        self.train(training)
        noise = self.noise or Noise(0)
        try:
            with noise.apart(), torch.set_grad_enabled(tensor and torch.is_grad_enabled()):
                y, _, state = self.run(
                    x,
                    mask=None if mask is None else torch.as_tensor(mask, dtype=torch.bool),
                    state=tuple(self._numbers(_tensor(s)) for s in _list(initial_state)),
                )
        finally:
            self.train(was)
        given = [y, *state] if self.return_state else [y]
        if not tensor:
            given = [t.numpy() for t in given]
        return given if self.return_state else given[0]

    def _numbers(self, x: Tensor) -> Tensor:
        """Symbols stay whole numbers; everything else becomes the type of the weights."""
        if isinstance(self.part, Embedding):
            return x
        return x.to(next((p.dtype for p in self.parameters()), torch.get_default_dtype()))


class OwnNoise(Noise):
    """Noise of a layer with a seed of its own; it follows the model's steps.

    Args:
        seed: The layer's seed.
        model: The model's noise.
    """

    def __init__(self, seed: int, model: Noise) -> None:
        super().__init__(seed)
        self.model = model

    def enter(self, layer: int) -> Noise:
        self.step, self.among = self.model.step, self.model.among
        return super().enter(layer)

    @contextmanager
    def apart(self) -> Iterator[None]:
        with self.model.apart():
            yield


def check_options(cls: type, given: Mapping[str, Any], *known: type) -> None:
    """Raise `ArgumentError` for keywords that are in none of the typed dictionaries `known`."""
    names = {name for k in known for name in get_type_hints(k)}
    unknown = sorted(set(given) - names)
    if unknown:
        raise ArgumentError(
            f"{cls.__name__} must get its own arguments or {', '.join(sorted(names))}",
            got=", ".join(f"{name}={given[name]!r}" for name in unknown),
            fix="Remove or rename it; it is never ignored.",
            code="unknown_argument",
        )


def weighing(
    options: Mapping[str, Any], names: Mapping[str, Sequence[str]], *, fixed: Collection[str] = ()
) -> Weighing:
    """Read `<what>_initializer` and `<what>_regularizer` from `options`.

    Args:
        options: A layer's keywords.
        names: The weights that each <what> stands for, for example {"kernel": ["W"]}.
        fixed: Weights that do not exist.
    """
    initial: dict[str, str | Rule] = {}
    penalties: dict[str, L1L2] = {}
    for what, keys in names.items():
        rule = initialiser(f"{what}_initializer", options.get(f"{what}_initializer"))
        penalty = regulariser(f"{what}_regularizer", options.get(f"{what}_regularizer"))
        for key in keys:
            if rule is not None and key not in fixed:
                initial[key] = rule
            if penalty is not None and key not in fixed:
                penalties[key] = penalty
    return Weighing(initial, penalties, fixed)


def split(cls: type, options: Mapping[str, Any], own: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """Separate a layer's own keywords from the common ones, refusing all others."""
    check_options(cls, options, own, Common)
    names = set(get_type_hints(own)) - set(get_type_hints(Common))
    return {k: v for k, v in options.items() if k in names}, {k: v for k, v in options.items() if k not in names}


def check_bool(name: str, value: object) -> None:
    """Raise `ArgumentError` unless `value` is True or False."""
    if not isinstance(value, bool):
        raise ArgumentError(f"{name} must be True or False", got=repr(value), fix="Pass a bool.")


def activation_name(choice: object) -> str:
    """An activation's name as the formulas know it: None is "linear", Keras' other spellings are translated."""
    if choice is None:
        return "linear"
    if not isinstance(choice, str):
        raise ArgumentError(
            "activation must be the name of a function", got=repr(choice), fix="Pass, say, 'tanh' or 'relu'."
        )
    return {"swish": "silu"}.get(choice, choice)


def check_shape(name: str, shape: object) -> Shape:
    """A shape as a tuple of whole numbers and None.

    Raises:
        ArgumentError: It is something else.
    """
    sizes = (shape,) if isinstance(shape, int) and not isinstance(shape, bool) else shape
    if isinstance(sizes, (tuple, list)) and all(
        n is None or (isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0) for n in sizes
    ):
        return tuple(None if n is None else int(n) for n in sizes)
    raise _bad_shape(name, shape)


def _bad_shape(name: str, shape: object) -> ArgumentError:
    return ArgumentError(
        f"{name} must be a tuple of whole numbers of at least 1, or None for an open length",
        got=repr(shape),
        fix="Pass, say, (10, 1) for 10 steps of 1 feature.",
    )


def _given_shape(cls: str, common: Mapping[str, Any]) -> tuple[int | None, Shape | None]:
    """(batch size, shape of one sample) from the keywords that can tell them."""
    batch_size, shape = common.get("batch_size"), common.get("input_shape")
    ways = [k for k in ("input_shape", "batch_input_shape", "input_dim") if common.get(k) is not None]
    if len(ways) > 1:
        _refuse_both(ways)
    if common.get("batch_input_shape") is not None:
        batch_size, *rest = check_shape("batch_input_shape", common["batch_input_shape"])
        shape = tuple(rest)
    elif common.get("input_dim") is not None:
        length = common.get("input_length")
        shape = (common["input_dim"],) if cls == "Dense" else (length, common["input_dim"])
    elif common.get("input_length") is not None:
        raise ArgumentError(
            "input_length must come with input_dim", got="input_length alone", fix="Pass input_shape instead."
        )
    if batch_size is not None:
        check_shape("batch_size", batch_size)
    return batch_size, None if shape is None else check_shape("input_shape", shape)


def _refuse_both(ways: Sequence[str]) -> NoReturn:
    raise ArgumentError(
        "the input shape must be given in one way", got=" and ".join(ways), fix="Keep one of these arguments."
    )


def _checked_name(common: Mapping[str, Any]) -> str | None:
    name = common.get("name")
    if name is not None and not (isinstance(name, str) and 0 < len(name) <= 128):
        raise ArgumentError("name must be a text of 1 to 128 characters", got=repr(name), fix="Pass, say, 'encoder'.")
    return name


def _tensor(x: Any) -> Tensor:
    if isinstance(x, Tensor):
        return x
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise ArgumentError("the input must be an array of numbers", got=str(array.dtype), fix="Convert it.")
    return torch.from_numpy(np.ascontiguousarray(array)).to(
        torch.int64 if array.dtype.kind in "iub" else torch.get_default_dtype()
    )


def _list(states: Any) -> Sequence[Any]:
    """One state may come without a list around it."""
    return states if isinstance(states, (list, tuple)) else (states,)


def whole(value: Any) -> Any:
    """NumPy's whole numbers as Python's; everything else as it is, for the part to judge."""
    return int(value) if isinstance(value, np.integer) else value


def real(value: Any) -> Any:
    """NumPy's numbers as Python's; everything else as it is, for the part to judge."""
    return float(value) if isinstance(value, np.floating) else value
