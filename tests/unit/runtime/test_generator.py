"""A generator: sampling, surprise and search, by laws that hold for every vocabulary and cell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.unit.runtime.generators import TEXT, TUNES, VOCABULARIES, generator, source

from ostinato.data.inputs import Texts, read_tune
from ostinato.errors import ArgumentError, DataError
from ostinato.runtime import generator as module
from ostinato.runtime.decode import Sampling, log_softmax
from ostinato.runtime.machine import Machine

TEXTS = [name for name in VOCABULARIES if name != "midi"]
GREEDY = Sampling(temperature=0.0)
each = pytest.mark.parametrize("name", VOCABULARIES)
each_text = pytest.mark.parametrize("name", TEXTS)


@pytest.fixture(scope="module")
def of():
    made = {name: generator(vocabulary) for name, vocabulary in VOCABULARIES.items()}
    return made.__getitem__


def scores(model, ids):
    """The scores after each id, computed at once."""
    return Machine(model.parts, model.weights).run(np.asarray(ids)[None])[0][0]


@each_text
def test_pieces_joined_are_what_generate_writes(name, of):
    for seed in range(5):
        how = Sampling(seed=seed, temperature=1.5)
        whole = of(name).generate("the sea", length=60, sampling=how)
        pieces = list(of(name).pieces("the sea", length=60, sampling=how))
        assert "the sea" + "".join(pieces) == whole
        assert all(pieces)


@each
def test_the_same_seed_writes_the_same_and_another_something_else(name, of):
    drawn = [list(of(name).sample(length=50, sampling=Sampling(seed=seed))) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@each
def test_greedy_takes_the_largest_score_of_the_whole_text_so_far(name, of):
    model, banned = of(name), [i for i in (VOCABULARIES[name].start_id, VOCABULARIES[name].unknown_id) if i is not None]
    ids = model.ids(source(name)).tolist()
    drawn = list(model.sample(source(name), length=12, sampling=GREEDY))
    for symbol in drawn:
        last = scores(model, ids)[-1].copy()
        last[banned] = -np.inf
        assert symbol == last.argmax()
        ids.append(symbol)
    if len(drawn) < 12:
        last = scores(model, ids)[-1].copy()
        last[banned] = -np.inf
        assert last.argmax() == model.vocabulary.end_id


@each
def test_greedy_is_a_beam_of_one(name, of):
    model = of(name)
    beam = model.beams(source(name), length=15, width=1)[0]
    assert beam.text == model.generate(source(name), length=15, sampling=GREEDY)


def test_a_beam_says_how_probable_its_text_is(of):
    model = of("characters")
    for beam in model.beams("the", length=5, width=3):
        follows = model.log_probability(beam.text) - model.log_probability("the")
        assert math.isclose(beam.log_probability, follows, rel_tol=1e-5)


@each
def test_log_probability_is_minus_the_sum_of_surprise(name, of):
    model, vocabulary = of(name), VOCABULARIES[name]
    row = vocabulary.encode_item(source(name)) if vocabulary.items else vocabulary.encode(source(name))
    nats = model.surprise(row)
    assert len(nats) == len(row) - vocabulary.items
    assert math.isclose(model.log_probability(source(name)), -nats.sum(), rel_tol=1e-9)
    after = log_softmax(scores(model, model.ids(source(name))))
    want = sum(after[i, symbol] for i, symbol in enumerate(row[1:] if vocabulary.items else row))
    assert math.isclose(model.log_probability(source(name)), want, rel_tol=1e-5)


@each_text
def test_surprise_in_chunks_is_that_of_the_whole(name, of, monkeypatch):
    model = of(name)
    row = model.vocabulary.encode(TEXT)
    whole = model.surprise(row)
    monkeypatch.setattr(module, "_STEPS", 7)
    np.testing.assert_allclose(model.surprise(row), whole, rtol=0, atol=1e-5)


def test_surprise_of_several_items_starts_anew_at_each(of):
    model = of("names")
    rows = [model.vocabulary.encode_item(text) for text in ("rain", "sea", "the wind")]
    apart = np.concatenate([model.surprise(row) for row in rows])
    np.testing.assert_allclose(model.surprise(np.concatenate(rows)), apart, rtol=0, atol=1e-6)


def test_a_row_that_goes_on_is_read_without_the_opening(of):
    model = of("characters")
    row = model.vocabulary.encode("the rain")
    after = log_softmax(scores(model, row))
    want = [-after[i, symbol] for i, symbol in enumerate(row[1:])]
    np.testing.assert_allclose(model.surprise(row, fresh=False), want, rtol=0, atol=1e-5)
    assert len(model.surprise([])) == 0


@each_text
def test_evaluate_is_the_mean_surprise_of_the_texts(name, of):
    model = of(name)
    items = model.vocabulary.items
    texts = Texts(("the rain", "the sea") if items else ("the rain the sea",), stream=not items)
    found = model.evaluate(texts)
    total = -sum(map(model.log_probability, texts.items))
    assert math.isclose(found.nats * found.symbols, total, rel_tol=1e-9)
    assert math.isclose(found.perplexity, math.exp(found.nats), rel_tol=1e-9)
    if not model.vocabulary.has_unknown:
        assert math.isclose(found.bits, total / math.log(2) / texts.characters, rel_tol=1e-9)


@each
def test_an_empty_prime_works(name, of):
    model = of(name)
    assert model.ids().tolist() == [model.first]
    assert len(list(model.sample(length=3, sampling=GREEDY))) <= 3
    assert model.beams(length=3, width=2)
    found = model.generate(length=20, sampling=Sampling(seed=0))
    assert isinstance(found, bytes if name == "midi" else str)


def test_a_tune_goes_on(of):
    found = of("midi").generate(TUNES[0], length=30, sampling=Sampling(seed=3))
    assert found.startswith(b"MThd")
    assert of("midi").generate(TUNES[0], length=30, sampling=Sampling(seed=3)) == found
    assert read_tune(found).notes[:5] == TUNES[0].notes[:5]
    with pytest.raises(DataError, match="only text"):
        of("midi").pieces()


def test_words_that_are_unknown_are_read_but_never_written(of):
    model = of("words")
    unknown = model.vocabulary.unknown_id
    assert unknown in model.ids("the zebra").tolist()
    text = model.generate("the zebra", length=200, sampling=Sampling(seed=1, temperature=3.0))
    assert text.startswith("the zebra")
    assert "\ufffd" not in text
    assert np.isfinite(model.log_probability("the zebra"))


def test_items_end_and_their_marks_are_never_written(of):
    model = of("names")
    lengths = [len(list(model.sample(length=200, sampling=Sampling(seed=s, temperature=5.0)))) for s in range(40)]
    assert min(lengths) < 60
    drawn = [i for s in range(20) for i in model.sample(length=200, sampling=Sampling(seed=s, temperature=5.0))]
    assert not {model.vocabulary.start_id, model.vocabulary.end_id} & set(drawn)


def test_unknown_symbols_are_named_with_place_and_remedy(of):
    with pytest.raises(DataError, match="Ω") as caught:
        of("characters").generate("the Ω")
    assert caught.value.code == "unknown_symbol"
    assert caught.value.where == ("character 4",)
    assert "bytes" in caught.value.fix
    with pytest.raises(DataError) as caught:
        of("names").evaluate(Texts(("sea", "s\u00e9a"), stream=False))
    assert caught.value.where == ("character 1 of text 2",)
    assert of("bytes").log_probability("the Ω") < 0


@pytest.mark.parametrize("length", [0, -1, 2.5, True, "5", None])
def test_lengths_that_are_none(length, of):
    for call in (of("names").generate, of("names").beams, of("names").pieces):
        with pytest.raises(ArgumentError, match="length"):
            call(length=length)


@pytest.mark.parametrize("width", [0, -1, 1025, 1.5, True])
def test_widths_that_are_none(width, of):
    with pytest.raises(ArgumentError, match="width"):
        of("names").beams(width=width)


def test_predict_goes_on_greedily(of):
    model = of("characters")
    assert model.predict("the ") == model.generate("the ", sampling=GREEDY)
    assert model.predict(["the", "sea"])["text"][1] == model.generate("sea", sampling=GREEDY)
    assert model.predict(Texts(("the", "sea"), stream=False))["prime"] == ["the", "sea"]


def test_any_text_can_be_asked_for(of):
    for bad in (3, None, b"the"):
        with pytest.raises(DataError):
            of("characters").generate(bad)
    with pytest.raises(DataError, match="surrogate"):
        of("bytes").generate("\ud800")
