"""A generator as a model file, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from ostinato.data.vocabularies import VOCABULARIES
from ostinato.data.vocabularies.base import Vocabulary, restore
from ostinato.errors import ModelFileError, OstinatoError
from ostinato.maps.base import Part
from ostinato.runtime.bundle import Bundle
from ostinato.runtime.bundle import most_bytes as bundle_bytes
from ostinato.runtime.generator import Generator
from ostinato.runtime.manifest import FORMAT, LARGEST, Manifest, to_spec
from ostinato.runtime.one_step import why_not
from ostinato.runtime.refusal import quote

TASK = "generate"
_SYMBOLS, _TENSORS = "vocabulary_", "vocabulary/"

_ROWS = 2
"""Most rows of a vocabulary's tensors a symbol: merges of sub-words may make a symbol that there is already."""


class Fitted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a generator is beside its network and its vocabulary."""

    symbols: Literal["bytes", "characters", "midi", "subwords", "words"]
    opening: Annotated[int, Meta(ge=0, le=LARGEST)]


msgspec.json.Decoder(Fitted)
"""Resolves the types above now: reading a file must not compile anything, not even an annotation."""


def to_bundle(generator: Generator, *, version: str) -> Bundle:
    """Describe a generator for `ostinato.runtime.bundle.save`.

    Args:
        generator: What to save.
        version: Version of ostinato.
    """
    kind = next(key for key, cls in VOCABULARIES.items() if type(generator.vocabulary) is cls)
    stored = generator.vocabulary.store()
    manifest = Manifest(
        format=FORMAT,
        ostinato=version,
        task=TASK,
        input_shape=[None],
        layers=[to_spec(f"layer_{i}", part) for i, part in enumerate(generator.parts)],
        options={
            "symbols": kind,
            "opening": int(generator.opening),
            **{_SYMBOLS + name: value for name, value in stored.settings.items()},
        },
    )
    extra = {_TENSORS + name: array for name, array in stored.tensors.items()}
    return Bundle(manifest, generator.parts, [dict(w) for w in generator.weights], extra)


def most_bytes(parts: Sequence[Part], vocabulary: Vocabulary) -> int:
    """The most bytes that the file of a generator will have."""
    return bundle_bytes(parts, (None,), extra=sum(array.nbytes for array in vocabulary.store().tensors.values()))


def from_bundle(bundle: Bundle) -> Generator:
    """Rebuild a generator from a file that `ostinato.runtime.bundle.load` accepted.

    Raises:
        ModelFileError: The settings, the vocabulary or the network do not fit each other.
    """
    if bundle.manifest.task != TASK:
        raise _refuse(f"the model must be of task {TASK}", quote(bundle.manifest.task), fix="Pass another file.")
    given = dict(bundle.manifest.options)
    settings: dict[str, Any] = {
        name.removeprefix(_SYMBOLS): given.pop(name) for name in list(given) if name.startswith(_SYMBOLS)
    }
    try:
        fitted = msgspec.convert(given, Fitted, strict=True)
    except msgspec.MsgspecError as error:
        raise _refuse("the settings must be those of a generator", ascii(str(error)[:200])[1:-1]) from None
    strange = [name for name in bundle.extra if not name.startswith(_TENSORS)]
    if strange:
        raise _refuse("all task tensors must belong to the vocabulary", quote(strange[0]))
    tensors = {name.removeprefix(_TENSORS): array for name, array in bundle.extra.items()}
    size = _symbols(bundle)
    _check_network(bundle, size)
    most = max((len(array) for array in tensors.values() if array.dtype == np.int64), default=0)
    if most > _ROWS * size:  # known before any row becomes an object of Python, which takes many times its bytes
        raise _refuse(f"a vocabulary of {size} symbols must have at most {_ROWS * size} rows", str(most))
    vocabulary = restore(VOCABULARIES[fitted.symbols], settings, tensors)
    if vocabulary.size != size:
        raise _refuse(f"the network must be of the vocabulary's {vocabulary.size} symbols", str(size))
    if fitted.opening >= size:
        raise _refuse(f"the opening must be one of the {size} symbols", str(fitted.opening))
    return Generator(bundle.parts, bundle.weights, vocabulary, fitted.opening)


def _symbols(bundle: Bundle) -> int:
    """How many symbols the network reads; 0 if it is no network of symbols."""
    table = bundle.weights[0].get("table") if bundle.weights else None
    return 0 if table is None or table.ndim != 2 else len(table)


def _check_network(bundle: Bundle, size: int) -> None:
    """The network must take any id of the vocabulary and give a score for each, step by step."""
    reason = why_not(bundle.parts)
    shape: tuple[int | None, ...] = (None,)
    try:
        for part in bundle.parts:
            shape = part.out_shape(shape)
    except OstinatoError:
        shape = ()
    if (
        reason is not None
        or not size
        or bundle.manifest.members != 1
        or bundle.manifest.input_shape != [None]
        or shape != (None, size)
        or bundle.manifest.layers[0].kind != "embedding"
    ):
        raise _refuse(
            "the network must be an embedding and layers that run step by step to a score for each symbol",
            reason or "another",
        )


def _refuse(rule: str, got: str, *, fix: str = "Save the model again.") -> ModelFileError:
    return ModelFileError(rule, got=got, fix=fix, code="task")
