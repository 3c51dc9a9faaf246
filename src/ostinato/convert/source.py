"""What a file to convert is, and the model in it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ostinato.convert.folder import MODEL
from ostinato.convert.keras.files import Read, load_keras
from ostinato.convert.tensors import read_tensors
from ostinato.convert.torch import from_state_dict
from ostinato.convert.torch_into import into_layers
from ostinato.errors import ArgumentError, ConversionError, UnsupportedFormat
from ostinato.runtime.bundle import Bundle, load
from ostinato.runtime.keras_h5 import is_h5
from ostinato.runtime.sequential_file import layers_of, name_of, to_bundle


class Source(NamedTuple):
    """A model that was read.

    Args:
        bundle: The model.
        kind: What the file was: "model", "folder", "keras" or "torch".
        notes: What the file does not say and was assumed, for a person.
    """

    bundle: Bundle
    kind: str
    notes: list[str]


def read_source(
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    sequences: bool = False,
    nonlinearity: str | None = None,
    into: str | os.PathLike[str] | None = None,
) -> Source:
    """Read a model file, a folder that `ostinato convert --to folder` wrote, a `.keras` or `.h5` file of Keras, or a
    state_dict of torch in a safetensors file.

    Args:
        path: The file or folder.
        sha256: Digest of the whole model file, in hex; another one is refused.
        sequences: For a state_dict: whether the last recurrent layer returns all its outputs.
        nonlinearity: For a state_dict of a torch.nn.RNN: "tanh" or "relu".
        into: For weights of Keras alone (`.weights.h5`), which do not describe their layers, and for any state_dict: a
            file of any of these kinds that holds a model of the same layers. It is only read.

    Raises:
        ModelFileError: A model file is refused.
        ConversionError: A file of another format is damaged, or cannot be expressed here.
    """
    path = Path(path)
    if into is not None:
        _no_digest(sha256)
        return _with_weights(read_source(into), path)
    if path.is_dir():
        return Source(load(path / MODEL, sha256=sha256), "folder", [])
    if _begins_with(path, b"PK\x03\x04") or is_h5(path):
        _no_digest(sha256)
        read = load_keras(path)
        notes = ["what matters in training only (initialisers, penalties, the optimiser) was not taken over"]
        return Source(to_bundle(read.layers, read.input_shape, name=read.name), "keras", notes)
    try:
        return Source(load(path, sha256=sha256), "model", [])
    except UnsupportedFormat as error:
        if not _is_plain(error):
            raise
    _no_digest(sha256)
    plain = read_tensors(path)
    state = from_state_dict(plain.arrays, sequences=sequences, nonlinearity=nonlinearity, order=plain.modules)
    return Source(to_bundle(state.layers, state.input_shape, name="torch"), "torch", state.notes)


def _with_weights(model: Source, path: Path) -> Source:
    """The model with the weights of a file of Keras, or of a state_dict."""
    bundle = model.bundle
    layers, shape = layers_of(bundle), tuple(bundle.manifest.input_shape)
    if is_h5(path):
        kind, filled = "keras", load_keras(path, into=Read(name_of(bundle), layers, shape)).layers
    elif _is_state_dict(path):
        kind, filled = "torch", into_layers(layers, shape, read_tensors(path).arrays)
    else:
        raise ArgumentError(
            "into must only be given for weights alone: of Keras in an H5 file, or a state_dict in a safetensors file",
            got=ascii(path.name) if path.is_file() else "no such file",
            fix="Leave it out: files of other kinds describe their layers themselves.",
        )
    weights = [{**own, **layer.weights} for own, layer in zip(bundle.weights, filled, strict=True)]
    return Source(replace(bundle, weights=weights), kind, model.notes)


def _is_state_dict(path: Path) -> bool:
    """Whether it is a safetensors file, and no model file of ours."""
    if not path.is_file():
        return False
    try:
        load(path)
    except UnsupportedFormat as error:
        return _is_plain(error)
    return False


def _is_plain(error: UnsupportedFormat) -> bool:
    return error.got.startswith("a plain safetensors")


def _begins_with(path: Path, magic: bytes) -> bool:
    """Whether it is a regular file that begins so; what else it is, the readers say."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _no_digest(sha256: str | None) -> None:
    if sha256 is not None:
        raise ConversionError(
            "sha256 must only be given for a model file of ostinato",
            got="a file of another format",
            fix="Check the file with sha256sum, and leave the option out.",
        )
