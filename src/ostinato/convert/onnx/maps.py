"""Maps in ONNX: an operator of its own where ONNX has one, else what the map's own formula does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ostinato.convert.onnx.value import Known, Value, known, size_of
from ostinato.maps.activation import Activation
from ostinato.maps.base import Context, Map, Out, State, Weights, silence
from ostinato.maps.conv1d import Conv1D
from ostinato.maps.dense import Dense
from ostinato.maps.time_distributed import TimeDistributed

_OPERATORS: MappingProxyType[str, tuple[str, dict[str, Any]]] = MappingProxyType(
    {
        "relu": ("Relu", {}),
        "leaky_relu": ("LeakyRelu", {"alpha": 0.2}),
        "tanh": ("Tanh", {}),
        "sigmoid": ("Sigmoid", {}),
        "hard_sigmoid": ("HardSigmoid", {"alpha": 1.0 / 6.0, "beta": 0.5}),
        "softplus": ("Softplus", {}),
        "softsign": ("Softsign", {}),
        "elu": ("Elu", {}),
        "selu": ("Selu", {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}),
        "exponential": ("Exp", {}),
        "softmax": ("Softmax", {"axis": -1}),
    }
)


def apply(part: Any, ctx: Context, w: Weights, x: Value, *, mask: Value | None, state: State = ()) -> Out:
    """As `part.apply`, with ONNX's own operators where they compute the same."""
    own = FORMULAS.get(type(part))
    if own is None:
        out: Out = part.apply(ctx, w, x, mask=mask, state=state)
    else:
        x = x if mask is None else silence(ctx.xp, x, mask)
        out = Out(own(part, ctx.xp, w, x, mask), part.out_mask(ctx.xp, x, mask), ())
    if out.mask is not None:  # a mask has the batch and time axes of what it belongs to
        out.mask.shape = out.y.shape[:2]
    return out


def _formula(part: Map, xp: Any, w: Weights, x: Value, mask: Value | None) -> Value:
    own = FORMULAS.get(type(part))
    y: Value = part.formula(xp, w, x, mask) if own is None else own(part, xp, w, x, mask)
    return y


def _activated(part: Any, xp: Any, w: Weights, x: Value, mask: Value | None) -> Value:
    """The formula without its nonlinearity, then the operator for that."""
    if part.activation not in _OPERATORS:
        y: Value = part.formula(xp, w, x, mask)
        return y
    op, options = _OPERATORS[part.activation]
    linear: Value = replace(part, activation="linear").formula(xp, w, x, mask)
    return linear.node(op, **options)


def _conv1d(part: Conv1D, xp: Any, w: Weights, x: Value, mask: Value | None) -> Value:
    if x.ndim != 3:
        return _activated(part, xp, w, x, mask)
    kernel = w["W"]
    assert isinstance(kernel, Known)
    weights = [known(x.graph, kernel.numbers.transpose(2, 1, 0), hint="W")]
    if part.use_bias:
        weights.append(w["b"])
    channels = x.node("Transpose", perm=[0, 2, 1], shape=(x.shape[0], x.shape[2], x.shape[1]))
    y = channels.node("Conv", *weights, dilations=[part.dilation_rate], strides=[part.strides], **_padding(part))
    time = x.shape[1]
    steps = part._steps(time) if isinstance(time, int) else size_of(y, 2, f"conv1d({time},{part})")
    y.shape = (x.shape[0], part.filters, steps)
    y = y.node("Transpose", perm=[0, 2, 1], shape=(x.shape[0], steps, part.filters))
    return _activated(Activation(part.activation), xp, {}, y, None)


def _padding(part: Conv1D) -> dict[str, Any]:
    span = (part.kernel_size - 1) * part.dilation_rate + 1
    if part.padding == "valid":
        return {}
    if part.padding == "same" and part.strides > 1:
        return {"auto_pad": "SAME_UPPER"}
    missing = span - 1
    before = missing if part.padding == "causal" else missing // 2
    return {"pads": [before, missing - before]}


def _each_step(part: TimeDistributed, xp: Any, w: Weights, x: Value, mask: Value | None) -> Value:
    rows = xp.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))
    y = _formula(part.inner, xp, w, rows, None)
    return xp.reshape(y, (x.shape[0], x.shape[1], *y.shape[1:]))  # type: ignore[no-any-return]


FORMULAS: MappingProxyType[type[Map], Callable[..., Value]] = MappingProxyType(
    {Activation: _activated, Conv1D: _conv1d, Dense: _activated, TimeDistributed: _each_step}
)
"""Maps that are not traced from their own formula as it is."""
