"""A text that goes on: cut anywhere, it costs what the whole costs, and what follows is what follows the whole."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.runtime.generators import TEXT, TUNES, VOCABULARIES, generator, source

from ostinato.cells import CELLS
from ostinato.data.inputs import write_tune
from ostinato.data.vocabularies.words import Words
from ostinato.errors import ArgumentError, DataError, SnapshotError
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.runtime.decode import Sampling
from ostinato.runtime.generator_stream import feed_together
from ostinato.runtime.snapshot import pack, unpack
from ostinato.scans.recurrent import Recurrent

NEAR = {"rtol": 0, "atol": 1e-5}
TEXTS = [name for name in VOCABULARIES if name != "midi"]
each = pytest.mark.parametrize("name", VOCABULARIES)
each_text = pytest.mark.parametrize("name", TEXTS)
ODD = "the rain,  and...  the \n\n\t wind\u96e8 falls on" + " " * 40 + "a" * 70 + " \u96e8\u96e8 the__sea.1 2"


@pytest.fixture(scope="module")
def of():
    made = {name: generator(vocabulary) for name, vocabulary in VOCABULARIES.items()}
    return made.__getitem__


def known(name):
    """A text that the vocabulary can encode, with white space and marks wherever they can stand."""
    symbols = set(TEXT)
    return ODD if name in ("bytes", "subwords") or "words" in name else "".join(c for c in ODD if c in symbols)


def whole(model, text):
    return model.surprise(np.concatenate([model.vocabulary.encode(text), *ending(model)]))


def ending(model):
    return [] if model.vocabulary.end_id is None else [[model.vocabulary.end_id]]


@each_text
@pytest.mark.parametrize("kind", ["text", "bytes"])
def test_any_cut_costs_what_the_whole_costs(name, kind, of):
    model, text = of(name), known(name)
    given = text if kind == "text" else text.encode()
    want = whole(model, text)
    assert model.surprise(model.vocabulary.encode(text)).sum() == pytest.approx(
        want[: len(want) - len(ending(model))].sum()
    )
    rng = np.random.default_rng(0)
    cuts = [sorted(rng.integers(0, len(given) + 1, k).tolist()) for k in (0, 1, 2, 5, 30)] + [list(range(len(given)))]
    for places in cuts:
        stream = model.stream()
        pieces = [given[a:b] for a, b in zip([0, *places], [*places, len(given)], strict=True)]
        found = np.concatenate([*(stream.feed(piece) for piece in pieces), stream.finish()])
        np.testing.assert_allclose(found, want, **NEAR)
        assert stream.steps == 0


@each_text
def test_what_is_read_does_not_wait_longer_than_it_must(name, of):
    stream = of(name).stream()
    n = len(stream.feed("the rain"))
    assert n == len(of(name).vocabulary.encode("the")) if "words" in name else n == 8
    assert stream.steps == n


@each
def test_what_follows_is_what_follows_the_whole(name, of):
    model, given = of(name), source(name)
    stream = model.stream()
    stream.feed(given)
    for how in (Sampling(0.0), Sampling(seed=1), Sampling(seed=2, temperature=0.7, top_k=5, repetition_penalty=1.3)):
        want = list(model.sample(given, length=40, sampling=how))
        assert list(stream.sample(length=40, sampling=how)) == want
        assert list(stream.sample(length=40, sampling=how)) == want, "the stream has moved"
        if name != "midi":
            assert "".join(stream.pieces(length=40, sampling=how)) == "".join(
                model.pieces(given, length=40, sampling=how)
            )


@each
def test_the_next_symbols_are_probable_as_surprise_says(name, of):
    model, given = of(name), source(name)
    stream = model.stream()
    stream.feed(given)
    logs = stream.log_probabilities()
    assert np.exp(logs).sum() == pytest.approx(1.0)
    best = stream.next(3)
    assert [one.log_probability for one in best] == sorted((one.log_probability for one in best), reverse=True)
    for symbol, text, log in best:
        assert log == logs[symbol]
        ids = [*model.vocabulary.encode(given), symbol]
        assert model.surprise(ids)[-1] == pytest.approx(-log, abs=1e-5)
        assert text == ("" if name == "midi" else model.vocabulary.decode([symbol]))
    everything = stream.next(10**6)
    assert {one.id for one in everything} | {model.vocabulary.start_id, model.vocabulary.unknown_id} - {None} == set(
        range(model.vocabulary.size)
    )


@each
def test_fork_reset_and_snapshot(name, of):
    model, given = of(name), source(name)
    more = TUNES[1] if name == "midi" else " and the wind"
    stream = model.stream()
    stream.feed(given)
    fork, blob = stream.fork(), stream.snapshot()
    restored = generator(VOCABULARIES[name]).stream(blob)
    want = np.concatenate([stream.feed(more), stream.finish()])
    for other in (fork, restored):
        found = np.concatenate([other.feed(more), other.finish()])
        assert found.tobytes() == want.tobytes()
    assert model.stream(blob).snapshot() == blob
    fresh = model.stream().snapshot()
    assert stream.snapshot() == fork.snapshot() == fresh
    stream.feed(given)
    stream.reset()
    assert stream.snapshot() == fresh


@each_text
def test_a_snapshot_inside_of_a_character_and_a_word(name, of):
    model, data = of(name), "the \u96e8 and the sea".encode()
    want = model.surprise(np.concatenate([model.vocabulary.encode(data.decode()), *ending(model)]))
    for at in range(len(data) + 1):
        stream = model.stream()
        first = stream.feed(data[:at])
        again = model.stream(stream.snapshot())
        np.testing.assert_allclose(np.concatenate([first, again.feed(data[at:]), again.finish()]), want, **NEAR)


def test_half_a_character_is_no_text(of):
    stream = of("characters").stream()
    stream.feed("\u96e8".encode()[:2])
    before = stream.snapshot()
    for call in (stream.finish, stream.next, stream.sample, lambda: stream.feed("a"), lambda: stream.feed(b"\xff")):
        with pytest.raises(DataError) as caught:
            call()
        assert caught.value.code == "encoding"
        assert stream.snapshot() == before
    assert len(of("bytes").stream().feed(b"\xff\x00")) == 2


def test_unknown_symbols_change_nothing_and_are_named(of):
    stream = of("characters").stream()
    stream.feed("the ")
    before = stream.snapshot()
    with pytest.raises(DataError, match="Ω") as caught:
        stream.feed("seaΩ")
    assert caught.value.code == "unknown_symbol"
    assert stream.snapshot() == before


def test_ids_and_tunes(of):
    model = of("midi")
    ids = model.vocabulary.encode(TUNES[0])
    costs = [model.stream().feed(given) for given in (TUNES[0], ids, ids.tolist(), write_tune(TUNES[0]))]
    assert all(np.array_equal(cost, costs[0]) for cost in costs)
    stream = of("words").stream()
    stream.feed("the rai")
    assert len(stream.feed([1, 2])) == len(of("words").vocabulary.encode(" rai")) + 2
    with pytest.raises(DataError, match="start of another"):
        model.stream().feed([5, model.vocabulary.start_id])
    for bad in ([-1], [10**6], [0.5], [[1]], 3, None):
        with pytest.raises(DataError):
            model.stream().feed(bad)
    with pytest.raises(DataError, match="shown in pieces"):
        model.stream().pieces()


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, "3"])
def test_bad_numbers(bad, of):
    stream = of("bytes").stream()
    with pytest.raises(ArgumentError, match="n must"):
        stream.next(bad)
    with pytest.raises(ArgumentError, match="length must"):
        stream.sample(length=bad)


def test_snapshots_of_others_are_refused(of):
    blob = of("characters").stream().snapshot()
    for other in (of("names"), generator(VOCABULARIES["characters"], seed=1)):
        with pytest.raises(SnapshotError) as caught:
            other.stream(blob)
        assert caught.value.code == "model"
    model = of("characters")
    _, arrays = unpack(blob, model.fingerprint, "generate")
    changes = [arrays[:3], [arrays[0][:-1], *arrays[1:]], [arrays[0], np.array([10**6]), *arrays[2:]],
               [*arrays[:3], arrays[3][:-1]], [*arrays, arrays[0]]]  # fmt: skip
    for other in changes:
        with pytest.raises(SnapshotError):
            model.stream(pack(model.fingerprint, "generate", {}, other))
    with pytest.raises(SnapshotError):
        model.stream("text")


def test_nothing_settles_that_could_change():
    vocabulary = Words.fit([ODD, "the rainy seas"], unknown="symbol")
    for text in (ODD, "", " ", "a", ".", "the \n", "_", "1"):
        for n in range(len(text) + 1):
            for kind in (vocabulary, VOCABULARIES["subwords"]):
                sure = kind.settled(text[:n])
                joined = [*kind.encode(text[:sure]), *kind.encode(text[sure:])]
                assert joined == kind.encode(text).tolist()


def test_scores_that_overflow_leave_all_streams_as_they_were():
    vocabulary = VOCABULARIES["characters"]
    grows = Recurrent(CELLS["simple_rnn"](6, activation="relu"), return_sequences=True)
    model = generator(vocabulary, (Embedding(vocabulary.size, 4), grows, Dense(vocabulary.size)), scale=1e3)
    seats = model.seats()
    streams = [model.stream_in(seats) for _ in range(3)]
    pieces = ["the", TEXT, "rain"]
    before = [stream.snapshot() for stream in streams]
    for use in (lambda: feed_together(streams, pieces), lambda: streams[1].feed(TEXT)):
        with pytest.raises(DataError) as caught:
            use()
        assert caught.value.code == "nonfinite"
        assert [stream.snapshot() for stream in streams] == before
    assert len(feed_together(streams, ["t", "", "th"])[2]) == 2
