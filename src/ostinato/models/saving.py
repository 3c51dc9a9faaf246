"""Models into files."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import torch

from ostinato.errors import ArgumentError, ModelFileError
from ostinato.layers.keras_base import KerasLayer
from ostinato.layers.step_module import StepModule
from ostinato.losses.named import Loss
from ostinato.maps.base import Shape
from ostinato.models.figures import Figure
from ostinato.runtime.bundle import Bundle, load, save
from ostinato.runtime.keras_h5 import Slot, is_h5
from ostinato.runtime.keras_legacy import read_weights
from ostinato.runtime.manifest import FORMAT, Manifest, Settings, to_spec
from ostinato.runtime.sequential_file import TASK, Extras
from ostinato.train.optimisers import OPTIMIZERS, Averages, Limits, Optimizer
from ostinato.train.schedules import to_settings
from ostinato.version import __version__


class Savable(Protocol):
    """What of a model goes into a file."""

    name: str
    seed: int
    built_shape: Shape | None
    optimizer: Optimizer | None

    @property
    def entries(self) -> list[KerasLayer]:
        """The layers."""

    @property
    def batch_size(self) -> int | None:
        """The fixed batch size, or None."""

    @property
    def told(self) -> tuple[Loss, tuple[Figure, ...]] | None:
        """What `compile` was told: loss and metrics."""


def save_model(model: Savable, path: str | os.PathLike[str]) -> None:
    """Write `model` to one file, with what `compile` was told if that has names.

    Raises:
        ModelFileError: A layer is not ostinato's own, or the file cannot be written.
    """
    layers = model.entries
    for layer in layers:
        if isinstance(layer.part, StepModule):
            raise ModelFileError(
                "a saved model must consist of ostinato's own layers and cells, since a file can never bring code",
                got=f"the module {type(layer.part.module).__name__}",
                where=f"layer {layer.name!r}",
                fix="Save the weights with get_weights(), and build the model from your own code before set_weights().",
                code="custom_layer",
            )
    manifest = Manifest(
        format=FORMAT,
        ostinato=__version__,
        task=TASK,
        input_shape=list(model.built_shape or ()),
        layers=[to_spec(str(layer.name), layer.part) for layer in layers],
        options=msgspec.to_builtins(_extras(model, layers)),
        compiled=_compiled(model),
    )
    weights = [
        {key: w.detach().cpu().numpy().astype(np.float32, copy=False) for key, w in layer.tensors().items()}
        for layer in layers
    ]
    save(path, Bundle(manifest, tuple(layer.part for layer in layers), weights))


def load_weights(model: Savable, path: str | os.PathLike[str]) -> None:
    """Copy the weights of a file into a built model of the same layers.

    Raises:
        ModelFileError: The file cannot be used, or its layers are others.
        ConversionError: The same for an H5 file of Keras.
        MissingDependency: It is one, and h5py is not installed.
    """
    if is_h5(path):
        _load_keras_weights(model, path)
        return
    bundle = load(path, task_tensors={})
    layers = model.entries
    if bundle.parts != tuple(layer.part for layer in layers):
        raise ModelFileError(
            f"the file must hold the same layers: {', '.join(str(layer.name) for layer in layers)}",
            got=", ".join(spec.name for spec in bundle.manifest.layers),
            fix="Build the model as it was when it was saved, or use load_model().",
            code="layers",
        )
    for layer, weights in zip(layers, bundle.weights, strict=True):
        fill(layer, weights)


def _load_keras_weights(model: Savable, path: str | os.PathLike[str]) -> None:
    """From an H5 file that Keras wrote; everything is checked before a weight is changed."""
    slots = [
        Slot(layer.part, {k: w.detach().cpu().numpy() for k, w in layer.tensors().items() if k not in layer.fixed},
             f"layer {layer.name!r}")
        for layer in model.entries
    ]  # fmt: skip
    found = read_weights(Path(path).read_bytes(), slots)
    for layer, arrays in zip(model.entries, found, strict=True):
        layer.set_weights(arrays)


def _extras(model: Savable, layers: list[KerasLayer]) -> Extras:
    penalties = [
        (f"{number}/{key}", rule)
        for number, layer in enumerate(layers)
        for key, rule in layer.weighing.penalties.items()
    ]
    return Extras(
        name=model.name,
        seed=model.seed,
        batch_size=model.batch_size,
        stateful=[number for number, layer in enumerate(layers) if layer.stateful],
        frozen=[number for number, layer in enumerate(layers) if not layer.trainable],
        fixed=sorted(f"{number}/{key}" for number, layer in enumerate(layers) for key in layer.fixed),
        penalised=[key for key, _ in penalties],
        l1=[float(rule.l1) for _, rule in penalties],
        l2=[float(rule.l2) for _, rule in penalties],
    )


@torch.no_grad()
def fill(layer: KerasLayer, weights: dict[str, np.ndarray[Any, Any]]) -> None:
    """Copy the numbers of a file into a built layer."""
    for key, own in layer.tensors().items():
        if key in layer.fixed and np.any(weights[key]):
            raise ArgumentError(
                "a weight that does not exist must be 0", got="other numbers", where=key, fix="Save again."
            )
        own.copy_(torch.from_numpy(weights[key]))


def _compiled(model: Savable) -> Settings:
    """What `compile` was told, if a name says all of it; else nothing, and the loaded model must be compiled again."""
    optimizer = model.optimizer
    if model.told is None:
        return {}
    loss, figures = model.told
    if not loss.plain or not all(f.plain for f in figures):
        return {}
    kind = next((name for name, cls in OPTIMIZERS.items() if type(optimizer) is cls), None)
    if kind is None or optimizer is None:
        return {}
    rate = to_settings(optimizer.schedule or optimizer.learning_rate)
    if rate is None:
        return {}
    others = [name for name in setting_names(OPTIMIZERS[kind]) if name != RATE]
    return {
        "loss": loss.name,
        "metrics": [f.name for f in figures],
        "optimizer": kind,
        **{f"optimizer_{RATE}/{key}".rstrip("/"): value for key, value in rate.items()},
        **{f"optimizer_{name}": getattr(optimizer, name) for name in others},
    }


RATE = "learning_rate"
"""The setting that may be a schedule, with settings of its own behind a slash."""


def setting_names(cls: type[Optimizer]) -> list[str]:
    """Names of the numbers and switches that an optimiser is made with."""
    shared = {"limits": Limits.__annotations__, "averages": Averages.__annotations__}
    names = inspect.signature(cls).parameters
    return list(dict.fromkeys([inner for name in names for inner in shared.get(name, [name])]))
