"""Records of a model, several at once: the same answers and the same states as one after the other."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from tests.laws.own_cell import Leaky
from tests.unit.runtime.forecasters import forecaster
from tests.unit.runtime.generators import TEXT, VOCABULARIES, generator
from tests.unit.runtime.grouped import at_once
from tests.unit.runtime.networks import network, of_numbers, of_symbols

from ostinato.errors import DataError
from ostinato.maps.dense import Dense
from ostinato.runtime import native
from ostinato.runtime.records import Record, records_of
from ostinato.runtime.records.base import reset_of
from ostinato.runtime.records.lines import CsvLines, JsonLines
from ostinato.runtime.seats import Seats
from ostinato.scans.recurrent import Recurrent

NETWORKS = {
    "numbers": of_numbers,
    "symbols": of_symbols,
    "in Python": lambda: network([Recurrent(Leaky(5)), Dense(2)]),
}
TEXTS = {name: partial(generator, vocabulary) for name, vocabulary in VOCABULARIES.items() if name != "midi"}
MODELS = NETWORKS | TEXTS
ORDERS = {
    "by chance": lambda rng, n: rng.integers(0, 40, n),
    "in turn": lambda rng, n: np.arange(n) % 40,
    "one": lambda rng, n: np.zeros(n, int),
    "in blocks": lambda rng, n: np.arange(n) // 7 % 40,
}
BAD = {
    "numbers": [[1, None, 2], [1, 2], [1, 2, 1e39]],
    "symbols": [7, 1.5, None],
    "in Python": [[1, 2, 3, 4], [1, None, 1]],
    "characters": ["the \U0001f98a"],
    "names": ["\U0001f98a"],
}


def one(kind, rng):
    """What a line has for its stream."""
    if kind in TEXTS:
        a, b = np.sort(rng.integers(0, len(TEXT), 2))
        return TEXT[a : b if rng.random() < 0.3 else a + int(rng.integers(6))]
    return int(rng.integers(7)) if kind == "symbols" else rng.normal(size=3).round(2).tolist()


def lines(kind, order, *, bad):
    """Lines with names, resets and, if asked for, what cannot be answered."""
    rng, field = np.random.default_rng(3), "text" if kind in TEXTS else "x"
    found = []
    for name in ORDERS[order](rng, 300).tolist():
        line = {"id": name} if name else {}
        chance = rng.random()
        if chance < 0.04:
            line |= {"reset": True}
        if not 0.02 < chance < 0.04:
            line[field] = one(kind, rng)
        if bad and chance > 0.97:
            line[field] = BAD[kind][int(rng.integers(len(BAD[kind])))]
        found.append(json.dumps(line).encode() if field in line or "reset" in line else b'{"reset": true}')
    return found


def one_by_one(records, given):
    said = []
    for record in given:
        answers, error = records.answers([record])
        said.append(str(error) if error else answers[0])
    return said


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("kind", "policy", "bad"),
    [(kind, policy, bad) for kind in NETWORKS for policy in ("raise", "hold") for bad in (False, True)]
    + [(kind, "raise", bad) for kind in TEXTS for bad in (False, True) if not bad or kind in BAD],
)
def test_several_at_once_are_as_one_after_the_other(kind, order, policy, bad):
    model = MODELS[kind]()
    if native.available() is None and kind in NETWORKS:
        assert (model.stepping.plain is None) == (kind != "in Python")
    alone = records_of(model, nonfinite=policy)
    given = [alone.parse(line) for line in lines(kind, order, bad=bad)]
    want = one_by_one(alone, given)
    assert any(isinstance(one, str) for one in want) == bad
    for size in (1, 2, 64, 300):
        together = records_of(model, nonfinite=policy)
        assert at_once(together, given, size) == want
        assert sorted_state(together) == sorted_state(alone)


def sorted_state(records):
    """Each stream's snapshot under its name; streams may have been used in another order."""
    return {name: records._blob(stream) for name, stream in records._open.items()}


