"""Threads of Python with streams of one model: the same bits as alone, and a second thread at one stream never gets
wrong numbers: it waits, or gets `StreamBusy` and has done nothing.

The interpreter is told to change threads every few microseconds, so that calls meet anywhere between two instructions.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter

import numpy as np
import pytest
from tests.unit.runtime.forecasters import forecaster
from tests.unit.runtime.generators import TEXT, VOCABULARIES, generator
from tests.unit.runtime.networks import network, of_numbers, of_symbols

from ostinato.cells import CELLS
from ostinato.errors import ArgumentError, StreamBusy, StreamClosed
from ostinato.maps.dense import Dense
from ostinato.runtime import native, stepping
from ostinato.runtime.decode import Sampling
from ostinato.scans.recurrent import Recurrent

THREADS, STEPS = 8, 60
compiled = pytest.mark.skipif(native.available() is not None, reason="no compiled kernels here")


@pytest.fixture(autouse=True)
def often():
    """Threads change often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(params=[pytest.param("compiled", marks=compiled), "in Python"])
def how(request, monkeypatch):
    """How steps are computed."""
    if request.param == "in Python":
        monkeypatch.setattr(stepping, "why_not", lambda network: "a test asks for it")
    return request.param


def together(work, *, threads=THREADS):
    """What `work(0)`, `work(1)` … give in threads that begin at once."""
    start, found, errors = threading.Barrier(threads), [None] * threads, []

    def one(i):
        try:
            start.wait()
            found[i] = work(i)
        except BaseException as error:
            errors.append(error)
            raise

    made = [threading.Thread(target=one, args=(i,)) for i in range(threads)]
    for thread in made:
        thread.start()
    for thread in made:
        thread.join()
    assert not errors
    return found


def insisting(call, *arguments):
    """The result of a call that is made again as long as another thread is in the way."""
    while True:
        try:
            return call(*arguments)
        except StreamBusy:
            pass


def rows(i, n=STEPS):
    return np.random.default_rng(i).normal(size=(n, 3)).astype(np.float32)


def numbers(model, i):
    stream = model.stream()
    first = [stream.step(row) for row in rows(i)]
    again = model.stream(stream.fork().snapshot())
    return np.concatenate([np.stack(first), again.run(rows(i)), model.predict(rows(i)[None])])


def symbols(model, i):
    stream = model.stream()
    return np.stack([stream.step(int(k)) for k in np.random.default_rng(i).integers(0, 7, STEPS)])


def texts(model, i):
    stream = model.stream()
    nats = [stream.feed(TEXT[j * (i + 1) : (j + 1) * (i + 1)]) for j in range(12)]
    return np.concatenate(
        [
            *nats,
            stream.log_probabilities(),
            list(stream.sample(length=5, sampling=Sampling(seed=i))),
            model.surprise(model.ids(TEXT)),
        ]
    )


def forecasts(model, i):
    stream = model.stream(series="ab"[i % 2])
    values = np.random.default_rng(i).uniform(1.0, 2.0, 12)
    return np.stack(
        [stream.step(float(v)).quantiles for v in values] + [model.stream(stream.snapshot()).forecast().quantiles]
    )


CASES = {
    "numbers": (of_numbers, numbers),
    "symbols": (of_symbols, symbols),
    "characters": (lambda: generator(VOCABULARIES["characters"]), texts),
    "subwords": (lambda: generator(VOCABULARIES["subwords"]), texts),
    "forecasts": (forecaster, forecasts),
}


@pytest.mark.parametrize("case", CASES)
def test_streams_of_one_model_in_threads_are_as_alone(case, how):
    make, work = CASES[case]
    wanted = [work(make(), i) for i in range(THREADS)]
    for _ in range(3):
        model = make()  # anew: what its streams share is made by whoever comes first
        for one, other in zip(together(lambda i, model=model: work(model, i)), wanted, strict=True):
            np.testing.assert_array_equal(one, other)


