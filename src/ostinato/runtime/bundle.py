"""The model file: what is in it, how to save it and how to load it.

One safetensors file holds the layers (as a closed list of names and plain options, never code) and their numbers. Its
layout is described in `docs/model-file.md`. Whatever is wrong with a file, the answer is a `ModelFileError` whose
`code` says what; nothing of a refused file is used, and no other reader is tried.

==================  ====================================================================================
code                the rule that was broken
==================  ====================================================================================
read, not_a_file    the path leads to a regular file that can be opened and read
write               the file can be written: folder, permissions, room on the disk
unsupported_format  the file is ostinato's; the message names what it looks like
newer_format        its format is not later than this version of ostinato knows
truncated           it is not cut off
trailing            nothing follows the last tensor
header_length       the header is 2 bytes to 1 MiB, and a multiple of 8
utf8, json          the header is UTF-8 text and valid JSON without escapes in keys
depth               JSON nests at most 8 levels deep
duplicate_key       no key occurs twice
too_many            no JSON object has more than 16 384 keys
header              the header has the fields of the format and no others
header_digest       its SHA-256 is the one that it names
manifest_size       the manifest has at most 256 KiB
manifest            it follows its schema, without unknown fields
dtype               numbers are of a type that the format has
shape               tensors have at most 4 axes of at most 2**31 - 1
offsets             tensors follow each other, aligned, without gap or overlap
unknown_layer       every layer, cell and map is one of this version's
options             layers have exactly their options, with valid values
layers              each layer fits the output of the one before it
tensors             the tensors are exactly those that the layers need
task_tensor         further tensors are ones that the task allows
task                the model is of the task that is asked for; its settings and layers fit the task
vocabulary          the vocabulary of a generator is complete and valid
memory              the data fits into memory
digest              the data's SHA-256 is the one in the manifest
pin                 the file's SHA-256 is the one that the caller asked for
nonfinite           all numbers are finite
custom_layer        (saving) all layers are ostinato's own
bundle              (saving) manifest, parts and weights belong together
==================  ====================================================================================
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import field

import numpy as np

from ostinato._lean_dataclass import lean_dataclass
from ostinato.maps.base import Part, Shape
from ostinato.runtime.layout import MAX_HEADER
from ostinato.runtime.machine import expected
from ostinato.runtime.manifest import Manifest
from ostinato.runtime.reader import read
from ostinato.runtime.writer import write


@lean_dataclass(frozen=True, eq=False)
class Bundle:
    """A model as data.

    Args:
        manifest: Everything but the numbers; `save` fills in its format and the digest of the data.
        parts: The layers that the manifest describes, first one first.
        weights: One dictionary a layer, name to float32 array, as `machine.expected` asks for; for several
            members, as `machine.stacked` joins them.
        extra: Tensors of the task (scalers, vocabularies, calibration): float64, float32, int64 or uint8, by names of
            letters, digits and `_`, parted by `/`.
    """

    manifest: Manifest
    parts: tuple[Part, ...]
    weights: list[dict[str, np.ndarray]]
    extra: dict[str, np.ndarray] = field(default_factory=dict)


def save(
    path: str | os.PathLike[str], bundle: Bundle, *, allow_nonfinite: bool = False, store: str = "float32"
) -> None:
    """Write a model file, all at once: if anything fails, an older file of that name stays as it was.

    The same bundle always gives the same bytes, and a file of float32 weights that was loaded is saved as the bytes it
    came from. float64 weights are refused, not rounded. Task tensors keep their type.

    Args:
        path: Where to; the folder must exist. The file that was loaded may be overwritten.
        bundle: What to write.
        allow_nonfinite: Write NaN and infinite numbers, which `load` refuses unless it is told likewise.
        store: What matrices of weights are written as, "float32", "bf16" or "int8"; the latter two round them, see
            `ostinato.runtime.small_weights`.

    Raises:
        ModelFileError: `code` is "write" if the file cannot be written, else it says why the bundle is not valid.
    """
    write(
        path, bundle.manifest, bundle.parts, bundle.weights, bundle.extra, allow_nonfinite=allow_nonfinite, store=store
    )


def most_bytes(parts: Sequence[Part], shape: Shape, *, members: int = 1, extra: int = 0) -> int:
    """The most bytes that a model file of float32 weights will have, before there are weights.

    Args:
        parts: The layers.
        shape: Shape of one sample.
        members: Networks of these layers.
        extra: Bytes of the task's tensors.
    """
    numbers = sum(math.prod(weight.shape) for needed in expected(parts, shape) for weight in needed.values())
    return 8 + MAX_HEADER + 4 * members * numbers + extra


def load(
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    allow_nonfinite: bool = False,
    task_tensors: Mapping[str, int] | None = None,
) -> Bundle:
    """Read a model file. A hostile file can do no more than be refused.

    Memory beyond the file's size is bounded whatever the file says, time grows with its size, no other file is touched
    and nothing is imported. All arrays are parts of one block of memory, and may be written to.

    Args:
        path: A regular file, or a symbolic link to one.
        sha256: Digest of the whole file, in hex; another file is refused.
        allow_nonfinite: Accept NaN and infinite numbers.
        task_tensors: Name to number of axes of each tensor that the task allows in `extra`; None allows any.

    Raises:
        UnsupportedFormat: The file is of another kind.
        NewerFormat: It needs a later version of ostinato.
        UnknownLayer: It names a layer that this version does not have.
        ModelFileError: Anything else is wrong; `code` says what.
    """
    contents = read(path, sha256=sha256, allow_nonfinite=allow_nonfinite, task_tensors=task_tensors)
    return Bundle(*contents)
