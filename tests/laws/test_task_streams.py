"""Every task streams: step by step it says what it says of the whole, and a snapshot goes on anywhere to the bit.

A new task must bring a row of `CASES`: without it these laws fail.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from tests.unit.runtime.grouped import at_once

import ostinato
from ostinato._folder import catalogue
from ostinato.data.freq import Grid
from ostinato.data.times import time_text
from ostinato.errors import ArgumentError, DataError, ShapeError, SnapshotError, StreamClosed
from ostinato.runtime import Ahead, load
from ostinato.runtime.records import records_of
from ostinato.tasks.base import Task
from ostinato.tasks.training import Training

TASKS = catalogue("ostinato.tasks", Task)
TINY = {"training": Training(epochs=1, members=1)}


class Case(NamedTuple):
    """A task as lines.

    Args:
        lines: From a model to the records that it answers, one stream after the other by chance.
        whole: From a model and the records of one stream to the answers that the whole history has, one a record; None
            where the batch has none to compare.
    """

    lines: Callable[[Any], list[dict[str, Any]]]
    whole: Callable[[Any, list[dict[str, Any]]], list[Any]]


def shuffled(streams: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One after the other by chance, each in its own order."""
    rng, left, mixed = np.random.default_rng(0), [list(stream) for stream in streams], []
    while any(left):
        going = [stream for stream in left if stream]
        mixed.append(going[rng.integers(len(going))].pop(0))
    return mixed


def network_lines(model):
    rng = np.random.default_rng(1)
    return shuffled(
        [[{"id": name, "x": row} for row in rng.normal(size=(25, model.input_shape[1])).tolist()] for name in "ab"]
    )


def network_whole(model, records):
    x = np.array([record["x"] for record in records], np.float32)
    return [{"y": model.predict(x[None, : n + 1])[0].tolist()} for n in range(len(x))]


def forecast_lines(model):
    rng, reach = np.random.default_rng(2), model.framing.reach
    known, other = model.known.ids[0], [f"new {i}" for i in range(2)]
    days = model.clock.freq.next(model.known.last[0], 2 * reach + 10)
    series = [(known, 8), *((name, 2 * reach + 10) for name in other)]
    return shuffled(
        [
            [
                {"id": name, "ds": str(day.astype("datetime64[s]")), "y": float(value)}
                for day, value in zip(days[:n], np.exp(rng.normal(3.0, 0.2, n)), strict=True)
            ]
            for name, n in series
        ]
    )


def forecast_whole(model, records):
    name, answers = records[0]["id"], []
    values = [record["y"] for record in records]
    times = [np.datetime64(record["ds"], "us") for record in records]
    if name in model.known.ids:
        i = model.known.ids.index(name)
        before = model.known.tails[i]
        values = [*before, *values]
        freq, last = model.clock.freq, model.known.last[[i]]
        at = freq.split(last)
        past = Grid(at.number - np.arange(len(before))[::-1], np.repeat(at.residue, len(before)))
        times = [*freq.join(past, like=last), *times]
    for n in range(len(values) - len(records) + 1, len(values) + 1):
        if n < model.framing.reach:
            answers.append({"forecast": None})
            continue
        table = model.predict({"unique_id": [name] * n, "ds": times[:n], "y": values[:n]})
        columns = {column: table[column].tolist() for column in model.columns()}
        h, beyond = model.framing.horizon, n - model.framing.reach
        own, enough = (sum(min(i, h) for i in range(1, steps + 1)) for steps in (beyond, max(h, 8)))
        borrowed = {} if name in model.known.ids or own >= enough else {"borrowed": 1 - own / enough}
        answers.append({"forecast": {"ds": time_text(table["ds"]), **columns}, **borrowed})
    return answers


def generate_lines(model):
    text = written(model)
    return shuffled([[{"id": name, "text": text[i : i + 7]} for i in range(0, 140, 7)] for name in "ab"])


def written(model):
    symbols = [model.vocabulary.decode([i]) for i in range(model.vocabulary.size)]
    return "".join(np.random.default_rng(3).choice(symbols, 300).tolist())


def generate_whole(model, records):
    nats = model.surprise(model.vocabulary.encode("".join(record["text"] for record in records)))
    ends = np.cumsum([len(model.vocabulary.encode(record["text"])) for record in records])
    begins = [0, *ends[:-1]]
    return [{"symbols": int(b - a), "nats": float(nats[a:b].sum())} for a, b in zip(begins, ends, strict=True)]


