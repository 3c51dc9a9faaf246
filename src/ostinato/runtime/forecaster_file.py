"""A forecaster as a model file, and back."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import numpy as np

from ostinato.data import Cleaning, Columns, Freq
from ostinato.data.framing import ANCHORS, Framing
from ostinato.errors import ModelFileError, OstinatoError
from ostinato.runtime.bundle import Bundle
from ostinato.runtime.forecaster import Forecaster, Known, Reading
from ostinato.runtime.machine import stacked, unstacked
from ostinato.runtime.manifest import FORMAT, Manifest, to_spec

TASK = "forecast"
TENSORS = {"spreads": 1, "tails": 2, "last": 1, "widening": 1, "ids": 1}
"""Names and numbers of axes of the tensors that a forecaster stores beside its weights."""

_GIVEN = re.compile(r"(training|windows)_[a-z_]{1,32}")


class Fitted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of a fitted forecaster, one by one."""

    horizon: int
    length: int
    season: int
    log: bool
    anchor: str
    level: list[float]
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
    delimiter: str | None
    decimal: str


def to_bundle(forecaster: Forecaster, *, given: dict[str, Any], version: str) -> Bundle:
    """Describe a forecaster for `ostinato.runtime.bundle.save`.

    Args:
        forecaster: What to save.
        given: The task's own options by names such as "training_seed", kept so that it can be trained again.
        version: Version of ostinato.
    """
    f, r, known = forecaster.framing, forecaster.reading, forecaster.known
    timed = known.last.dtype.kind == "M"
    fitted = Fitted(
        horizon=f.horizon, length=f.length, season=f.season, log=f.log, anchor=f.anchor, level=list(forecaster.level),
        label=forecaster.label, freq=r.freq, timed=timed, id=r.columns.id, time=r.columns.time,
        target=r.columns.target, time_format=r.columns.time_format, missing=r.cleaning.missing,
        duplicates=r.cleaning.duplicates, gaps=r.cleaning.gaps, delimiter=r.cleaning.delimiter,
        decimal=r.cleaning.decimal,
    )  # fmt: skip
    manifest = Manifest(
        format=FORMAT,
        ostinato=version,
        task=TASK,
        input_shape=[f.length, 1],
        layers=[to_spec(f"layer_{i}", part) for i, part in enumerate(forecaster.parts)],
        members=len(forecaster.members),
        options=msgspec.structs.asdict(fitted) | given,
    )
    last = known.last.astype("datetime64[us]").astype(np.int64) if timed else known.last.astype(np.int64)
    extra = {
        "spreads": known.spreads,
        "tails": known.tails,
        "last": last,
        "widening": forecaster.widening,
        "ids": np.frombuffer(msgspec.json.encode(list(known.ids)), np.uint8),
    }
    return Bundle(manifest, forecaster.parts, stacked(forecaster.members), extra)


def from_bundle(bundle: Bundle) -> Forecaster:
    """Rebuild a forecaster from a file that `ostinato.runtime.bundle.load` accepted.

    Raises:
        ModelFileError: The settings or the task's tensors do not fit each other.
    """
    options = bundle.manifest.options
    try:
        fitted = msgspec.convert({k: v for k, v in options.items() if not _GIVEN.fullmatch(k)}, Fitted, strict=True)
        ids = tuple(msgspec.json.decode(bundle.extra["ids"].tobytes(), type=list[str]))
        cleaning = Cleaning(fitted.missing, fitted.duplicates, fitted.gaps, fitted.delimiter, fitted.decimal)
        cleaning.check()
        Freq.parse(fitted.freq)
    except (msgspec.MsgspecError, OstinatoError, KeyError, UnicodeDecodeError) as error:
        raise _refuse("the settings of a forecaster must be complete and valid", str(error)[:200]) from None
    framing = Framing(fitted.horizon, fitted.length, fitted.season, fitted.log, fitted.anchor)
    outputs = framing.horizon * (2 * len(fitted.level) + 1)
    shapes = {name: bundle.extra[name].shape for name in TENSORS if name in bundle.extra}
    wanted = {
        "spreads": (len(ids),), "tails": (len(ids), framing.reach), "last": (len(ids),), "widening": (len(fitted.level),),
        "ids": shapes.get("ids", ()),
    }  # fmt: skip
    if (
        min(fitted.horizon, fitted.length, fitted.season) < 1
        or fitted.anchor not in ANCHORS
        or not all(0.0 < p < 100.0 for p in fitted.level)
        or list(fitted.level) != sorted(fitted.level, reverse=True)
        or bundle.manifest.input_shape != [fitted.length, 1]
    ):
        raise _refuse("the settings of a forecaster must be in range", "others")
    if shapes != wanted:
        raise _refuse(f"the tensors of a forecaster must have the shapes {wanted}", str(shapes)[:200])
    shape: tuple[int | None, ...] = (fitted.length, 1)
    for part in bundle.parts:
        shape = part.out_shape(shape)
    if shape != (outputs,):
        raise _refuse(f"the network must have {outputs} outputs", str(shape))
    if not (np.isfinite(bundle.extra["tails"]).all() and (bundle.extra["spreads"] > 0.0).all()):
        raise _refuse("histories must be finite and units positive", "others")
    last = bundle.extra["last"].astype("datetime64[us]") if fitted.timed else bundle.extra["last"]
    return Forecaster(
        parts=bundle.parts,
        members=unstacked(bundle.weights, bundle.manifest.members),
        framing=framing,
        level=tuple(fitted.level),
        widening=bundle.extra["widening"],
        label=fitted.label,
        known=Known(ids, bundle.extra["spreads"], bundle.extra["tails"], last),
        reading=Reading(Columns(fitted.id, fitted.time, fitted.target, fitted.time_format), cleaning, fitted.freq),
    )


def _refuse(rule: str, got: str) -> ModelFileError:
    return ModelFileError(rule, got=got, fix="Save the model again.", code="task")
