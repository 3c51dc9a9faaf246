"""Models from files."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from ostinato.errors import ArgumentError, ModelFileError
from ostinato.layers.keras_base import Weighing
from ostinato.layers.keras_from_part import from_part
from ostinato.layers.regularisers import L1L2
from ostinato.models.arguments import refuse_unknown
from ostinato.models.saving import RATE, fill, setting_names
from ostinato.models.sequential import Sequential
from ostinato.runtime.bundle import Bundle, load
from ostinato.runtime.manifest import Settings
from ostinato.runtime.sequential_file import Extras
from ostinato.train.optimisers import OPTIMIZERS, Averages
from ostinato.train.schedules import from_settings


def load_model(path: str | os.PathLike[str], *, compile: bool = True, **unknown: object) -> Sequential:
    """Read a model that `save` wrote.

    Args:
        path: The file.
        compile: Whether the model is compiled if it was, with the optimiser at its beginning.
        unknown: Refused; a file never holds code, so there is nothing that `custom_objects` could explain.

    Raises:
        ModelFileError: The file is damaged, foreign, too new, or holds no `Sequential`.
    """
    refuse_unknown("load_model", unknown)
    return from_bundle(load(path, task_tensors={}), compile=compile)


def from_bundle(bundle: Bundle, *, compile: bool = True) -> Sequential:
    """As `load_model`, from a file that was read already."""
    manifest = bundle.manifest
    if manifest.task != "sequential":
        raise ModelFileError(
            "load_model must get a file of a Sequential",
            got=f"a file of the task {manifest.task!r}",
            fix="Load it with the task's own class.",
            code="task",
        )
    try:
        extras = msgspec.convert(manifest.options, Extras, strict=True)
        model = Sequential(name=extras.name, seed=extras.seed)
        for number, (spec, part) in enumerate(zip(manifest.layers, bundle.parts, strict=True)):
            layer = from_part(part, name=spec.name, weighing=_weighing(extras, number))
            layer.stateful = number in extras.stateful
            layer.batch_size = extras.batch_size
            if number == 0:
                layer.input_shape = tuple(manifest.input_shape)
            model.add(layer)
            fill(layer, bundle.weights[number])
            layer.trainable = number not in extras.frozen
        if compile:
            _compile(model, manifest.compiled)
    except (msgspec.ValidationError, ArgumentError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(
            "the options of a Sequential must be valid",
            got=str(error)[:200],
            fix="Save the model again.",
            code="options",
        ) from error
    return model


def _weighing(extras: Extras, number: int) -> Weighing:
    own = f"{number}/"
    penalties = {
        key.removeprefix(own): L1L2(a, b)
        for key, a, b in zip(extras.penalised, extras.l1, extras.l2, strict=True)
        if key.startswith(own)
    }
    return Weighing({}, penalties, [key.removeprefix(own) for key in extras.fixed if key.startswith(own)])


_LATER = {f"optimizer_{name}" for name in (*Averages.__annotations__, "gradient_accumulation_steps")}
"""Settings that older files do not have; they are off there."""


def _compile(model: Sequential, compiled: Settings) -> None:
    if not compiled:
        return
    cls = OPTIMIZERS[str(compiled["optimizer"])]
    names = setting_names(cls)
    expected = {"loss", "metrics", "optimizer", *(f"optimizer_{name}" for name in names)}
    given = {key.partition("/")[0] for key in compiled}
    if not expected - _LATER <= given <= expected:
        raise ArgumentError(
            f"compiled must be exactly {', '.join(sorted(expected))}",
            got=", ".join(sorted(compiled)),
            fix="Save again.",
        )
    rate = f"optimizer_{RATE}"
    settings: Any = {name: compiled[f"optimizer_{name}"] for name in names if f"optimizer_{name}" in compiled}
    settings[RATE] = from_settings(
        {key[len(rate) + 1 :]: value for key, value in compiled.items() if key.partition("/")[0] == rate}
    )
    metrics: Any = compiled["metrics"]
    model.compile(optimizer=cls(**settings), loss=str(compiled["loss"]), metrics=metrics)
