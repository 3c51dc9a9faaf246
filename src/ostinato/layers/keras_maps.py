"""The layers of the Keras face that have no state and treat every step alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Unpack

from ostinato.errors import ArgumentError
from ostinato.layers.keras_base import (
    Common,
    KerasLayer,
    Named,
    activation_name,
    check_bool,
    check_options,
    real,
    split,
    weighing,
    whole,
)
from ostinato.layers.keras_initialisers import Constant
from ostinato.layers.keras_recurrent import Initial, Penalty
from ostinato.maps.activation import Activation as ActivationMap
from ostinato.maps.activity_penalty import ActivityPenalty as ActivityPenaltyMap
from ostinato.maps.base import Shape
from ostinato.maps.dense import Dense as DenseMap
from ostinato.maps.dropout import Dropout as DropoutMap
from ostinato.maps.embedding import Embedding as EmbeddingMap
from ostinato.maps.flatten import Flatten as FlattenMap
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.masking import Masking as MaskingMap
from ostinato.maps.repeat_vector import RepeatVector as RepeatVectorMap
from ostinato.maps.reshape import Reshape as ReshapeMap


class KernelAndBias(Common, total=False):
    """How kernel and bias begin and what they cost, next to what every layer can be told."""

    kernel_initializer: Initial
    bias_initializer: Initial
    kernel_regularizer: Penalty
    bias_regularizer: Penalty


class Dense(KerasLayer):
    """y = f(x W + b) on the last axis.

    Args:
        units: Size of the output's last axis.
        activation: Name of f; None for none.
        use_bias: Whether b exists.
        options: See `KernelAndBias`.
    """

    def __init__(
        self, units: int, activation: str | None = None, use_bias: bool = True, **options: Unpack[KernelAndBias]
    ) -> None:
        own, common = split(type(self), options, KernelAndBias)
        check_bool("use_bias", use_bias)
        names = {"kernel": ["W"], "bias": ["b"] if use_bias else []}
        super().__init__(
            DenseMap(whole(units), activation_name(activation), use_bias), weighing=weighing(own, names), common=common
        )


class Activation(KerasLayer):
    """Applies a nonlinearity.

    Args:
        activation: Its name.
        common: See `Common`.
    """

    def __init__(self, activation: str, **common: Unpack[Common]) -> None:
        super().__init__(ActivationMap(activation_name(activation)), common=common)


class Dropout(KerasLayer):
    """In training, zeroes numbers with probability `rate` and divides the others by 1 - rate.

    Args:
        rate: Share of zeroed numbers.
        noise_shape: None, or (None, 1, None) for one pattern for all steps of a sequence.
        common: See `Common`.
    """

    def __init__(self, rate: float, noise_shape: Sequence[int | None] | None = None, **common: Unpack[Common]) -> None:
        if noise_shape is not None and (not isinstance(noise_shape, Sequence) or tuple(noise_shape) != (None, 1, None)):
            raise ArgumentError(
                "noise_shape must be None or (None, 1, None)", got=repr(noise_shape), fix="Use SpatialDropout1D."
            )
        super().__init__(DropoutMap(rate, over_time=noise_shape is not None), common=common)


class SpatialDropout1D(KerasLayer):
    """Dropout of whole features: all steps of a sequence share their noise.

    Args:
        rate: Share of zeroed features.
        common: See `Common`.
    """

    def __init__(self, rate: float, **common: Unpack[Common]) -> None:
        super().__init__(DropoutMap(rate, over_time=True), common=common)


class Embeddings(Named, total=False):
    """How the table begins and what it costs, next to what every layer can be told.

    Args:
        weights: [table], ready vectors `[input_dim, output_dim]` to begin with, instead of an initializer.
    """

    embeddings_initializer: Initial
    weights: Sequence[Any]
    embeddings_regularizer: Penalty


class Embedding(KerasLayer):
    """Whole numbers in [0, input_dim) to learned vectors.

    Args:
        input_dim: Number of different symbols.
        output_dim: Length of the vectors.
        mask_zero: If True, symbol 0 is padding and the layers behind skip it.
        input_length: Steps of a sample; None for any.
        options: See `Embeddings`.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *,
        mask_zero: bool = False,
        input_length: int | None = None,
        **options: Unpack[Embeddings],
    ) -> None:
        own, common = split(type(self), options, Embeddings)
        check_bool("mask_zero", mask_zero)
        if input_length is not None:
            if common.get("input_shape") is not None or common.get("batch_input_shape") is not None:
                raise ArgumentError(
                    "the input shape must be given in one way", got="input_length and a shape", fix="Keep one of them."
                )
            common["input_shape"] = (input_length,)
        if (ready := own.pop("weights", None)) is not None:
            if not isinstance(ready, (list, tuple)) or len(ready) != 1 or "embeddings_initializer" in own:
                raise ArgumentError(
                    "weights must be a list of one table, without an embeddings_initializer",
                    got=type(ready).__name__,
                    fix="Pass weights=[table].",
                )
            own["embeddings_initializer"] = Constant(ready[0])
        super().__init__(
            EmbeddingMap(whole(input_dim), whole(output_dim), mask_zero=mask_zero),
            weighing=weighing(own, {"embeddings": ["table"]}),
            common=common,
        )


