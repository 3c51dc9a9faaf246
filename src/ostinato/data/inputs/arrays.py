"""Inputs of a network as they are: one array of numbers in a .npy file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.errors import DataError


def read_array(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array in a .npy file, of finite numbers; Python objects in it are never read.

    Raises:
        DataError: `npy`, it is no such file, or holds something else.
    """
    name = ascii(Path(path).name)
    try:
        x = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        objects = isinstance(error, ValueError) and "pickle" in str(error)  # NumPy would advise to trust them
        said = (isinstance(error, OSError) and error.strerror) or ascii(str(error)[:200])[1:-1]
        got = "another file, or one of Python objects" if objects else said
        raise DataError(
            "inputs must be a .npy file of numbers", got=got, where=name, fix="Write it with numpy.save(path, x).",
            code="npy",
        ) from None  # fmt: skip
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiub" or not np.isfinite(x).all():
        raise DataError(
            "inputs must be one array of finite numbers", got="others", where=name,
            fix="Write it with numpy.save(path, x).", code="npy",
        )  # fmt: skip
    return x
