"""From a checked header to layers, and the proof that the file's tensors are exactly those that the layers need."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ostinato.errors import ModelFileError, OstinatoError
from ostinato.maps.base import Part, Shape
from ostinato.runtime.header import Header
from ostinato.runtime.layout import MAX_DIM, TASK_DTYPES, Entry
from ostinato.runtime.machine import expected
from ostinato.runtime.manifest import to_part
from ostinato.runtime.refusal import quote, reason, refuse
from ostinato.runtime.small_weights import SCALE, STORES, is_matrix, scale_shape

LAYERS, TASK = "layers/", "task/"
WEIGHT_DTYPES = tuple(STORES.values())

MOST_AXES = 8
"""Most axes that an intermediate result may have, batch axis excluded."""

_TASK_NAME = re.compile(r"[A-Za-z0-9_]{1,64}(/[A-Za-z0-9_]{1,64}){0,3}")


def blueprint(header: Header, *, task_tensors: Mapping[str, int] | None = None) -> tuple[Part, ...]:
    """Build the layers and check the list of tensors against them; no number is read.

    Args:
        header: From `parse_header`.
        task_tensors: Name to rank of each tensor that the task allows beside the layers'; None allows any.

    Raises:
        UnknownLayer: A layer, cell or map is not one of this version's.
        ModelFileError: Options, shapes or tensors do not fit.
    """
    parts = tuple(to_part(spec) for spec in header.manifest.layers)
    members = header.manifest.members
    needed = {f"{LAYERS}{index}/{name}": shape for index, name, shape in _weights(parts, header)}
    layers = {name: entry for name, entry in header.tensors.items() if not name.startswith(TASK)}
    steps = [name for name in needed if name in layers and layers[name].dtype == "I8"]
    scales = {name + SCALE: scale_shape(needed[name], members=members) for name in steps if len(needed[name]) > 1}
    matrices = {name for name, shape in needed.items() if is_matrix(len(shape), members=members)}
    needed |= scales
    missing = [name for name in needed if name not in layers]
    if missing:
        raise _set_error(f"{len(missing)} missing", missing)
    unneeded = [name for name in layers if name not in needed]
    if unneeded:
        raise _set_error(f"{len(unneeded)} that no layer needs", unneeded)
    for name, shape in needed.items():
        _check_weight(name, layers[name], shape, WEIGHT_DTYPES if name in matrices else ("F32",))
    for name in header.tensors.keys() - layers.keys():
        entry = header.tensors[name]
        if entry.dtype not in TASK_DTYPES:
            raise refuse("task_tensor", f"a task's tensors must be of {', '.join(TASK_DTYPES)}", entry.dtype,
                         where=(quote(name),))  # fmt: skip
        check_task_tensor(name.removeprefix(TASK), len(entry.shape), task_tensors)
    return parts


def _weights(parts: Sequence[Part], header: Header) -> list[tuple[int, str, tuple[int, ...]]]:
    found, shape = [], tuple(header.manifest.input_shape)
    members = header.manifest.members
    several = (members,) if members > 1 else ()
    for index, part in enumerate(parts):
        try:
            (weights,) = expected([part], shape)
            after = part.out_shape(shape)
        except OstinatoError as error:
            where = f"layer {header.manifest.layers[index].name!r}"
            raise refuse("layers", "layers must fit each other", reason(error), where=(where,)) from None
        _check_size(after, header.manifest.layers[index].name)
        found += [(index, name, (*several, *weight.shape)) for name, weight in weights.items()]
        shape = after
    return found


def _check_size(shape: Shape, layer: str) -> None:
    if len(shape) > MOST_AXES or any(n is not None and not 1 <= n <= MAX_DIM for n in shape):
        raise refuse(
            "layers", f"a layer's output must have at most {MOST_AXES} axes of 1 to {MAX_DIM}", "another shape",
            where=(f"layer {layer!r}",),
        )  # fmt: skip


def _set_error(got: str, names: list[str]) -> ModelFileError:
    where = tuple(map(quote, names[:5]))
    return refuse("tensors", "a file must hold exactly the tensors of its layers", got, where=where)


def _check_weight(name: str, entry: Entry, shape: tuple[int, ...], dtypes: Sequence[str]) -> None:
    if entry.dtype not in dtypes:
        raise refuse("tensors", f"this weight must be of {' or '.join(dtypes)}", entry.dtype, where=(quote(name),))
    if entry.shape != shape:
        raise refuse("tensors", f"the layers need shape {shape}", str(entry.shape), where=(quote(name),))


def check_task_tensor(name: str, rank: int, allowed: Mapping[str, int] | None) -> None:
    """Refuse a task's tensor whose name is not plain, or that the task does not know with this rank."""
    if not _TASK_NAME.fullmatch(name):
        raise refuse("task_tensor", "names of task tensors must be letters, digits and '_', parted by '/'", quote(name))
    if allowed is not None and allowed.get(name) != rank:
        names = ", ".join(f"{key} ({n} axes)" for key, n in allowed.items()) or "none"
        raise refuse("task_tensor", f"the task's tensors must be {names}", f"{quote(name)} ({rank} axes)")
