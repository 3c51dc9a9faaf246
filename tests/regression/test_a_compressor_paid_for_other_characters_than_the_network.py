"""The compressor's bits were divided by the line ends between items, too, and fell when the list was in order."""

import random

from ostinato.data.inputs import Texts
from ostinato.metrics.compressor import compressed
from ostinato.tasks.generating.evaluation import compressor_score

NAMES = sorted(
    {a + b + c for a in ("an", "ma", "jo", "el", "ri") for b in ("na", "li", "ro") for c in ("", "ka", "be", "s")}
)
PARTS = Texts(tuple(NAMES[::2]), stream=False), Texts(tuple(NAMES[1::2]), stream=False)


def test_items_cost_whole_bytes_by_their_own_characters():
    train, valid = PARTS
    bits = compressor_score(train, valid).bits * sum(map(len, valid.items))
    assert abs(bits / 8 - round(bits / 8)) < 1e-9


def test_the_order_of_a_list_says_nothing():
    train, valid = PARTS
    turned = [Texts(tuple(random.Random(1).sample(part.items, len(part.items))), stream=False) for part in PARTS]
    assert compressor_score(*turned) == compressor_score(train, valid)


def test_a_stream_stays_as_it_is():
    train, valid = Texts(("so it begins, " * 30,), stream=True), Texts(("and so it ends. " * 9,), stream=True)
    found = compressed(train.items[0], valid.items[0])
    assert compressor_score(train, valid).bits == found.bits / len(valid.items[0])
