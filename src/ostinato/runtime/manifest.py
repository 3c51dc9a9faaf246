"""The JSON manifest of a model file: a closed schema without recursion, and the way from layers to it and back."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ostinato.cells import CELLS, Cell
from ostinato.errors import ModelFileError, OstinatoError, UnknownLayer
from ostinato.maps import MAPS, Part
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

FORMAT = 1
"""Version of the file format; readers accept older ones and refuse newer ones."""

LARGEST = 2**31 - 1
"""Largest size, count or number of steps that a layer or a shape may have."""

Count = Annotated[int, Meta(ge=-LARGEST, le=LARGEST)]
Size = Annotated[int, Meta(ge=1, le=LARGEST)]
Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Kind = Annotated[str, Meta(max_length=64)]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]

Options = dict[str, str | bool | Count | float | Annotated[list[Count], Meta(max_length=8)] | None]
Settings = dict[str, str | bool | Whole | float | list[str | Whole | float] | None]


class CellSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recurrent layer: how it runs, and its cell."""

    run: Options
    kind: Kind
    config: Options


class LayerSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One layer. `recurrent` has one entry in `cells`, `bidirectional` one or two; `time_distributed` an `inner`."""

    name: Name
    kind: Kind
    config: Options = {}
    cells: list[CellSpec] = []
    inner: Kind = ""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything in a model file but its numbers.

    Args:
        format: Version of the file format.
        ostinato: Version of the software that wrote the file, for messages.
        task: "sequential", or the name of a task.
        input_shape: Shape of one sample, null for an open length.
        layers: The stack, first layer first.
        data_sha256: Digest of the file's data section, in hex.
        members: Number of networks of this one shape; if there are several, each weight has a first axis for them.
        options: The task's own constructor arguments and fitted settings: plain values, or flat lists of them.
        compiled: Loss, optimiser and metrics of a compiled model, so that training can go on.
    """

    format: int
    ostinato: Annotated[str, Meta(max_length=64)]
    task: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}\Z")]
    input_shape: Annotated[list[Size | None], Meta(max_length=4)]
    layers: list[LayerSpec]
    data_sha256: Digest = ""
    members: Annotated[int, Meta(ge=1, le=1024)] = 1
    options: Settings = {}
    compiled: Settings = {}


def to_spec(name: str, part: Part) -> LayerSpec:
    """Describe a layer for the manifest."""
    if type(part) is Recurrent:
        return LayerSpec(name, "recurrent", cells=[_cell_spec(part)])
    if type(part) is Bidirectional:
        both = [part.layer] if part.backward is None else [part.layer, part.backward]
        return LayerSpec(name, "bidirectional", {"merge_mode": part.merge_mode}, [_cell_spec(r) for r in both])
    if type(part) is TimeDistributed:
        inner = _key(MAPS, part.inner)
        if inner == "time_distributed":
            raise ModelFileError(
                "a time_distributed layer must hold another map",
                got="time_distributed",
                where=name,
                fix="Reshape the input so that one time axis is left.",
                code="options",
            )
        return LayerSpec(name, "time_distributed", _options(part.inner), inner=inner)
    return LayerSpec(name, _key(MAPS, part), _options(part))


def to_part(spec: LayerSpec) -> Part:
    """Rebuild a layer from the manifest.

    Raises:
        UnknownLayer: The kind is not one of this version's.
        ModelFileError: Its options do not fit.
    """
    _only_known_fields(spec)
    if spec.kind == "recurrent":
        _count_cells(spec, 1, 1)
        return _recurrent(spec, spec.cells[0])
    if spec.kind == "bidirectional":
        _count_cells(spec, 1, 2)
        runs = [_recurrent(spec, c) for c in spec.cells]
        both: Part = _make(Bidirectional, spec, spec.config, layer=runs[0], backward=runs[1] if runs[1:] else None)
        return both
    cls = _find(MAPS, spec.kind, spec)
    _count_cells(spec, 0, 0)
    if cls is TimeDistributed:
        return TimeDistributed(_make(_find(_INNER, spec.inner, spec), spec, spec.config))
    part: Part = _make(cls, spec, spec.config)
    return part


