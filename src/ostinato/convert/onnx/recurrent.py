"""Cells along time in ONNX: its own operators where they compute the same, else a loop around the cell's own step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ostinato.cells.base import Cell
from ostinato.cells.gru import GRU
from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.convert.onnx.graph import needed
from ostinato.convert.onnx.namespace import Tracing
from ostinato.convert.onnx.value import Known, Value, known, squeezed, unsqueezed
from ostinato.maps.base import State, Weights
from ostinato.scans.loop import advance

Array = np.ndarray[Any, Any]

_ACTIVATIONS = {"tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "softsign": "Softsign", "softplus": "Softplus"}
"""Nonlinearities without parameters that ONNX's recurrent operators know."""

_MIRRORED = {"sigmoid"}
"""Those with f(-a) = 1 - f(a), so that a gate z is 1 - z with its weights negated."""


class Operator(NamedTuple):
    """One of ONNX's recurrent operators for one cell.

    Args:
        name: The operator.
        activations: Names of its nonlinearities.
        turn: Our blocks of gates, along the last axis, in its order and signs.
        options: Its further attributes.
    """

    name: str
    activations: tuple[str, ...]
    turn: Callable[[Array], Array]
    options: Mapping[str, int] = {}


def operator(cell: Cell) -> Operator | None:
    """ONNX's operator that computes exactly this cell, or None.

    Its gates of an LSTM are i, o, f, c and of a GRU z, r, h, where z weighs the old state: our published GRU is the
    same function with z negated, if its nonlinearity is mirrored.
    """
    names = [str(getattr(cell, "recurrent_activation", "tanh")), str(getattr(cell, "activation", ""))]
    if not all(name in _ACTIVATIONS for name in names):
        return None
    gate, new = (_ACTIVATIONS[name] for name in names)
    if type(cell) is SimpleRNN:
        return Operator("RNN", (new,), lambda v: v)
    if type(cell) is LSTM:
        return Operator("LSTM", (gate, new, new), lambda v: _blocks(v, 4, (0, 1), (3, 1), (1, 1), (2, 1)))
    if type(cell) is GRUResetAfter:
        options = {"linear_before_reset": 1}
        return Operator("GRU", (gate, new), lambda v: _blocks(v, 3, (1, 1), (0, 1), (2, 1)), options)
    if type(cell) is GRU and cell.recurrent_activation in _MIRRORED:
        return Operator("GRU", (gate, new), lambda v: _blocks(v, 3, (1, -1), (0, 1), (2, 1)))
    return None


def _blocks(v: Array, n: int, *order: tuple[int, int]) -> Array:
    parts = np.split(v, n, axis=-1)
    return np.concatenate([sign * parts[i] for i, sign in order], axis=-1)


def scan(
    cell: Cell, w: Weights, x: Value, state: State, *,
    mask: Value | None, reverse: bool, noise: None, zone: float | None,
) -> tuple[Value, State]:  # fmt: skip
    """Write `cell` along time; arguments and results as of `ostinato.scans.loop.loop`."""
    chosen = operator(cell)
    if chosen is not None and mask is None and zone is None:
        return _native(chosen, cell, w, x, state, reverse=reverse)
    return _loop(cell, w, x, state, mask=mask, reverse=reverse, zone=zone)


def one_step(
    cell: Cell, w: Weights, x: Value, state: State, *,
    mask: Value | None, reverse: bool, noise: None, zone: float | None,
) -> tuple[Value, State]:  # fmt: skip
    """Write one step, for `x [batch, 1, features]`."""
    xp = Tracing(x.graph)
    if mask is not None:
        x = xp.where(unsqueezed(mask, [2]), x, xp.zeros_like(x))
    a = cell.project(x, w["W"], w["b"])[:, 0]
    extra = {name: w[name] for name in cell.extra()}
    kept = None if zone is None else [zone] * len(state)
    y, state = advance(xp, cell, a, w["U"], state, extra, kept=kept, real=mask)
    return unsqueezed(y, [1]), state


