"""A `Sequential` as a model file: what it is beyond its layers, and files of layers that something else made."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from ostinato.errors import ModelFileError
from ostinato.maps.base import Part, Shape, Weights
from ostinato.runtime.bundle import Bundle
from ostinato.runtime.machine import expected
from ostinato.runtime.manifest import FORMAT, Manifest, to_spec
from ostinato.runtime.refusal import reason
from ostinato.version import __version__

TASK = "sequential"


class Extras(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a `Sequential` is beyond its layers; weights are written "layer number/weight".

    Args:
        name: The model's name.
        seed: Its seed.
        batch_size: A fixed batch size, or None.
        stateful: Numbers of stateful layers.
        frozen: Numbers of layers that are not trained.
        fixed: Weights that are 0 for ever.
        penalised: Weights with a penalty.
        l1: Its first factor for each of them.
        l2: Its second factor.
    """

    name: str
    seed: int
    batch_size: int | None
    stateful: list[int]
    frozen: list[int]
    fixed: list[str]
    penalised: list[str]
    l1: list[float]
    l2: list[float]


msgspec.json.Decoder(Extras)
"""Resolves the types above now: reading a file must not compile anything, not even an annotation."""


class Named(msgspec.Struct, frozen=True):
    """A layer with its weights.

    Args:
        name: Its name.
        part: Its formula.
        weights: Its weights, without those that do not exist (a missing bias).
    """

    name: str
    part: Part
    weights: Weights


def to_bundle(layers: Sequence[Named], input_shape: Shape, *, name: str, seed: int = 0) -> Bundle:
    """Describe layers as a `Sequential` for `ostinato.runtime.bundle.save`; `load_model` can go on to train it.

    Args:
        layers: First one first. Weights that are missing are 0 for ever.
        input_shape: Shape of one sample, None for an open length.
        name: The model's name.
        seed: Its seed.
    """
    parts = tuple(layer.part for layer in layers)
    needed = expected(parts, input_shape)
    fixed = [f"{i}/{key}" for i, (n, layer) in enumerate(zip(needed, layers, strict=True)) for key in n
             if key not in layer.weights]  # fmt: skip
    extras = Extras(name, seed, None, [], [], sorted(fixed), [], [], [])
    manifest = Manifest(
        format=FORMAT,
        ostinato=__version__,
        task=TASK,
        input_shape=list(input_shape),
        layers=[to_spec(layer.name, layer.part) for layer in layers],
        options=msgspec.to_builtins(extras),
    )
    weights = [
        {key: np.asarray(layer.weights.get(key, np.zeros(w.shape)), np.float32) for key, w in n.items()}
        for n, layer in zip(needed, layers, strict=True)
    ]
    return Bundle(manifest, parts, weights)


def extras_of(bundle: Bundle) -> Extras:
    """What a loaded `Sequential` is beyond its layers.

    Raises:
        ModelFileError: The file is of another task, or its settings are not valid.
    """
    if bundle.manifest.task != TASK:
        raise ModelFileError(
            f"the model must be of task {TASK}",
            got=repr(bundle.manifest.task),
            fix="Pass a file that Sequential.save wrote.",
            code="task",
        )
    try:
        return msgspec.convert(bundle.manifest.options, Extras, strict=True)
    except msgspec.ValidationError as error:
        raise ModelFileError(
            "the options of a Sequential must be valid", got=reason(error), fix="Save the model again.", code="options"
        ) from None


def layers_of(bundle: Bundle) -> list[Named]:
    """The layers of a loaded model, with their weights in the formula's order, without those that do not exist.

    Raises:
        ModelFileError: The model is of several networks, or its settings are not valid.
    """
    if bundle.manifest.members > 1:
        raise ModelFileError(
            "the model must be one network",
            got=f"{bundle.manifest.members}, whose outputs are averaged",
            fix="Convert it to ONNX, which can hold their mean, or train with one member.",
            code="task",
        )
    fixed = extras_of(bundle).fixed if bundle.manifest.task == TASK else []
    needed = expected(bundle.parts, tuple(bundle.manifest.input_shape))
    return [
        Named(spec.name, part, {key: w[key] for key in n if f"{i}/{key}" not in fixed})
        for i, (spec, part, n, w) in enumerate(
            zip(bundle.manifest.layers, bundle.parts, needed, bundle.weights, strict=True)
        )
    ]


def name_of(bundle: Bundle) -> str:
    """The model's name; of a task, the task's."""
    return extras_of(bundle).name if bundle.manifest.task == TASK else bundle.manifest.task
