"""The other naive rival of a language model: a general compressor that has seen the training text."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ostinato.errors import ArgumentError, DataError


class Compressed(NamedTuple):
    """What a text costs after another.

    Args:
        compressor: The one that needed least: "lzma", "bz2" or "zlib".
        bits: Bits that the text adds to the compressed training text.
        each: Bits of every compressor, by name.
    """

    compressor: str
    bits: int
    each: dict[str, int]


def compressed(train: str | bytes, valid: str | bytes, *, limit: int = 1 << 23) -> Compressed:
    """Bits that `valid` adds when it is compressed right after `train`, by the best of three compressors.

    Divide by the characters or bytes of `valid` to compare with `bits_per_character` or `bits_per_byte`. Compressors
    write whole bytes, so a `valid` of a few characters says little. About two seconds a megabyte.

    Args:
        train: The training text; str counts as UTF-8.
        valid: The text to pay for, not empty.
        limit: Only so many last bytes of `train` are used, which bounds the time; at least 0.
    """
    known, new = (text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text for text in (train, valid))
    if limit < 0:
        raise ArgumentError("limit must be at least 0", got=repr(limit), fix="Pass for example 8000000.")
    if not new:
        raise DataError("there must be text to compress", got="none", fix="Give a longer text.", code="empty")
    known = known[max(len(known) - limit, 0) :]
    each = {name: 8 * max(len(pack(known + new)) - len(pack(known)), 1) for name, pack in _compressors().items()}
    best = min(each, key=lambda name: each[name])
    return Compressed(best, each[best], each)


def _compressors() -> dict[str, Callable[[bytes], bytes]]:
    import bz2  # here, so that a process that only predicts does not load them
    import lzma
    import zlib

    return {
        "lzma": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
        "bz2": lambda data: bz2.compress(data, 9),
        "zlib": lambda data: zlib.compress(data, 9),
    }