def _cell_spec(part: Recurrent) -> CellSpec:
    run = {f.name: getattr(part, f.name) for f in fields(part) if f.name != "cell"}
    return CellSpec(run, _key(CELLS, part.cell), _options(part.cell))


def _recurrent(spec: LayerSpec, cell: CellSpec) -> Recurrent:
    made: Recurrent = _make(Recurrent, spec, cell.run, cell=_make(_find(CELLS, cell.kind, spec), spec, cell.config))
    return made


def _options(part: Any) -> Options:
    return {f.name: _plain(getattr(part, f.name)) for f in fields(part)}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _key(catalogue: Any, part: Part | Cell) -> str:
    for key, cls in catalogue.items():
        if type(part) is cls:
            return str(key)
    raise ModelFileError(
        "a saved model must consist of ostinato's own layers and cells, since a file can never bring code",
        got=type(part).__name__,
        fix="Save the weights with get_weights(), and build the model from your own code before set_weights().",
        code="custom_layer",
    )


_KINDS = {*MAPS, "recurrent", "bidirectional"}
_INNER = {key: cls for key, cls in MAPS.items() if cls is not TimeDistributed}


def _only_known_fields(spec: LayerSpec) -> None:
    """Refuse what `to_part` would not read, so that nothing in a file is ignored."""
    unread = "inner" if spec.inner and spec.kind != "time_distributed" and spec.kind in _KINDS else ""
    if spec.config and spec.kind == "recurrent":
        unread = "config"
    if unread:
        raise ModelFileError(
            f"a layer of kind {spec.kind!r} must have no {unread!r}",
            got="one",
            where=f"layer {spec.name!r}",
            fix="Save the model again.",
            code="options",
        )


def _find(catalogue: Any, key: str, spec: LayerSpec) -> type[Any]:
    if key not in catalogue:
        raise UnknownLayer(
            f"layers, cells and inner maps must be known: {', '.join(catalogue)}",
            got=repr(key),
            where=f"layer {spec.name!r}",
            fix="Load the file with the version of ostinato that wrote it, or a later one.",
        )
    return catalogue[key]  # type: ignore[no-any-return]


def _make(cls: type[Any], spec: LayerSpec, config: Options, **made: Any) -> Any:
    known = {f.name for f in fields(cls)} - set(made)
    where = f"layer {spec.name!r}"
    if set(config) != known:
        raise ModelFileError(
            f"options must be exactly {', '.join(sorted(known)) or 'none'}",
            got=", ".join(sorted(repr(k[:40]) for k in config)[:20]) or "none",
            where=where,
            fix="Load the file with the version of ostinato that wrote it, or a later one.",
            code="options",
        )
    types = _types(cls)
    try:
        values = {name: msgspec.convert(value, types[name], strict=True) for name, value in config.items()}
        return cls(**values, **made)
    except (msgspec.ValidationError, OstinatoError) as error:
        got = ascii(str(error)[:200])[1:-1]
        raise ModelFileError(
            "options must be valid", got=got, where=where, fix="Save the model again.", code="options"
        ) from error


def _types(cls: type[Any]) -> dict[str, Any]:
    return {f.name: _TYPES[str(f.type)] for f in fields(cls) if str(f.type) in _TYPES}


_TYPES: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str, "tuple[int, ...]": tuple[int, ...]}


def _count_cells(spec: LayerSpec, least: int, most: int) -> None:
    if not least <= len(spec.cells) <= most:
        raise ModelFileError(
            f"a layer of kind {spec.kind!r} must have {least} to {most} cells",
            got=str(len(spec.cells)),
            where=f"layer {spec.name!r}",
            fix="Save the model again.",
            code="options",
        )
