"""Laws of every vocabulary, found in the package, so that a new one is tested with its file alone."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data import VOCABULARIES, Note, Tune
from ostinato.data.vocabularies import restore
from ostinato.data.vocabularies._text import TextVocabulary
from ostinato.errors import ArgumentError, DataError, ModelFileError, OstinatoError

CORPUS = "The cat, the hat: naïve 你好 世界!\n\tthe  end 🎵🎵 \0 e\u0301 é \u202eabc\n" * 3
TUNE = Tune.of([Note(0, 12, 60, 9), Note(0, 12, 64, 100), Note(300, 301, 60, 127)])


def choices():
    """Each vocabulary in its variants, by name."""
    pytest.importorskip("tokenizers")
    for key, cls in VOCABULARIES.items():
        corpus = [CORPUS] if issubclass(cls, TextVocabulary) else [TUNE]
        for items in (False, True):
            yield f"{key} {items}", cls.fit(corpus, items=items)
        if key in ("characters", "words"):
            yield f"{key} unknown", cls.fit(corpus, unknown="symbol", items=True)
        if key == "subwords":
            yield f"{key} small", cls.fit(corpus, size=270)
        if key == "midi":
            yield f"{key} velocities", cls.fit(corpus, velocities=32, longest=7)


ALL = dict(choices())
TEXTS = {name: v for name, v in ALL.items() if isinstance(v, TextVocabulary)}
every = pytest.mark.parametrize("vocabulary", ALL.values(), ids=ALL)
of_text = pytest.mark.parametrize("vocabulary", TEXTS.values(), ids=TEXTS)


def source_of(vocabulary):
    return CORPUS if isinstance(vocabulary, TextVocabulary) else TUNE


def valid(vocabulary):
    """Texts of symbols that it knows."""
    name = type(vocabulary).__name__
    if name == "Characters":
        return st.text(st.sampled_from(vocabulary.symbols))
    if name == "Words":
        words = [word for word in vocabulary.symbols if not word.strip().isalnum()]
        alone = [word for word in vocabulary.symbols if word.startswith(" ") and word.strip()]
        return st.lists(st.sampled_from([*words, *alone])).map("".join)
    return st.one_of(st.text(), st.text(st.sampled_from(CORPUS)))


@of_text
@given(data=st.data())
@settings(max_examples=60)
def test_a_text_comes_back(vocabulary, data):
    text = data.draw(valid(vocabulary))
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int32
    assert vocabulary.decode(ids) == text
    assert vocabulary.count_unknown(ids) == 0
    assert vocabulary.characters(ids).sum() == len(text)
    assert vocabulary.bytes_of(ids).sum() == len(text.encode())
    if vocabulary.items:
        framed = vocabulary.encode_item(text)
        assert (framed[0], framed[-1]) == (vocabulary.start_id, vocabulary.end_id)
        assert vocabulary.decode(framed) == text


@of_text
@given(data=st.data())
@settings(max_examples=60)
def test_any_ids_decode_and_stream_and_spans_agree(vocabulary, data):
    ids = data.draw(st.lists(st.integers(0, vocabulary.size - 1)))
    text = vocabulary.decode(ids)
    stream = vocabulary.stream()
    assert "".join([stream.feed(i) for i in ids]) + stream.close() == text
    spans = vocabulary.spans(ids)
    assert "".join(spans.texts) == text
    assert len(spans.owners) == len(ids)
    assert sorted(set(spans.owners.tolist())) == list(range(len(spans.texts)))
    assert (np.diff(spans.owners) >= 0).all()


@every
def test_stored_and_restored(vocabulary):
    stored = vocabulary.store()
    assert {name: array.ndim for name, array in stored.tensors.items()} == vocabulary.tensor_axes
    assert {array.dtype for array in stored.tensors.values()} <= {np.dtype(np.int64), np.dtype(np.uint8)}
    assert {type(value) for value in stored.settings.values()} <= {str, bool, int}
    again = restore(type(vocabulary), *stored)
    assert again == vocabulary
    assert again.encode(source_of(vocabulary)).tolist() == vocabulary.encode(source_of(vocabulary)).tolist()


@every
@given(data=st.data())
@settings(max_examples=60)
def test_damaged_data_is_refused_or_a_valid_vocabulary(vocabulary, data):
    settings_, tensors = vocabulary.store()
    settings_ = dict(settings_)
    tensors = {name: array.copy() for name, array in tensors.items()}
    kind = data.draw(st.sampled_from(["setting", "value", "dtype", "axes", "less", "more"]))
    if kind == "setting":
        name = data.draw(st.sampled_from(sorted(settings_)))
        settings_[name] = data.draw(st.sampled_from([None, "x", -1, 2**40, 1.5, [1], True]))
    elif kind == "less":
        settings_.popitem()
    elif kind == "more":
        settings_["more"] = 1
    elif tensors:
        name = data.draw(st.sampled_from(sorted(tensors)))
        if kind == "value":
            where = data.draw(st.integers(0, tensors[name].size - 1))
            top = 255 if tensors[name].dtype == np.uint8 else 2**63 - 1
            tensors[name].flat[where] = data.draw(st.integers(0 if top == 255 else -(2**63), top))
        elif kind == "dtype":
            tensors[name] = tensors[name].astype(np.float64)
        else:
            tensors[name] = tensors[name][None]
    try:
        made = restore(type(vocabulary), settings_, tensors)
    except ModelFileError as error:
        assert error.code == "vocabulary"  # noqa: PT017
    else:
        assert restore(type(vocabulary), *made.store()) == made


def test_settings_keep_their_types():
    for wrong in ({"items": 1}, {"items": "yes"}, {}, {"items": True, "more": 1}):
        with pytest.raises(ModelFileError):
            restore(VOCABULARIES["bytes"], wrong, {})


@every
def test_special_symbols_come_first(vocabulary):
    named = [vocabulary.unknown_id, vocabulary.start_id, vocabulary.end_id]
    assert [i for i in named if i is not None] == list(range(len(vocabulary.specials)))
    assert vocabulary.encode(source_of(vocabulary)).min() >= len(vocabulary.specials)
    if not vocabulary.items:
        with pytest.raises(ArgumentError, match="items=True"):
            vocabulary.encode_item(source_of(vocabulary))


@every
def test_several_at_once(vocabulary):
    source = source_of(vocabulary)
    ids, lengths, unknown = vocabulary.encode_all([source, source])
    one = vocabulary.encode_item(source) if vocabulary.items else vocabulary.encode(source)
    assert ids.tolist() == [*one, *one]
    assert lengths.tolist() == [len(one)] * 2
    assert unknown == 0
    assert vocabulary.encode_all([]).ids.dtype == np.int32


@every
@pytest.mark.parametrize("ids", [[-1], [10**6], [0.5], [[0]], ["a"], 3, [2**40]])
def test_ids_of_another_vocabulary(vocabulary, ids):
    with pytest.raises(DataError) as caught:
        vocabulary.decode(ids)
    assert caught.value.code in ("id", "dtype")


@of_text
def test_texts_that_cannot_be(vocabulary):
    for wrong, code in (("ok\ud800\udfffx", "surrogate"), (b"bytes", "type"), (None, "type")):
        with pytest.raises(DataError) as caught:
            vocabulary.encode(wrong)
        assert caught.value.code == code
        with pytest.raises(DataError) as caught:
            type(vocabulary).fit([wrong])
        assert caught.value.code == code
    assert vocabulary.encode("").tolist() == []
    assert vocabulary.decode([]) == ""


@pytest.mark.parametrize("key", VOCABULARIES)
def test_nothing_to_learn_from(key):
    if key != "bytes":
        for nothing in ([], [""]):
            with pytest.raises(OstinatoError):
                VOCABULARIES[key].fit(nothing)


def test_using_them_needs_no_package():
    code = """
import sys
sys.modules.update(dict.fromkeys(("tokenizers", "torch")))  # importing these fails now
from ostinato.data import VOCABULARIES, Note, Tune
from ostinato.data.vocabularies import restore
import numpy as np
v = restore(VOCABULARIES["subwords"], {"items": False}, {"merges": np.array([[116, 104]])})
assert v.decode(v.encode("the")) == "the" and len(v.encode("the")) == 2
midi = VOCABULARIES["midi"]()
assert midi.decode(midi.encode(Tune.of([Note(0, 1, 60)]))).startswith(b"MThd")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(OstinatoError, match=r"ostinato\[text\]"):
        VOCABULARIES["subwords"].fit(["text"])