CASES = {
    "sequential": Case(network_lines, network_whole),
    "forecast": Case(forecast_lines, forecast_whole),
    "generate": Case(generate_lines, generate_whole),
}


def flat(answer):
    """An answer of a stream as bytes."""
    if isinstance(answer, Ahead):
        return answer.quantiles.tobytes(), answer.columns, answer.borrowed, answer.times.tobytes()
    return None if answer is None else np.asarray(answer).tobytes()


STEPS = {
    "sequential": (lambda line: (line["x"],), "step"), "forecast": (lambda line: (line["y"], line["ds"]), "step"),
    "generate": (lambda line: (line["text"],), "feed"),
}  # fmt: skip
"""How a record is told to a stream or, with others, to a pool: what is passed, and by which method of a stream."""

GIVEN: dict[str, Any] = {"x": [[0.1, 0.2, 0.3]], "value": 1.0, "values": [1.0], "piece": ""}
"""What the methods of streams need, by the names of their arguments."""

WRONG = {
    "sequential": lambda x: x[:-1], "forecast": lambda value: value._replace(y=float("inf")),
    "generate": lambda text: text + "\U0001f98a",
}  # fmt: skip
"""What cannot be answered, made from what can."""

each = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def path_of(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("streams"), {}

    def path(name):
        if name not in made:
            made[name] = folder / name
            _trained(name).save(made[name])
        return made[name]

    return path


def _trained(name):
    if name != "sequential":
        return TASKS[name](**TINY).fit(TASKS[name].sample())
    layers = ostinato.layers
    return ostinato.Sequential(
        [layers.Input((None, 3)), layers.GRU(5, return_sequences=True), layers.LSTM(4), layers.Dense(2)], seed=1
    )


def told(records, line):
    answer = records.answer(records.parse(msgspec.json.encode(line)))
    assert answer.pop("id") == line["id"]
    return answer


def near(found, want):
    """The same names, texts and counts, and numbers to rounding."""
    if isinstance(want, dict):
        assert list(found) == list(want)
        for name, value in want.items():
            near(found[name], value)
    elif isinstance(want, list) and not isinstance(want[0], str):
        np.testing.assert_allclose(found, want, rtol=2e-5, atol=1e-5)
    elif isinstance(want, float):
        assert found == pytest.approx(want, rel=1e-5, abs=1e-5)
    else:
        assert found == want


def test_every_task_has_a_case():
    assert set(CASES) == {"sequential", *TASKS}


@each
@pytest.mark.filterwarnings("ignore:.*not in training")
def test_a_stream_says_what_the_whole_says(name, path_of):
    model = load(path_of(name))
    records, lines = records_of(model), CASES[name].lines(model)
    answers = [told(records, line) for line in lines]
    for stream in {line["id"] for line in lines}:
        own = [i for i, line in enumerate(lines) if line["id"] == stream]
        whole = CASES[name].whole(model, [lines[i] for i in own])
        assert len(whole) == len(own)
        for i, want in zip(own, whole, strict=True):
            near(answers[i], want)


@each
@pytest.mark.filterwarnings("ignore:.*not in training")
def test_a_snapshot_goes_on_anywhere_to_the_bit(name, path_of):
    model = load(path_of(name))
    lines = CASES[name].lines(model)
    records = records_of(model)
    whole = [told(records, line) for line in lines]
    for cut in range(0, len(lines) + 1, max(len(lines) // 7, 1)):
        first, second = records_of(model), records_of(load(path_of(name)))
        answers = [told(first, line) for line in lines[:cut]]
        assert second.restore(first.snapshot(cut)) == cut
        answers += [told(second, line) for line in lines[cut:]]
        assert answers == whole


def crowd(lines):
    """Each of the streams seven times, one line later each time, some of which begin anew; then one stream alone."""
    rng, found = np.random.default_rng(4), []
    for i in range(len(lines) + 7):
        for late in range(min(i + 1, 7)):
            if i - late < len(lines):
                line = lines[i - late]
                line = line | {"id": f"{line['id']} {late}" if late else line["id"]}
                chance = rng.random()
                ends = {"id": line["id"], "reset": True}
                found.append(ends if chance < 0.01 else line | ends if chance < 0.02 else line)
    alone = [line | {"id": "alone"} for line in lines if line["id"] == lines[0]["id"]]
    return found + alone


def given_of(model, name, records):
    """Their records, and among them some that cannot be answered."""
    rng, found = np.random.default_rng(5), []
    for line in crowd(CASES[name].lines(model)):
        found.append(records.parse(msgspec.json.encode(line)))
        if found[-1].given is not None and rng.random() < 0.01:
            found.append(found[-1]._replace(given=WRONG[name](found[-1].given)))
    return found


def states(records):
    return {name: records._blob(stream) for name, stream in records._open.items()}


@each
@pytest.mark.parametrize("size", [2, 64, 1000])
@pytest.mark.filterwarnings("ignore:.*not in training")
def test_lines_at_once_are_as_one_after_the_other_to_the_bit(name, size, path_of, monkeypatch):
    model = load(path_of(name))
    alone, together = records_of(model), records_of(model)
    given = given_of(model, name, alone)
    want = at_once(alone, given, 1)
    assert {type(one) for one in want} == {dict, str}
    groups = []
    for way in ("_run", "_step"):
        whole = getattr(together, way)
        monkeypatch.setattr(together, way, lambda *a, whole=whole: groups.append(whole(*a)) or groups[-1])
    assert at_once(together, given, size) == want
    assert states(together) == states(alone)
    assert sum(map(len, groups)) > (0.9 if size > 2 else 0.5) * len(given), "too few were answered together"


@each
@pytest.mark.filterwarnings("ignore:.*not in training")
def test_a_line_that_fails_changes_no_other_one(name, path_of):
    model = load(path_of(name))
    records, other = records_of(model), records_of(model)
    lines = CASES[name].lines(model)
    first, second = [line for line in lines if line["id"] == lines[-1]["id"]][:2]
    begun, given = (
        [records.parse(msgspec.json.encode(line | {"id": f"s{i}"})) for i in range(8)] for line in (first, second)
    )
    records.answers(begun[:4])
    other.answers(begun[:4])
    wrong = WRONG[name](given[0].given)
    answers, error = records.answers([*given[:6], given[6]._replace(given=wrong), given[7]])
    assert error is not None
    assert (answers, None) == other.answers(given[:6])
    assert len(answers) == 6
    assert states(records) == states(other)
    assert len(records) == 6


@each
@pytest.mark.filterwarnings("ignore:.*not in training")
def test_a_stream_that_is_reset_is_gone(name, path_of):
    model = load(path_of(name))
    lines = CASES[name].lines(model)
    records = records_of(model)
    whole = [told(records, line) for line in lines]
    again = records_of(model)
    again.restore(records.snapshot(0))
    for some in (records, again):
        for stream in {line["id"] for line in lines}:
            some.answer(some.parse(msgspec.json.encode({"id": stream, "reset": True})))
        assert len(some) == 0
        assert [told(some, line) for line in lines] == whole


def public(kind):
    """Names of what users of a class can call or read on an open stream alone."""
    return [name for name in dir(kind) if not name.startswith("_") and name not in ("close", "explain")]


@each
def test_a_closed_stream_says_so_and_a_context_closes_it(name, path_of):
    model = load(path_of(name))
    with model.stream() as stream:
        twin = stream.fork()
    for one in (stream, twin):
        one.close()
        one.close()
        for attribute in public(type(one)):
            member = getattr(type(one), attribute)
            if isinstance(member, property):
                with pytest.raises(StreamClosed):
                    getattr(one, attribute)
                continue
            needed = [p for p in inspect.signature(member).parameters.values() if p.default is p.empty][1:]
            given = [GIVEN[p.name][0] if (attribute, p.name) == ("step", "x") else GIVEN[p.name] for p in needed]
            with pytest.raises(StreamClosed):
                getattr(one, attribute)(*given)
    assert model.stream().steps == 0


@each
def test_a_closed_stream_leaves_the_others_alone(name, path_of):
    model, lines = load(path_of(name)), CASES[name].lines(load(path_of(name)))
    args, way = STEPS[name]
    own = [args(line) for line in lines if line["id"] == lines[0]["id"]]
    whole = model.stream()
    with model.stream() as stream:
        getattr(stream, way)(*own[0])
        twin, blob = stream.fork(), stream.snapshot()
    want = [flat(getattr(whole, way)(*one)) for one in own][1:]
    assert [flat(getattr(twin, way)(*one)) for one in own[1:]] == want
    again = model.stream(blob)
    assert [flat(getattr(again, way)(*one)) for one in own[1:]] == want


def lockstep(model, name):
    """Records of streams that move on together: for each step the ids, and what is passed for each."""
    args, _ = STEPS[name]
    lines = CASES[name].lines(model)
    streams = {line["id"]: [args(one) for one in lines if one["id"] == line["id"]] for line in lines}
    longest = max(streams.values(), key=len)
    many = [longest[late:] for late in range(7)]
    return [
        ([i for i, own in enumerate(many) if t < len(own)], [own[t] for own in many if t < len(own)])
        for t in range(len(longest))
    ]


@each
def test_a_pool_says_what_each_stream_says_alone_to_the_bit(name, path_of):
    model = load(path_of(name))
    _, way = STEPS[name]
    alone, pool = [model.stream() for _ in range(7)], model.pool(7)
    assert [pool.open() for _ in alone] == list(range(7))
    for t, (ids, given) in enumerate(lockstep(model, name)):
        order = [ids[k] for k in np.random.default_rng(t).permutation(len(ids))]
        told = [given[ids.index(i)] for i in order]
        answers = pool.step(order, *map(list, zip(*told, strict=True)))
        assert [flat(answer) for answer in answers] == [
            flat(getattr(alone[i], way)(*one)) for i, one in zip(order, told, strict=True)
        ]
        moving = order[0]
        assert pool.snapshot(moving) == alone[moving].snapshot()
        if t % 5 == 4:  # from a stream into the pool and back
            pool.close(moving)
            pool.open(moving, alone[moving].snapshot())
            alone[moving] = model.stream(pool.snapshot(moving))
    assert len(pool) == 7


@each
def test_a_call_of_a_pool_that_raises_has_changed_nothing(name, path_of):
    model = load(path_of(name))
    pool = model.pool(3)
    ids = [pool.open("a"), pool.open(), pool.open("b")]
    assert (ids, list(pool), len(pool), "b" in pool, "c" in pool) == (["a", 0, "b"], ["a", 0, "b"], 3, True, False)
    (_, given), (_, later), *_ = lockstep(model, name)
    columns, wrong = ([list(column) for column in zip(*rows[:3], strict=True)] for rows in (given, later))
    pool.step(ids, *columns)
    before = [pool.snapshot(id) for id in ids]
    value = {"sequential": [np.nan] * 3, "forecast": np.inf, "generate": "\U0001f98a"}[name]
    wrong[0][2] = value
    rest = columns[1:]
    for kind, code, call in (
        (ArgumentError, "full", lambda: pool.open()),
        (ArgumentError, "full", lambda: pool.open("a")),
        (ArgumentError, "duplicate", lambda: pool.step(["a", "b", "a"], *columns)),
        (ArgumentError, None, lambda: pool.step("a", columns[0][:1])),
        (StreamClosed, None, lambda: pool.step(["a", 0, "c"], *columns)),
        (StreamClosed, None, lambda: pool.step(["a", 0, ["b"]], *columns)),
        (ShapeError, None, lambda: pool.step(["a", 0], *columns)),
        (ShapeError, None, lambda: pool.step(["a", 0], columns[0], *[column[:2] for column in rest])),
        (DataError, None, lambda: pool.step(ids, *wrong)),
        *((StreamClosed, None, lambda one=one: one("c")) for one in (pool.reset, pool.close, pool.snapshot)),
    ):
        with pytest.raises(kind) as found:
            call()
        assert code in (None, found.value.code)
        assert [pool.snapshot(id) for id in ids] == before
    pool.reset("a")
    assert pool.snapshot("a") == model.stream().snapshot()
    pool.close("b")
    for kind, code, blob in ((ArgumentError, "taken", None), (SnapshotError, None, b"none")):
        with pytest.raises(kind) as found:
            pool.open("a" if blob is None else "c", blob)
        assert code in (None, found.value.code)
    with pytest.raises(ArgumentError):
        pool.open(True)
    assert list(pool) == ["a", 0]
    for capacity in (0, -1, 2.5, "3", None, True):
        with pytest.raises(ArgumentError):
            model.pool(capacity)
    assert len(pool.step([], *(np.array(column)[:0] for column in columns))) == 0
