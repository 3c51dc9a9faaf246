"""Sequences of different lengths in one rectangular array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ostinato.errors import ArgumentError, DataError, ShapeError
from ostinato.models.inputs import check_whole


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: str = "int32",
    *,
    padding: str = "pre",
    truncating: str = "pre",
    value: float = 0.0,
) -> np.ndarray[Any, Any]:
    """Cut and fill sequences to one length.

    A model takes sequences of different lengths as they are and masks them; this is for scripts that pad by themselves.

    Args:
        sequences: Lists or arrays; all but the first axis must agree.
        maxlen: The length; the longest one's by default.
        dtype: Type of the result; the default cuts fractions off, as in Keras.
        padding: "pre" fills in front, "post" behind.
        truncating: "pre" cuts the front of what is too long, "post" the end.
        value: What is filled in.
    """
    for name, choice in (("padding", padding), ("truncating", truncating)):
        if choice not in ("pre", "post"):
            raise ArgumentError(f"{name} must be 'pre' or 'post'", got=repr(choice), fix="Choose one of them.")
    if maxlen is not None:
        maxlen = check_whole("maxlen", maxlen, least=0)
    if isinstance(sequences, (str, bytes)):
        raise DataError("sequences must be a list of sequences", got="text", fix="Pass lists of numbers.")
    rows = [np.asarray(s) for s in sequences]
    if any(r.ndim == 0 for r in rows):
        raise ShapeError("each sequence must have a length", got="a single number", fix="Pass a list of lists.")
    tails = {r.shape[1:] for r in rows if len(r)}
    if len(tails) > 1:
        raise ShapeError("sequences must agree in all axes but the first", got=str(sorted(tails)), fix="Reshape them.")
    length = max((len(r) for r in rows), default=0) if maxlen is None else maxlen
    out = np.full((len(rows), length, *next(iter(tails), ())), value, dtype=dtype)
    for number, row in enumerate(rows):
        cut = row[max(len(row) - length, 0) :] if truncating == "pre" else row[:length]
        first = length - len(cut) if padding == "pre" else 0
        if len(cut):
            out[number, first : first + len(cut)] = cut
    return out
