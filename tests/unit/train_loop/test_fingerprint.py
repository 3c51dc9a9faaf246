"""The digest by which a run knows its data and options again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ostinato.train.fingerprint import fingerprint


@dataclass
class Options:
    """Two fields."""

    units: int = 3
    names: tuple[str, ...] = ("a", "b")


class Plain:
    """An object with attributes."""

    def __init__(self, **fields):
        vars(self).update(fields)


class Slotted:
    """An object without attributes that can be looked at."""

    __slots__ = ()

    def __repr__(self):
        return "slotted"


def test_equal_values_have_one_digest_and_others_another():
    loop: list[object] = [1]
    loop.append(loop)
    table = np.arange(6.0).reshape(2, 3)
    values = [
        None, 0, False, 0.0, "", b"", "0", (), [0], {}, {"a": 1}, {"a": 2}, {1, 2}, {1, 3}, loop, table, table.T,
        table[:1], table.astype(np.float32), table.astype(int), torch.zeros(2), torch.ones(2, dtype=torch.bfloat16),
        torch.zeros(2, dtype=torch.int32), np.array(["a", None], object), np.array(["a", 1], object), Options(),
        Options(units=4), Plain(a=1), Plain(a=2), Slotted(), Options, len, fingerprint, np.float32(0), range(3), 1j,
        "\ud800",
    ]  # fmt: skip
    found = [fingerprint(value) for value in values]
    twice = [
        (repr(values[i]), repr(values[found.index(digest)]))
        for i, digest in enumerate(found)
        if found.index(digest) < i
    ]
    assert not twice


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.arange(6.0).reshape(2, 3).T, np.ascontiguousarray(np.arange(6.0).reshape(2, 3).T)),
        (torch.arange(3), np.arange(3)),
        ({"b", "a", "c"}, {"c", "b", "a"}),
        (Options(), Options()),
        (Plain(a=[1, "x"]), Plain(a=[1, "x"])),
        (Slotted(), Slotted()),
    ],
)
def test_how_a_value_is_held_does_not_matter(one, other):
    assert fingerprint(one) == fingerprint(other)


def test_data_of_one_number_that_changes_is_seen():
    table = np.zeros((40, 3), np.float32)
    before = fingerprint({"x": table})
    table[39, 2] = np.float32(1e-45)
    assert fingerprint({"x": table}) != before