def test_what_fails_leaves_those_behind_it_as_they_were():
    records, other = (records_of(of_numbers()) for _ in range(2))
    given = [Record(np.full(3, 0.1 * i, np.float32), f"s{i}") for i in range(5)]
    given[3] = Record(np.array([1, np.nan, 2], np.float32), "s3")
    answers, error = records.answers(given)
    assert len(answers) == 3
    assert "step 1, feature 1" in str(error)
    assert other.answers(given[:3]) == (answers, None)
    assert sorted_state(records) == sorted_state(other)


def test_seats_are_used_again():
    model = of_numbers()
    seats = Seats(model.stepping, "raise")
    first = [seats.open() for _ in range(100)]
    rooms = {id(seat.room) for seat in first}
    x = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    seats.step(first, x)
    for seat in first[::2]:
        seats.close(seat)
    again = [seats.open() for _ in range(50)]
    assert {id(seat.room) for seat in again} <= rooms
    want = model.stream()
    assert np.array_equal(seats.step(again, np.repeat(x[:1], 50, axis=0)), np.repeat(want.step(x[0])[None], 50, axis=0))


def test_a_record_that_fails_takes_no_seat():
    records = records_of(of_numbers())
    records.answer(Record(np.zeros(3, np.float32), "a"))
    before = len(records._seats._free)
    for reset in (False, True):
        assert records.answers([Record(np.full(3, np.nan), "new", reset), Record(np.full(3, np.nan), "a", reset)])[1]
    assert len(records._seats._free) == before
    assert len(records) == 1


class Pieces:
    """Bytes that come piece by piece; whoever asks for one more than there is, waits for ever."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    def read1(self, size):
        assert self.pieces, "it would wait"
        return self.pieces.pop(0)


@pytest.mark.parametrize(
    ("pieces", "numbers"),
    [((b"[1]\n[2]\n[3", b"]\n"), [[1, 2], [3]]), ((b"[1]\n\n \n[2]\n\n",), [[1, 4]]), ((b"[1]", b"\n"), [[1]]),
     ((b"[1]\n", b"[2]"), [[1]])],
)  # fmt: skip
def test_only_whole_lines_are_gathered(pieces, numbers):
    lines = JsonLines(records_of(of_numbers()), Pieces(*pieces), None)
    for wanted in numbers:
        found = []
        while not found or lines.waits:
            assert lines.read() is not None
            found.append(lines.number)
        assert found == wanted


def test_a_row_that_goes_on_in_the_next_line_is_not_waited_for():
    lines = CsvLines(records_of(of_numbers()), Pieces(b'a,b,c\n1,2,3\n4,5,6\n\n7,8,"', b'9"\n'), None)
    assert lines._row() == ["a", "b", "c"]
    assert lines.waits
    assert lines.read() == ["1", "2", "3"]
    assert lines.waits
    assert lines.read() == ["4", "5", "6"]
    assert not lines.waits
    assert lines.read() == ["7", "8", "9"]
    assert lines.number == 5


@pytest.mark.parametrize("text", ["", "0", "1", "true", "FALSE", " 1 "])
def test_what_reset_can_be(text):
    assert reset_of({"reset": text}) == (text.strip().lower() in ("1", "true"))


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [("numbers", "x", [1, 2, 3]), ("symbols", "x", 1), ("characters", "text", 'the "text"\n'), ("forecasts", "y", 3.0)],
)
def test_a_key_comes_once(kind, field, value):
    records = records_of((MODELS | {"forecasts": forecaster})[kind]())
    assert records.parse(json.dumps({"id": field, field: value}).encode()).id == field
    plain = json.dumps({field: value})
    again = plain[:-1] + ", " + plain[1:]
    for line in (again, again.replace(f'"{field}":', f'"\\u{ord(field[0]):04x}{field[1:]}":', 1)):
        with pytest.raises(DataError, match=r"json.*(twice|escape)"):
            records.parse(line.encode())


def test_a_field_of_a_series_has_one_name():
    model = forecaster()
    columns = replace(model.reading.columns, id="shop")
    records = records_of(replace(model, reading=replace(model.reading, columns=columns)))
    assert records.parse(b'{"shop": "a", "y": 1}').id == "a"
    with pytest.raises(DataError, match=r"json.*id"):
        records.parse(b'{"shop": "a", "id": "b", "y": 1}')
    with pytest.raises(DataError, match=r"column.*id"):
        records.parse_row({"shop": "a", "id": "b", "y": "1"})
