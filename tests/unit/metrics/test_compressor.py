import bz2
import zlib

import numpy as np
import pytest

from ostinato.errors import ArgumentError, DataError
from ostinato.metrics import compressed

NOISE = np.random.default_rng(0).integers(0, 256, 50_000, dtype=np.uint8).tobytes()


def test_noise_costs_itself_and_a_repetition_nothing():
    fresh = compressed(b"", NOISE)
    assert 8 * len(NOISE) <= fresh.bits <= 8 * len(NOISE) * 1.02
    again = compressed(NOISE, NOISE)
    assert again.bits < 0.02 * fresh.bits
    assert again.compressor == "lzma"
    assert set(again.each) == {"lzma", "bz2", "zlib"}
    assert again.bits == min(again.each.values())


def test_only_the_last_part_is_used():
    assert compressed(NOISE + b"\0" * 50_000, NOISE, limit=50_000).bits > 8 * len(NOISE) * 0.98
    assert compressed(b"\0" * 50_000 + NOISE, NOISE, limit=len(NOISE)).bits < 8 * len(NOISE) * 0.02
    assert compressed(NOISE, NOISE, limit=0) == compressed(b"", NOISE)


def test_text_counts_as_utf8():
    text = "你好，世界。" * 50
    each = compressed(text, text + "!").each
    data = text.encode()
    for name, pack in {"bz2": bz2.compress, "zlib": lambda d: zlib.compress(d, 9)}.items():
        assert each[name] == 8 * (len(pack(data + data + b"!")) - len(pack(data)))


def test_what_cannot_be():
    with pytest.raises(DataError):
        compressed("a", "")
    with pytest.raises(ArgumentError):
        compressed("a", "b", limit=-1)
