"""A saved model as an ONNX file, checked against ONNX Runtime where that is installed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ostinato.convert.onnx import compare, network
from ostinato.convert.onnx.metadata import describe, outside
from ostinato.convert.onnx.network import Writing, Written, Y
from ostinato.convert.onnx.value import Value, known
from ostinato.errors import ConversionError, ShapeError
from ostinato.maps.base import Part, Shape, Weights
from ostinato.maps.embedding import Embedding
from ostinato.maps.masking import Masking
from ostinato.runtime import Forecaster, Generator, Network
from ostinato.runtime.atomic import replace_file
from ostinato.runtime.machine import Machine

Model = Network | Forecaster | Generator
Array = np.ndarray[Any, Any]

Computed = Callable[[Array], Array]

_LENGTHS = (40, 83)
_LONGEST = 2048
_ROUNDING = 2.0**-23


class Exported(NamedTuple):
    """What was written.

    Args:
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        difference: Largest difference to ONNX Runtime's outputs, 1 = the largest one; None if that is not installed.
        outside: What the file does not hold, for a person.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    difference: float | None
    outside: str


def save_onnx(model: Model, path: str | os.PathLike[str], *, step: bool = False) -> Exported:
    """Write a loaded model as an ONNX file, with open batch and time axes.

    Args:
        model: As `ostinato.runtime.load` gives it. Of a forecaster with several members the file holds the mean.
        path: Where to.
        step: Write one step with states in and out, for streams, instead of whole sequences.

    Raises:
        ConversionError: ONNX cannot say a layer, or (`differs`) ONNX Runtime does not compute the same.
        MissingDependency: The package onnx is not installed.
        OSError: The file cannot be written; an older one is as it was.
    """
    written = to_onnx(model, step=step)
    difference = check(model, written) if compare.installed() else None
    replace_file(os.fspath(path), [written.model.SerializeToString(deterministic=True)])
    names = [[v.name for v in side] for side in (written.model.graph.input, written.model.graph.output)]
    return Exported(tuple(names[0]), tuple(names[1]), difference, outside(model))


def to_onnx(model: Model, *, step: bool = False) -> Written:
    """The model as an `onnx.ModelProto` with its metadata; arguments and errors as for `save_onnx`."""
    if isinstance(model, Forecaster):
        if step:
            raise ConversionError(
                "a step model must be of a network that goes on from step to step",
                got="a forecaster, which sees each window anew",
                fix="Convert the whole model, without --step.",
            )
        return _forecaster(model)
    parts, weights, shape = _network(model)
    written = (network.step if step else network.whole)(parts, weights[0], shape)
    return _described(model, written)


def check(model: Model, written: Written) -> float:
    """The largest difference between ONNX Runtime and ostinato on random inputs; see `compare.difference`."""
    running = compare.Running(written.model)
    parts, weights, shape = _network(model)
    machine = Machine(parts, weights[0])
    theirs: Computed = (lambda x: running.stream(x, written.states)) if written.step else running.predict
    return compare.difference(
        _computed(model, step=written.step), theirs, _samples(parts, shape, lambda x: machine.run(x)[0]),
        noise=_computed(_shaken(model), step=written.step),
    )  # fmt: skip


def _computed(model: Model, *, step: bool) -> Computed:
    """What ostinato computes, from whole samples, in one call or step by step."""
    if isinstance(model, Forecaster):
        return model.answer
    parts, weights, shape = _network(model)
    whole = Network(parts, weights[0], shape)
    if step:
        return lambda x: np.stack([whole.stream().run(row) for row in x])
    machine = Machine(parts, weights[0])
    return lambda x: machine.run(x)[0]


def _shaken(model: Model) -> Model:
    """The model with weights that were rounded another way: what it changes is noise of float32."""
    rng = np.random.default_rng(0)

    def shaken(members: Sequence[Sequence[Weights]]) -> Any:
        return tuple(
            [{k: (v * (1.0 + _ROUNDING * rng.choice([-1.0, 1.0], v.shape))).astype(np.float32) for k, v in w.items()}
             for w in one] for one in members
        )  # fmt: skip

    if isinstance(model, Forecaster):
        return replace(model, members=shaken(model.members))
    return replace(model, weights=shaken([model.weights])[0])


def _network(model: Model) -> tuple[tuple[Part, ...], Sequence[Sequence[Weights]], Shape]:
    if isinstance(model, Forecaster):
        return model.parts, model.members, (model.framing.length, 1)
    if isinstance(model, Generator):
        return model.parts, [model.weights], (None,)
    return model.parts, [model.weights], model.input_shape


def _described(model: Model, written: Written) -> Written:
    for key, text in describe(model, written.states).items():
        entry = written.model.metadata_props.add()
        entry.key, entry.value = key, text
    return written


def _forecaster(model: Forecaster) -> Written:
    """The mean of the members, as `Forecaster.answer` gives it: sorted, widened, sorted."""
    writing = Writing(model.parts, (model.framing.length, 1))
    x = writing.input(writing.input_shape)
    total = sum((writing.run(x, weights)[0] for weights in model.members[1:]), writing.run(x, model.members[0])[0])
    mean = total * (1.0 / len(model.members)) if len(model.members) > 1 else total
    n = 2 * len(model.level) + 1
    quantiles = writing.xp.reshape(mean, (x.shape[0], model.framing.horizon, n))
    widening = np.zeros(n, np.float32)
    widening[: len(model.level)] = -model.widening
    widening[n - len(model.level) :] = model.widening[::-1]
    answer = _rising(_rising(quantiles, n) + known(writing.graph, widening, hint="widening"), n)
    return _described(model, Written(writing.finish([x], {Y: answer})))


def _rising(y: Value, n: int) -> Value:
    """Sorted along the last axis, of size `n`."""
    count = y.graph.constant(np.array([n], np.int64))
    values, _ = y.graph.node("TopK", [y.name, count], outputs=2, axis=-1, largest=0, sorted=1)
    return Value(y.graph, values, y.dtype, y.shape)


def _samples(parts: Sequence[Part], shape: Shape, run: Callable[[Array], Array]) -> list[Array]:
    """Random inputs of several sizes, with padding where layers look for it."""
    rng = np.random.default_rng(0)
    found = []
    for batch, length in zip((3, 1), _LENGTHS, strict=True):
        while True:
            x = _sample(rng, parts, (batch, *(length if n is None else n for n in shape)))
            try:
                run(x)
            except ShapeError:  # shorter than a layer needs
                if length > _LONGEST or None not in shape:
                    raise
                length *= 2
                continue
            found.append(x)
            break
    return found


def _sample(rng: np.random.Generator, parts: Sequence[Part], shape: tuple[int, ...]) -> Array:
    if parts and isinstance(parts[0], Embedding):
        ids = rng.integers(0, parts[0].input_dim, shape)
        ids[0, -1] = 0
        return ids
    x = rng.normal(size=shape).astype(np.float32)
    for part in parts:
        if isinstance(part, Masking) and len(shape) == 3:
            x[0, -2:] = part.mask_value
    return x
