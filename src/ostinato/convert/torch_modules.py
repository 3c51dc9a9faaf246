"""Our layers as torch's modules: class, constructor arguments, tensors, and what happens around the module.

torch's convolution and pooling want `[batch, features, time]`: the description then says `input` "transposed", and the
output is to be transposed back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ostinato.cells.gru import GRU
from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.maps.activation import Activation
from ostinato.maps.activity_penalty import ActivityPenalty
from ostinato.maps.attention import Attention
from ostinato.maps.base import Part, Shape, Weights
from ostinato.maps.conv1d import Conv1D
from ostinato.maps.dense import Dense
from ostinato.maps.dropout import Dropout
from ostinato.maps.embedding import Embedding
from ostinato.maps.flatten import Flatten
from ostinato.maps.global_average_pooling1d import GlobalAveragePooling1D
from ostinato.maps.global_max_pooling1d import GlobalMaxPooling1D
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.masking import Masking
from ostinato.maps.max_pooling1d import MaxPooling1D
from ostinato.maps.repeat_vector import RepeatVector
from ostinato.maps.reshape import Reshape
from ostinato.maps.unembedding import Unembedding
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

Array = np.ndarray[Any, Any]
Module = tuple[dict[str, Any], dict[str, Array]]

NONLINEARITIES = ("tanh", "relu")
"""What a torch.nn.RNN can compute."""

_LACKING = MappingProxyType(
    {
        Attention: "torch has no attention without projections as a module",
        Masking: "torch's layers have no masks",
        RepeatVector: "torch repeats a vector by a function, not by a module",
        Reshape: "torch reshapes by a function, not by a module",
    }
)


def why_not(part: Part) -> str | None:
    """None if torch has this layer, else the reason."""
    if isinstance(part, Bidirectional):
        if part.merge_mode != "concat" or part.backward is not None:
            return "torch joins two equal directions by concatenation only"
        return why_not(part.layer)
    if isinstance(part, Recurrent):
        return _why_not_recurrent(part)
    if isinstance(part, Embedding) and part.mask_zero:
        return "mask_zero=True: torch's layers have no masks"
    if isinstance(part, Conv1D) and part.padding == "same" and part.strides > 1:
        return "padding='same' with strides: in torch what is added does not follow from the length"
    if type(part) in _MODULES:
        return None
    return _LACKING.get(type(part), f"{type(part).__name__} has no counterpart among torch's modules")


def to_module(part: Part, w: Weights, shape: Shape) -> Module:
    """The module of a layer that `why_not` does not refuse.

    Args:
        part: Its formula.
        w: Its weights that exist.
        shape: Shape of one sample before it.

    Returns:
        A description for people and programs, and the tensors by their names in the module.
    """
    if isinstance(part, (Recurrent, Bidirectional)):
        return _recurrent(part, w, shape)
    return _MODULES[type(part)](part, w)


def _why_not_recurrent(part: Recurrent) -> str | None:
    cell = part.cell
    if type(cell) is GRU:
        return "gru resets before the recurrent product, torch's GRU after it (gru_reset_after): another function"
    if type(cell) not in (SimpleRNN, LSTM, GRUResetAfter):
        return f"torch has no {type(cell).__name__}"
    if getattr(cell, "recurrent_activation", "sigmoid") != "sigmoid":
        return f"recurrent_activation={cell.recurrent_activation!r}"  # type: ignore[attr-defined]
    if cell.activation not in (NONLINEARITIES if type(cell) is SimpleRNN else ("tanh",)):  # type: ignore[attr-defined]
        return f"activation={cell.activation!r}"  # type: ignore[attr-defined]
    if part.reverse:
        return "torch has no layer that runs backward only"
    if part.start != "zeros":
        return "a learned start is no weight of torch's layers"
    return "zoneout, which torch does not have" if part.zoneout else None


def _recurrent(part: Recurrent | Bidirectional, w: Weights, shape: Shape) -> Module:
    one = part.layer if isinstance(part, Bidirectional) else part
    cell = one.cell
    both = isinstance(part, Bidirectional)
    name = {SimpleRNN: "RNN", LSTM: "LSTM", GRUResetAfter: "GRU"}[type(cell)]
    tensors: dict[str, Array] = {}
    for prefix, suffix in (("forward_", "_l0"), ("backward_", "_l0_reverse")) if both else (("", "_l0"),):
        W = w[prefix + "W"]
        tensors |= {f"weight_ih{suffix}": W.T, f"weight_hh{suffix}": w[prefix + "U"].T}
        if prefix + "b" in w:
            b = w[prefix + "b"]
            tensors |= {f"bias_ih{suffix}": b, f"bias_hh{suffix}": w.get(prefix + "b_rec", np.zeros_like(b))}
    arguments = {"input_size": shape[-1], "hidden_size": cell.units, "bias": len(tensors) > 2 * (1 + both)}
    arguments |= {"batch_first": True, "bidirectional": both}
    if name == "RNN":
        arguments["nonlinearity"] = cell.activation  # type: ignore[attr-defined]
    said = _said(name, arguments)
    return said | {"output": "all steps" if one.return_sequences else "the last state of each direction"}, tensors


def _said(module: str, arguments: Mapping[str, Any], *, activation: str = "linear", **around: str) -> dict[str, Any]:
    said = {"module": f"torch.nn.{module}", "arguments": dict(arguments), **around}
    return said if activation == "linear" else {**said, "then": activation}


def _linear(kernel: Array, w: Weights, activation: str) -> Module:
    arguments = {"in_features": kernel.shape[0], "out_features": kernel.shape[1], "bias": "b" in w}
    return _said("Linear", arguments, activation=activation), {"weight": kernel.T, **_bias(w)}


def _bias(w: Weights) -> dict[str, Array]:
    return {"bias": w["b"]} if "b" in w else {}


def _conv(part: Conv1D, w: Weights) -> Module:
    kernel = w["W"]  # [kernel_size, features, filters]
    span = (part.kernel_size - 1) * part.dilation_rate
    arguments = {
        "in_channels": kernel.shape[1], "out_channels": part.filters, "kernel_size": part.kernel_size,
        "stride": part.strides, "padding": "same" if part.padding == "same" else 0, "dilation": part.dilation_rate,
        "bias": "b" in w,
    }  # fmt: skip
    before = f"transposed, {span} steps of zeros in front" if part.padding == "causal" and span else "transposed"
    said = _said("Conv1d", arguments, activation=part.activation, input=before)
    return said, {"weight": np.transpose(kernel, (2, 1, 0)), **_bias(w)}


def _dropout(part: Dropout) -> Module:
    if part.over_time:
        return _said("Dropout1d", {"p": part.rate}, input="transposed"), {}
    return _said("Dropout", {"p": part.rate}), {}


def _norm(part: LayerNorm, w: Weights) -> Module:
    options = {"normalized_shape": len(w["gamma"]), "eps": part.epsilon}
    return _said("LayerNorm", options), {"weight": w["gamma"], "bias": w["beta"]}


def _embedding(part: Embedding, w: Weights) -> Module:
    sizes = {"num_embeddings": part.input_dim, "embedding_dim": part.output_dim}
    return _said("Embedding", sizes), {"weight": w["table"]}


def _whole(module: str) -> Module:
    """Pooling over all of time."""
    return _said(module, {"output_size": 1}, input="transposed", output="the only step"), {}


_MODULES: Mapping[type[Part], Callable[[Any, Weights], Module]] = MappingProxyType(
    {
        Activation: lambda p, w: (_said("Identity", {}, activation=p.activation), {}),
        ActivityPenalty: lambda p, w: (_said("Identity", {}), {}),
        Conv1D: _conv,
        Dense: lambda p, w: _linear(w["W"], w, p.activation),
        Dropout: lambda p, w: _dropout(p),
        Embedding: _embedding,
        Flatten: lambda p, w: (_said("Flatten", {}), {}),
        GlobalAveragePooling1D: lambda p, w: _whole("AdaptiveAvgPool1d"),
        GlobalMaxPooling1D: lambda p, w: _whole("AdaptiveMaxPool1d"),
        LayerNorm: _norm,
        MaxPooling1D: lambda p, w: (_said("MaxPool1d", {"kernel_size": p.pool_size}, input="transposed"), {}),
        Unembedding: lambda p, w: _linear(w["table"].T, w, "linear"),
    }
)
