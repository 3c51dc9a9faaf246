"""The layers of the Keras face that mix the steps of a sequence without a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Tensor

from ostinato.errors import ArgumentError, ShapeError
from ostinato.kernels.base import TORCH
from ostinato.layers.keras_base import Common, KerasLayer, activation_name, check_bool, split, weighing, whole
from ostinato.layers.keras_maps import KernelAndBias
from ostinato.layers.noise import Noise
from ostinato.layers.seeds import next_seed
from ostinato.maps.attention import Attention as AttentionMap
from ostinato.maps.attention import attend
from ostinato.maps.conv1d import Conv1D as Conv1DMap
from ostinato.maps.global_average_pooling1d import GlobalAveragePooling1D as AverageMap
from ostinato.maps.global_max_pooling1d import GlobalMaxPooling1D as MaxMap
from ostinato.maps.max_pooling1d import MaxPooling1D as MaxPoolingMap


class Convolving(KernelAndBias, total=False):
    """`KernelAndBias`, and what a convolution rarely needs.

    Args:
        use_bias: Whether there is a bias; True by default.
    """

    use_bias: bool


class Conv1D(KerasLayer):
    """Convolution over time.

    Args:
        filters: Number of output features.
        kernel_size: Steps that one output sees.
        strides: Distance between outputs.
        padding: "valid", "same" or "causal".
        dilation_rate: Distance between the steps of a window.
        activation: Name of the nonlinearity; None for none.
        options: See `Convolving`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        *,
        dilation_rate: int | Sequence[int] = 1,
        activation: str | None = None,
        **options: Unpack[Convolving],
    ) -> None:
        own, common = split(type(self), options, Convolving)
        use_bias = own.pop("use_bias", True)
        check_bool("use_bias", use_bias)
        part = Conv1DMap(
            whole(filters),
            _one(kernel_size),
            _one(strides),
            padding,
            _one(dilation_rate),
            activation_name(activation),
            use_bias,
        )
        names = {"kernel": ["W"], "bias": ["b"] if use_bias else []}
        super().__init__(part, weighing=weighing(own, names), common=common)


class MaxPooling1D(KerasLayer):
    """The largest value in each window of time.

    Args:
        pool_size: Steps per window.
        strides: None or `pool_size`: windows do not overlap.
        padding: "valid": an incomplete last window is dropped.
        common: See `Common`.
    """

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | None = None,
        padding: str = "valid",
        **common: Unpack[Common],
    ) -> None:
        size = _one(pool_size)
        if strides not in (None, size) or padding != "valid":
            raise ArgumentError(
                "max_pooling1d must have strides equal to pool_size, and padding 'valid'",
                got=f"strides={strides!r}, padding={padding!r}",
                fix="Leave both out.",
            )
        super().__init__(MaxPoolingMap(size), common=common)


class GlobalAveragePooling1D(KerasLayer):
    """The mean of a sequence over its real steps.

    Args:
        common: See `Common`.
    """

    def __init__(self, **common: Unpack[Common]) -> None:
        super().__init__(AverageMap(), common=common)


class GlobalMaxPooling1D(KerasLayer):
    """The largest value of each feature over the real steps of a sequence.

    Args:
        common: See `Common`.
    """

    def __init__(self, **common: Unpack[Common]) -> None:
        super().__init__(MaxMap(), common=common)


class Attention(KerasLayer):
    """Dot-product attention (Luong et al. 2015).

    In a model each step of the sequence is compared with all steps; called directly it also takes `[query, value]` or
    `[query, value, key]`, as in Keras.

    Args:
        use_scale: Whether the scores are multiplied by a learned number.
        score_mode: "dot".
        query: "self"; "learned" gives one vector, the average of the steps weighted by a learned query.
        common: See `Common`.
    """

    part: AttentionMap

    def __init__(
        self, use_scale: bool = False, score_mode: str = "dot", *, query: str = "self", **common: Unpack[Common]
    ) -> None:
        if score_mode != "dot":
            raise ArgumentError("score_mode must be 'dot'", got=repr(score_mode), fix="Leave it out.")
        super().__init__(AttentionMap(query, use_scale), common=common)

    def forward(self, x: Any, mask: Any = None, **options: Any) -> Any:
        if not isinstance(x, (list, tuple)):
            return super().forward(x, mask, **options)
        tensors = [t if isinstance(t, Tensor) else torch.as_tensor(t, dtype=torch.get_default_dtype()) for t in x]
        if len(tensors) not in (2, 3) or any(t.ndim != 3 for t in tensors) or self.part.query != "self":
            raise ShapeError(
                "attention must get [query, value] or [query, value, key], each (batch, time, features)",
                got=str([tuple(t.shape) for t in tensors]),
                fix="Pass such a list to Attention().",
            )
        query, value, key = (*tensors, tensors[1])[:3]
        if self.built_shape is None:
            self.build(tuple(value.shape[1:]), noise=Noise(next_seed()))
        scale = self.weights["scale"] if self.part.use_scale else 1.0
        keys = None if mask is None else torch.as_tensor(mask[1] if isinstance(mask, (list, tuple)) else mask)
        y: Tensor = attend(TORCH, query, key, value, scale=scale, mask=keys)
        return y if isinstance(x[0], Tensor) else y.detach().numpy()


def _one(size: int | Sequence[int]) -> Any:
    """Keras also writes sizes of one axis as (n,)."""
    return whole(size[0]) if isinstance(size, (tuple, list)) and len(size) == 1 else whole(size)
