"""A digest of data and options that is the same in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


def fingerprint(value: Any) -> str:
    """SHA-256 of everything that `value` holds: numbers, text, arrays, containers, and objects by their attributes.

    Functions count by their names only.
    """
    digest = hashlib.sha256()
    _feed(digest, value, [])
    return digest.hexdigest()


def _feed(digest: Any, value: Any, above: list[Any]) -> None:
    if any(value is outer for outer in above):
        digest.update(b"itself;")
        return
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        if value.dtype is torch.bfloat16:
            value = value.float()
        value = value.numpy()
    if isinstance(value, np.ndarray):
        digest.update(f"array {value.dtype.str} {value.shape};".encode())
        if value.dtype.hasobject:
            _feed(digest, value.tolist(), above)
        else:
            digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        return
    above = [*above, value]
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic)):
        digest.update(f"{type(value).__name__} {value!r};".encode("utf-8", "surrogatepass"))
    elif isinstance(value, Mapping):
        digest.update(f"mapping {len(value)};".encode())
        for key, inner in value.items():
            _feed(digest, key, above)
            _feed(digest, inner, above)
    elif isinstance(value, (Sequence, range)):
        digest.update(f"sequence {len(value)};".encode())
        for inner in value:
            _feed(digest, inner, above)
    elif isinstance(value, Set):
        _feed(digest, sorted(map(repr, value)), above)
    else:
        kind = value if isinstance(value, type) or callable(value) else type(value)
        name = getattr(kind, "__qualname__", type(kind).__qualname__)
        digest.update(f"object {name};".encode())
        if is_dataclass(value) and not isinstance(value, type):
            _feed(digest, {f.name: getattr(value, f.name) for f in fields(value)}, above)
        elif not isinstance(value, type) and not callable(value):
            _feed(digest, vars(value) if "__dict__" in dir(value) else repr(value), above)
