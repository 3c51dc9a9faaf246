"""The state of a run as text and tensors, and back: plain values only, nothing that could name code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

_TENSOR, _ARRAY, _FLOAT = "$tensor", "$array", "$float"


def pack(state: Any, tensors: dict[str, Tensor]) -> Any:
    """`state` as values that JSON can hold; its tensors and arrays are copied into `tensors`.

    Args:
        state: Nested dictionaries (of text keys), lists and tuples of numbers, text, None, tensors and arrays.
        tensors: Filled by name.

    Raises:
        TypeError: Something else is in `state`.
    """
    if state is None or isinstance(state, (bool, int, str)):
        return state
    if isinstance(state, float):
        return float(state) if math.isfinite(state) else {_FLOAT: repr(float(state))}
    if isinstance(state, np.generic):
        return pack(state.item(), tensors)
    if isinstance(state, (Tensor, np.ndarray)):
        name = f"t{len(tensors)}"
        if isinstance(state, Tensor):
            tensors[name] = state.detach().clone(memory_format=torch.contiguous_format)
            return {_TENSOR: name}
        tensors[name] = torch.from_numpy(np.array(state, order="C"))
        return {_ARRAY: name}
    if isinstance(state, Mapping):
        wrong = [key for key in state if not isinstance(key, str) or key.startswith("$")]
        if wrong:
            raise TypeError(f"keys of a state must be text that does not begin with $, not {wrong[0]!r}")
        return {key: pack(value, tensors) for key, value in state.items()}
    if isinstance(state, Sequence):
        return [pack(value, tensors) for value in state]
    raise TypeError(f"a state must hold plain values, tensors and arrays, not {type(state).__name__}")


def unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of `pack`; tuples come back as lists.

    Raises:
        KeyError: A tensor is missing.
    """
    if isinstance(value, dict):
        if len(value) == 1:
            ((key, inner),) = value.items()
            if key == _TENSOR:
                return tensors[inner]
            if key == _ARRAY:
                return tensors[inner].numpy()
            if key == _FLOAT:
                return float(inner)
        return {key: unpack(inner, tensors) for key, inner in value.items()}
    if isinstance(value, list):
        return [unpack(inner, tensors) for inner in value]
    return value
