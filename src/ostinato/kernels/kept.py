"""Weights in the order of the compiled loops, kept from call to call as long as they hold the same numbers.

Weights can be written to without any trace: through `.data`, a flat tensor that they are views of, or a NumPy array.
torch's version counters see none of that, so that nothing but a look at every number tells whether they changed. The
look costs about as much as bringing weights into order that lie in the order of the formulas; those are not kept. It
costs half of bringing into order what torch's modules hold, which is transposed on the way; those are.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from ostinato.cells.base import Cell
from ostinato.runtime import native

_MOST = 256
"""Entries at most; the oldest go first."""


class _Entry(NamedTuple):
    """What is known of the weights in one place.

    Args:
        owner: The tensor that owns the memory of U; the entry goes with it.
        kind: Everything but the numbers that the packed weights depend on.
        copy: The numbers that were packed; None before weights are met a second time.
        packed: The packed weights; None likewise.
    """

    owner: weakref.ref[Tensor]
    kind: tuple[Any, ...]
    copy: Any = None
    packed: Any = None


_ENTRIES: dict[tuple[int, int], _Entry] = {}


def kept(cell: Cell, w: Sequence[Tensor], pack: Callable[[], Any]) -> Any:
    """The weights `w`, packed now by `pack` or, if they held exactly these bits then, earlier.

    They are kept from the second call on, so that weights that change between calls cost nothing more.

    Args:
        cell: The recurrence.
        w: Its weights W, U, …, float32 on the CPU, of any strides.
        pack: Packs them.
    """
    U = w[1]
    owner = U if U._base is None else U._base
    layout = tuple((v.shape, v.stride()) for v in w)
    kind = (native.engine(), cell, layout)
    place = (id(owner), U.data_ptr())
    entry = _ENTRIES.get(place)
    if entry is None or entry.owner() is not owner or entry.kind != kind:
        if all(_dense(v) for v in w):
            _keep(place, _Entry(_reference(owner, place), kind))
        return pack()
    addresses = [v.data_ptr() for v in w]
    if entry.packed is not None:
        if entry.copy.same(addresses):
            return entry.packed
        _keep(place, _Entry(entry.owner, kind))  # they change: look at them anew before copying them again
        return pack()
    # The copy is made first: what another thread writes meanwhile is in the packed weights only, and then found.
    copy = native.module().Copy([(a, v.numel()) for a, v in zip(addresses, w, strict=True)])
    packed = pack()
    if copy.same(addresses):
        _keep(place, _Entry(entry.owner, kind, copy, packed))
    return packed


def _dense(value: Tensor) -> bool:
    """Whether the numbers fill their piece of memory, in some order of the axes."""
    return value.is_contiguous() or (value.ndim == 2 and value.T.is_contiguous())


def _keep(place: tuple[int, int], entry: _Entry) -> None:
    _ENTRIES.pop(place, None)
    _ENTRIES[place] = entry
    while len(_ENTRIES) > _MOST:
        _ENTRIES.pop(next(iter(_ENTRIES)), None)


def _reference(owner: Tensor, place: tuple[int, int]) -> weakref.ref[Tensor]:
    def forget(gone: weakref.ref[Tensor]) -> None:
        entry = _ENTRIES.get(place)
        if entry is not None and entry.owner is gone:
            del _ENTRIES[place]

    return weakref.ref(owner, forget)
