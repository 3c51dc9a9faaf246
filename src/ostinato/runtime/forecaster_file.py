"""A forecaster as a model file, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from ostinato.data import Cleaning, Columns, Freq
from ostinato.data.framing import Framing
from ostinato.errors import ModelFileError, OstinatoError
from ostinato.maps.base import Part
from ostinato.maps.dense import Dense
from ostinato.runtime.bundle import Bundle
from ostinato.runtime.bundle import most_bytes as bundle_bytes
from ostinato.runtime.forecaster import LEAST_LEVEL, Forecaster, check_future, check_names
from ostinato.runtime.histories import Known, Reading
from ostinato.runtime.machine import stacked, unstacked
from ostinato.runtime.manifest import FORMAT, LARGEST, Manifest, Size, to_spec
from ostinato.runtime.refusal import quote, reason
from ostinato.scans.recurrent import Recurrent

TASK = "forecast"
TENSORS = {"spreads": 1, "tails": 2, "last": 1, "widening": 1, "ids": 1}
"""Names and numbers of axes of the tensors that a forecaster stores beside its weights."""

_CHUNK = 1 << 20
_FIRST = int(np.datetime64("0001-01-01", "us").astype(np.int64))

Whole = Annotated[int, Meta(ge=0, le=LARGEST)]
Positive = Annotated[float, Meta(ge=0.0, le=1.7e308)]
Level = Annotated[float, Meta(ge=LEAST_LEVEL, le=100.0 - LEAST_LEVEL)]
Mark = Annotated[str, Meta(min_length=1, max_length=1)]


class Fitted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of a fitted forecaster, and the options of its training, so that it can be trained again."""

    horizon: Size
    length: Size
    season: Size
    log: bool
    anchor: Literal["season", "profile", "last", "mean"]
    level: Annotated[list[Level], Meta(min_length=1)]
    label: str
    freq: str
    timed: bool
    id: str | None
    time: str | None
    target: str | None
    time_format: str | None
    missing: str
    duplicates: str
    gaps: str
    delimiter: Mark | None
    decimal: str
    training_epochs: Size
    training_batch_size: Size
    training_learning_rate: Positive
    training_weight_decay: Positive
    training_clip_norm: Positive
    training_patience: Size
    training_members: Annotated[int, Meta(ge=0, le=1024)]
    training_seed: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    windows_length: Whole
    windows_season: Whole
    windows_test: Annotated[int, Meta(ge=-1, le=LARGEST)]
    windows_step: Whole
    windows_log: Literal["auto", "yes", "no"]
    windows_anchor: Literal["auto", "season", "profile", "last", "mean"]


msgspec.json.Decoder(Fitted)
"""Resolves the types above now: reading a file must not compile anything, not even an annotation."""


def to_bundle(forecaster: Forecaster, *, given: dict[str, Any], version: str) -> Bundle:
    """Describe a forecaster for `ostinato.runtime.bundle.save`.

    Args:
        forecaster: What to save.
        given: The task's own options by names such as "training_seed".
        version: Version of ostinato.
    """
    f, r, known = forecaster.framing, forecaster.reading, forecaster.known
    timed = known.last.dtype.kind == "M"
    fitted = Fitted(
        horizon=f.horizon, length=f.length, season=f.season, log=f.log, level=list(forecaster.level),
        anchor=f.anchor,  # type: ignore[arg-type]
        label=forecaster.label, freq=r.freq, timed=timed, id=r.columns.id, time=r.columns.time,
        target=r.columns.target, time_format=r.columns.time_format, missing=r.cleaning.missing,
        duplicates=r.cleaning.duplicates, gaps=r.cleaning.gaps, delimiter=r.cleaning.delimiter,
        decimal=r.cleaning.decimal, **given,
    )  # fmt: skip
    manifest = Manifest(
        format=FORMAT,
        ostinato=version,
        task=TASK,
        input_shape=[f.length, 1],
        layers=[to_spec(f"layer_{i}", part) for i, part in enumerate(forecaster.parts)],
        members=len(forecaster.members),
        options=msgspec.structs.asdict(fitted),
    )
    last = known.last.astype("datetime64[us]").astype(np.int64) if timed else known.last.astype(np.int64)
    extra: dict[str, np.ndarray] = {
        "spreads": known.spreads,
        "tails": known.tails,
        "last": last,
        "widening": forecaster.widening,
        "ids": np.frombuffer(msgspec.json.encode(list(known.ids)), np.uint8),
    }
    return Bundle(manifest, forecaster.parts, stacked(forecaster.members), extra)


def most_bytes(parts: Sequence[Part], framing: Framing, ids: Sequence[str], *, members: int, levels: int) -> int:
    """The most bytes that the file of a forecaster of these series will have."""
    numbers = len(ids) * (framing.reach + 2) + levels
    extra = 8 * numbers + len(msgspec.json.encode(list(ids)))
    return bundle_bytes(parts, (framing.length, 1), members=members, extra=extra)


def plain(value: Any) -> Any:
    """NumPy's numbers as Python's, which a manifest can hold."""
    return value.item() if isinstance(value, np.generic) else value


