"""Class numbers to one-hot rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.errors import ArgumentError, DataError


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray[Any, np.dtype[np.float32]]:
    """One-hot rows, float32.

    Args:
        x: Whole numbers of at least 0, any shape; a last axis of size 1 is dropped.
        num_classes: Length of a row; the largest number + 1 by default.
    """
    given = np.asarray(x)
    if given.dtype.kind not in "iufb" or given.size == 0:
        raise DataError("x must hold class numbers", got=f"{given.dtype}, {given.size} of them", fix="Pass integers.")
    classes = given.astype(np.int64)
    if (classes != given).any() or (classes < 0).any():
        raise DataError(
            "x must hold whole numbers of at least 0", got="other numbers", fix="Number the classes from 0."
        )
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    count = int(classes.max()) + 1 if num_classes is None else num_classes
    if classes.max() >= count:
        raise ArgumentError(
            "num_classes must be above the largest class number",
            got=f"{count} and class {classes.max()}",
            fix="Raise num_classes.",
        )
    return np.eye(count, dtype=np.float32)[classes]
