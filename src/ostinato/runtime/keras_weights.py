"""Weights in Keras' order and layout, so that numbers from Keras mean the same function here.

All layers agree with Keras but the two GRUs. Keras orders the gates z, r, h, ours are r, z, n. In the published GRU our
z weighs the new state and Keras' the old one, so z is negated: sigmoid(-a) = 1 - sigmoid(a), and hard_sigmoid likewise.
Keras keeps the two biases of the other GRU in one array (2, 3 · units).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ostinato.cells.base import Cell
from ostinato.cells.gru import GRU
from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.errors import DataError, ShapeError
from ostinato.maps.attention import Attention
from ostinato.maps.base import Part
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

Numbers = np.ndarray[Any, np.dtype[Any]]

_GATED = ("W", "U", "b", "b_rec")


def to_keras(part: Part, own: Mapping[str, Numbers]) -> list[Numbers]:
    """The weights of a layer as Keras' `get_weights` gives them.

    Args:
        part: The layer's formula.
        own: Its weights by name, without those that do not exist (a missing bias).
    """
    if isinstance(part, Bidirectional):
        return [v for prefix, one in _halves(part) for v in to_keras(one, _below(prefix, own))]
    if isinstance(part, Recurrent) and type(part.cell) in (GRU, GRUResetAfter):
        turned = {key: _out(part.cell, v) if key in _GATED else v for key, v in own.items()}
        if "b_rec" in turned:
            turned["b"] = np.stack([turned["b"], turned.pop("b_rec")])
        return list(turned.values())
    if isinstance(part, Attention) and "scale" in own:
        own = {**own, "scale": own["scale"][0]}
    return list(own.values())


def from_keras(part: Part, values: Sequence[Any], *, like: Mapping[str, Numbers]) -> dict[str, Numbers]:
    """A layer's own weights by name, from what Keras' `get_weights` gives.

    Args:
        part: The layer's formula.
        values: Arrays in Keras' order and layout.
        like: The layer's weights as they are, for names and shapes.

    Raises:
        ShapeError: There are not as many arrays, or they have other shapes.
        DataError: They do not hold finite numbers.
    """
    expected = [np.shape(v) for v in to_keras(part, like)]
    arrays = [_numbers(number, v) for number, v in enumerate(values)]
    got = [a.shape for a in arrays]
    if got != expected:
        raise ShapeError(
            f"weights must have the shapes {expected}",
            got=str(got),
            fix="Pass what get_weights() of the same layers gave, here or in Keras.",
        )
    return _from(part, arrays, like)


def _from(part: Part, arrays: Sequence[Numbers], like: Mapping[str, Numbers]) -> dict[str, Numbers]:
    if isinstance(part, Bidirectional):
        found: dict[str, Numbers] = {}
        first = 0
        for prefix, one in _halves(part):
            below = _below(prefix, like)
            last = first + len(to_keras(one, below))
            found |= {prefix + key: v for key, v in _from(one, arrays[first:last], below).items()}
            first = last
        return found
    if isinstance(part, Recurrent) and "b_rec" in like:
        names = [key for key in like if key != "b_rec"]
        turned = dict(zip(names, arrays, strict=True))
        turned["b"], turned["b_rec"] = turned["b"]
        arrays = [turned[key] for key in like]
    by_name = {key: a.reshape(like[key].shape) for key, a in zip(like, arrays, strict=True)}
    if isinstance(part, Recurrent) and type(part.cell) in (GRU, GRUResetAfter):
        return {key: _in(part.cell, v) if key in _GATED else v for key, v in by_name.items()}
    return by_name


def _out(cell: Cell, a: Numbers) -> Numbers:
    """z, r, h from our r, z, n."""
    r, z, n = np.split(a, 3, axis=-1)
    return np.concatenate([_sign(cell) * z, r, n], axis=-1)


def _in(cell: Cell, a: Numbers) -> Numbers:
    """Our r, z, n from z, r, h."""
    z, r, n = np.split(a, 3, axis=-1)
    return np.concatenate([r, _sign(cell) * z, n], axis=-1)


def _sign(cell: Cell) -> int:
    return -1 if type(cell) is GRU else 1


def _halves(part: Bidirectional) -> list[tuple[str, Recurrent]]:
    return [("forward_", part.layer), ("backward_", part.backward or part.layer)]


def _below(prefix: str, own: Mapping[str, Numbers]) -> dict[str, Numbers]:
    return {key.removeprefix(prefix): v for key, v in own.items() if key.startswith(prefix)}


def _numbers(number: int, value: Any) -> Numbers:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
        raise DataError(
            "weights must be arrays of finite numbers",
            got=f"{array.dtype}" if array.dtype.kind not in "fiub" else "NaN or infinite numbers",
            where=f"array {number}",
            fix="Correct the array.",
        )
    return array