@compiled
def test_large_steps_in_threads_are_as_alone():
    """Of networks whose steps give the interpreter's lock back."""
    parts = [Recurrent(CELLS["lstm"](700), return_sequences=True), Dense(300)]
    model = network(parts, (None, 3))
    wanted = [numbers_of(model, i) for i in range(3)]
    for one, other in zip(together(lambda i: numbers_of(model, i), threads=3), wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def numbers_of(model, i):
    stream = model.stream()
    return np.stack([stream.step(row) for row in rows(i, 12)])


def test_a_pool_shared_by_threads_mixes_nothing(how):
    wanted = [numbers_alone(i) for i in range(THREADS)]
    pool = of_numbers().pool(2 * THREADS)

    def work(i):
        mine, other = insisting(pool.open), insisting(pool.open)
        for row in rows(i, 5):
            insisting(pool.step, [mine, other], np.stack([row, row]))
        insisting(pool.close, other)
        insisting(pool.reset, mine)
        found = []
        for k, row in enumerate(rows(i)):
            found.append(insisting(pool.step, [mine], row[None])[0])
            if k % 7 == 3:  # streams come and go beside it
                guest = insisting(pool.open, f"guest {i}", insisting(pool.snapshot, mine))
                twin = insisting(pool.step, [guest, mine], np.stack([row, row]))
                assert np.array_equal(twin[0], twin[1])
                insisting(pool.close, guest)
                found.append(twin[1])
        insisting(pool.close, mine)
        return np.stack(found)

    for one, other in zip(together(work), wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not len(pool)


def numbers_alone(i):
    stream = of_numbers().stream()
    given = [row for k, row in enumerate(rows(i)) for _ in range(1 + (k % 7 == 3))]
    return np.stack([stream.step(row) for row in given])


def test_a_place_of_a_pool_is_given_to_one_thread(how):
    pool = of_numbers().pool(THREADS)

    def work(i):
        for _ in range(STEPS):
            mine = insisting(pool.open)
            first = insisting(pool.step, [mine], rows(i, 1))
            assert np.array_equal(first[0], of_first[i])
            insisting(pool.close, mine)

    of_first = [of_numbers().stream().step(rows(i, 1)[0]) for i in range(THREADS)]
    together(work)
    assert sorted(pool._free) == list(range(THREADS))


def test_a_name_is_taken_once_and_closed_once(how):
    pool = of_numbers().pool(THREADS)

    def attempt(call):
        try:
            insisting(call, "one")
        except (ArgumentError, StreamClosed):
            return 0
        return 1

    for _ in range(20):
        assert sum(together(lambda i: attempt(pool.open))) == 1
        assert sum(together(lambda i: attempt(pool.close))) == 1
    assert sorted(pool._free) == list(range(THREADS))


def steps_of(stream):
    return lambda: stream.step([0.5, -1.0, 2.0])


def runs_of(stream):
    return lambda: stream.run([[0.5, -1.0, 2.0]])[0]


def feeds_of(stream):
    return lambda: stream.feed("the ")


def values_of(stream):
    return lambda: stream.step(1.5).quantiles


SHARED = {
    "step": (lambda: of_numbers().stream(), steps_of),
    "run": (lambda: of_numbers().stream(), runs_of),
    "pool": (lambda: opened(of_numbers().pool(2)), lambda pool: lambda: pool.step(["a"], [[0.5, -1.0, 2.0]])[0]),
    "feed": (lambda: generator(VOCABULARIES["characters"]).stream(), feeds_of),
    "forecast": (lambda: forecaster().stream(series="a"), values_of),
}


def opened(pool):
    pool.open("a")
    return pool


@pytest.mark.parametrize("case", SHARED)
def test_threads_at_one_stream_lose_no_step_and_make_none_twice(case, how):
    """All give the same input: together their outputs are those of one thread, whatever the order."""
    make, of = SHARED[case]
    shared = of(make())

    def work(i):
        found = []
        for _ in range(12):
            try:
                found.append(shared().tobytes())
            except StreamBusy:
                continue
        return found

    answers = [answer for found in together(work) for answer in found]
    alone = of(make())
    assert Counter(answers) == Counter(alone().tobytes() for _ in answers)
    assert len(answers) >= THREADS


@compiled
def test_a_state_is_not_read_or_changed_during_a_step():
    """A long step gives the interpreter's lock back: meanwhile the other calls are told that the stream is busy."""
    model = network([Recurrent(CELLS["lstm"](600), return_sequences=True), Dense(2)], (None, 3))
    stream, x = model.stream(), rows(0, 40)
    alone = model.stream()
    alone.run(x)
    states = {model.stream().snapshot(), alone.snapshot()}
    enough = threading.Event()

    def work():
        while not enough.is_set():
            insisting(stream.run, x)
            insisting(stream.reset)

    seen = Counter()
    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(100_000):
            try:
                assert stream.snapshot() in states
                seen["state"] += 1
            except StreamBusy:
                seen["busy"] += 1
            if min(seen["state"], seen["busy"]) > 4:
                break
    finally:
        enough.set()
        thread.join()
    assert seen["busy"]
    assert stream.steps == 0