class Masking(KerasLayer):
    """Marks the steps whose features all equal `mask_value`; the layers behind skip them.

    Args:
        mask_value: The padding value; not NaN, which is refused as input.
        common: See `Common`.
    """

    def __init__(self, mask_value: float = 0.0, **common: Unpack[Common]) -> None:
        if isinstance(mask_value, bool) or not isinstance(mask_value, (int, float)) or not math.isfinite(mask_value):
            raise ArgumentError("mask_value must be a finite number", got=repr(mask_value), fix="Pass, say, -1.0.")
        super().__init__(MaskingMap(float(mask_value)), common=common)


class ActivityPenalty(KerasLayer):
    """The identity, which in training adds alpha · mean(x²) + beta · mean((x_t - x_{t-1})²) to the loss.

    Args:
        alpha: Price of large activity.
        beta: Price of fast changes.
        common: See `Common`.
    """

    def __init__(self, alpha: float = 0.0, beta: float = 0.0, **common: Unpack[Common]) -> None:
        super().__init__(ActivityPenaltyMap(alpha, beta), common=common)


class RepeatVector(KerasLayer):
    """One vector, `n` times.

    Args:
        n: Number of steps.
        common: See `Common`.
    """

    def __init__(self, n: int, **common: Unpack[Common]) -> None:
        super().__init__(RepeatVectorMap(whole(n)), common=common)


class Flatten(KerasLayer):
    """All axes of a sample in one.

    Args:
        common: See `Common`.
    """

    def __init__(self, **common: Unpack[Common]) -> None:
        super().__init__(FlattenMap(), common=common)


class Reshape(KerasLayer):
    """Another shape for the same numbers.

    Args:
        target_shape: The new shape without the batch axis; one size may be -1, which is then computed.
        common: See `Common`.
    """

    def __init__(self, target_shape: Sequence[int], **common: Unpack[Common]) -> None:
        check_options(type(self), common, Common)
        if not isinstance(target_shape, Sequence):
            raise ArgumentError(
                "target_shape must be a list of sizes", got=repr(target_shape), fix="Pass, say, (4, 2)."
            )
        target = tuple(whole(n) for n in target_shape)
        if target.count(-1) > 1:
            raise ArgumentError("target_shape must have at most one -1", got=repr(target), fix="Set the other sizes.")
        super().__init__(ReshapeMap(tuple(1 if n == -1 else n for n in target)), common=common)
        self.open = target if -1 in target else None

    def build(self, shape: Shape, **options: Any) -> Shape:
        if self.open is not None and None not in shape:
            size = math.prod(n for n in shape if n is not None)
            rest = -math.prod(self.open)
            self.part = ReshapeMap(tuple(size // rest if n == -1 else n for n in self.open))
        return super().build(shape, **options)


class Normalising(Common, total=False):
    """How scale and offset begin and what they cost, next to what every layer can be told."""

    gamma_initializer: Initial
    beta_initializer: Initial
    gamma_regularizer: Penalty
    beta_regularizer: Penalty


class LayerNormalization(KerasLayer):
    """Mean 0 and variance 1 along the last axis, then a learned scale and offset.

    Args:
        axis: -1, the last one.
        epsilon: Added to the variance.
        options: See `Normalising`.
    """

    def __init__(self, axis: int = -1, epsilon: float = 1e-3, **options: Unpack[Normalising]) -> None:
        own, common = split(type(self), options, Normalising)
        if axis != -1:
            raise ArgumentError("axis must be -1", got=repr(axis), fix="Reshape: the last axis is normalised.")
        super().__init__(
            LayerNorm(real(epsilon)), weighing=weighing(own, {"gamma": ["gamma"], "beta": ["beta"]}), common=common
        )