def from_bundle(bundle: Bundle) -> Forecaster:
    """Rebuild a forecaster from a file that `ostinato.runtime.bundle.load` accepted.

    Raises:
        ModelFileError: The settings or the task's tensors do not fit each other.
    """
    if bundle.manifest.task != TASK:
        raise _refuse(f"the model must be of task {TASK}", quote(bundle.manifest.task), fix="Pass another file.")
    try:
        fitted = msgspec.convert(bundle.manifest.options, Fitted, strict=True)
        cleaning = Cleaning(fitted.missing, fitted.duplicates, fitted.gaps, fitted.delimiter, fitted.decimal)  # type: ignore[arg-type]
        cleaning.check()
        columns = Columns(fitted.id, fitted.time, fitted.target, fitted.time_format)
        check_names(columns, fitted.label, fitted.level)
        _check_network(bundle, fitted)  # first: from here on the file is as long as its horizon and window say
        known = _known(bundle, fitted)
    except (msgspec.MsgspecError, OstinatoError, OverflowError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise _refuse("the settings of a forecaster must be complete and valid", reason(error)) from None
    used = [name for name in (fitted.id, fitted.time, fitted.target) if name is not None]
    if list(fitted.level) != sorted(set(fitted.level), reverse=True) or len(set(used)) < len(used):
        raise _refuse("levels must fall, and columns must differ", "others")
    return Forecaster(
        parts=bundle.parts,
        members=unstacked(bundle.weights, bundle.manifest.members),
        framing=_framing(fitted),
        level=tuple(fitted.level),
        widening=bundle.extra["widening"],
        label=fitted.label,
        known=known,
        reading=Reading(columns, cleaning, fitted.freq),
    )


def _framing(fitted: Fitted) -> Framing:
    return Framing(fitted.horizon, fitted.length, fitted.season, fitted.log, fitted.anchor)


def _known(bundle: Bundle, fitted: Fitted) -> Known:
    """The series of training, after all that could make a forecast fail was checked."""
    extra, framing = bundle.extra, _framing(fitted)
    count = extra["last"].size if "last" in extra else 0
    letters = extra["ids"].size if "ids" in extra else 0
    wanted = {
        "ids": (np.uint8, (letters,)), "last": (np.int64, (count,)), "spreads": (np.float64, (count,)),
        "tails": (np.float64, (count, framing.reach)), "widening": (np.float64, (len(fitted.level),)),
    }  # fmt: skip
    for name in sorted({*wanted, *extra}):
        kind, shape = wanted.get(name, (None, None))
        if kind is None or name not in extra or extra[name].dtype != kind or extra[name].shape != shape:
            got = f"{extra[name].dtype}, {extra[name].shape}" if name in extra else "none"
            rule = (
                f"the tensor {name!r} must be {np.dtype(kind)}, {shape}"
                if kind
                else f"there must be no tensor {name!r}"
            )
            raise _refuse(rule, got)
    ids = _names(extra["ids"], count)
    tails, spreads = extra["tails"], extra["spreads"]
    if not np.isfinite(tails).all() or not (np.isfinite(spreads) & (spreads > 0.0)).all():
        raise _refuse("histories must be finite and units positive", "others")
    if fitted.log and not (tails > 0.0).all():
        raise _refuse("histories must be positive in a model that works on logarithms", "others")
    if fitted.timed and (extra["last"] < _FIRST).any():
        raise _refuse("the last times must not lie before the year 1", "others")
    last = extra["last"].astype("datetime64[us]") if fitted.timed else extra["last"]
    freq = Freq.parse(fitted.freq)
    freq.check_kind(last)
    check_future(freq, last, fitted.horizon)
    return Known(ids, spreads, tails, last)


def _names(text: np.ndarray, count: int) -> tuple[str, ...]:
    """The names of so many series, from JSON."""
    ids: list[str] = []
    if _marks(text) <= 2 * count:
        ids = msgspec.json.decode(text.data, type=list[str])
    if not ids or not len(set(ids)) == len(ids) == count:
        raise _refuse(f"a forecaster of {count} series must name each of them, and differently", f"{len(ids)} names")
    return tuple(ids)


def _marks(text: np.ndarray) -> int:
    """How many quotation marks stand behind no backslash: of each name the first one and at most one more.

    So names by the million are seen before they become objects of Python, which take many times their bytes.
    """
    total = 0
    for begin in range(0, text.size, _CHUNK):
        piece = text[max(begin - 1, 0) : begin + _CHUNK]
        total += int(np.count_nonzero((piece[1:] == ord('"')) & (piece[:-1] != ord("\\"))))
    return total


def _check_network(bundle: Bundle, fitted: Fitted) -> None:
    *first, head = bundle.parts or (None,)
    outputs = fitted.horizon * (2 * len(fitted.level) + 1)
    cells = [part.cell for part in first if isinstance(part, Recurrent)]
    shape: tuple[int | None, ...] = (fitted.length, 1)
    for part in bundle.parts:
        shape = part.out_shape(shape)
    if (
        not cells
        or len(cells) < len(first)
        or not isinstance(head, Dense)
        or {type(cell).__name__ for cell in cells} != {fitted.label}
        or bundle.manifest.input_shape != [fitted.length, 1]
        or shape != (outputs,)
    ):
        raise _refuse(
            f"the network must be recurrent layers of cell {quote(fitted.label)} and a dense one, from "
            f"{fitted.length} steps to {outputs} numbers",
            "another",
        )


def _refuse(rule: str, got: str, *, fix: str = "Save the model again.") -> ModelFileError:
    return ModelFileError(rule, got=got, fix=fix, code="task")