def _native(chosen: Operator, cell: Cell, w: Weights, x: Value, state: State, *, reverse: bool) -> tuple[Value, State]:
    graph, n = x.graph, cell.units
    b = _numbers(w["b"])
    b_rec = _numbers(w["b_rec"]) if "b_rec" in w else np.zeros_like(b)
    turned = [chosen.turn(v) for v in (_numbers(w["W"]), _numbers(w["U"]), b, b_rec)]
    weights = [known(graph, v.T[None], hint=hint) for v, hint in zip(turned[:2], "WR", strict=True)]
    bias = known(graph, np.concatenate(turned[2:])[None], hint="B")
    begins = ["" if s.fill == 0.0 else unsqueezed(s, [0]).name for s in state]
    steps = x.node("Transpose", perm=[1, 0, 2], shape=(x.shape[1], x.shape[0], x.shape[2]))
    y, *final = graph.node(
        chosen.name,
        _without_end([steps.name, *(v.name for v in (*weights, bias)), "", *begins]),
        outputs=1 + len(state),
        hidden_size=n,
        activations=list(chosen.activations),
        direction="reverse" if reverse else "forward",
        **chosen.options,
    )
    batch, time = x.shape[0], x.shape[1]
    ys = squeezed(Value(graph, y, x.dtype, (time, 1, batch, n)), [1])
    ys = ys.node("Transpose", perm=[1, 0, 2], shape=(batch, time, n))
    return ys, tuple(squeezed(Value(graph, s, x.dtype, (1, batch, n)), [0]) for s in final)


def _without_end(names: list[str]) -> list[str]:
    """Without inputs that are left out at the end."""
    while not names[-1]:
        names = names[:-1]
    return names


def _numbers(value: Any) -> Array:
    assert isinstance(value, Known), "weights are known numbers"
    return value.numbers


def _loop(
    cell: Cell, w: Weights, x: Value, state: State, *, mask: Value | None, reverse: bool, zone: float | None
) -> tuple[Value, State]:
    graph, xp, helper = x.graph, Tracing(x.graph), x.graph.onnx.helper
    if mask is not None:
        x = xp.where(unsqueezed(mask, [2]), x, xp.zeros_like(x))
    a = cell.project(x, w["W"], w["b"])
    batch, time = x.shape[0], x.shape[1]
    slices = [a] if mask is None else [a, mask]
    extra = {name: w[name] for name in cell.extra()}
    with graph.body() as nodes:
        before = [Value(graph, graph.name("state"), s.dtype, s.shape) for s in state]
        now = [Value(graph, graph.name("step"), s.dtype, (batch, *s.shape[2:])) for s in slices]
        kept = None if zone is None else [zone] * len(state)
        real = unsqueezed(now[1], [1]) if mask is not None else None
        y, after = advance(xp, cell, now[0], w["U"], tuple(before), extra, kept=kept, real=real)
        results = [v.node("Identity") for v in (*after, y)]  # one name for each, also where two are the same
    inputs = [graph.info(v.name, v.dtype, None) for v in (*before, *now)]
    outputs = [graph.info(v.name, v.dtype, None) for v in results]
    body = helper.make_graph(needed(nodes, {v.name for v in results}), graph.name("body"), inputs, outputs)
    direction = [int(reverse)]
    *final, ys = graph.node(
        "Scan",
        [v.name for v in (*state, *slices)],
        outputs=len(state) + 1,
        body=body,
        num_scan_inputs=len(slices),
        scan_input_axes=[1] * len(slices),
        scan_input_directions=direction * len(slices),
        scan_output_axes=[1],
        scan_output_directions=direction,
    )
    shape = (batch, cell.units)
    return Value(graph, ys, x.dtype, (batch, time, cell.units)), tuple(Value(graph, s, x.dtype, shape) for s in final)
