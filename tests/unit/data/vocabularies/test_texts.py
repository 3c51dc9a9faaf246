import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.data import VOCABULARIES
from ostinato.errors import ArgumentError, DataError

Characters, Words, Subwords = (VOCABULARIES[name] for name in ("characters", "words", "subwords"))
TALE = "once upon a time there was a time, and then there was another time; the end.\n" * 20


def refused(call):
    with pytest.raises(DataError) as caught:
        call()
    assert caught.value.code == "unknown_symbol"
    return caught.value


def test_characters_by_hand():
    v = Characters.fit(["ba", "你b"], items=True, unknown="symbol")
    assert v.symbols == "ab你"
    assert v.specials == ("unknown", "start", "end")
    assert v.encode("你x b").tolist() == [5, 0, 0, 4]
    assert v.decode([1, 5, 0, 4, 2]) == "你\ufffdb"
    assert v.count_unknown(v.encode("你x b")) == 2
    assert v.encode_all(["x", "ab"]).unknown == 1


def test_unknown_characters_are_named_counted_and_placed():
    error = refused(lambda: Characters.fit(["abc"]).encode("abxcyx"))
    assert error.got == "'x' (U+0078), 'y' (U+0079)"
    assert error.where == ("character 2", "character 4", "character 5")
    assert error.count == 3


def test_rare_characters_become_unknown():
    v = Characters.fit(["aab"], unknown="symbol", least=2)
    assert v.symbols == "a"
    assert v.encode("ab").tolist() == [1, 0]
    with pytest.raises(ArgumentError):
        Characters.fit(["aab"], least=2)
    with pytest.raises(ArgumentError):
        Characters.fit(["a"], unknown="skip")
    with pytest.raises(ArgumentError):
        Characters("ba")


def test_words_by_hand():
    v = Words.fit(["the cat, the  hat\nthe"])
    assert set(v.symbols) == {"the", " cat", ",", " the", " ", " hat", "\n"}
    assert [v.symbols[i] for i in v.encode("the hat,\nthe  cat")] == ["the", " hat", ",", "\n", "the", " ", " cat"]
    # "the" is known without the space, "cat" only with it
    assert [v.symbols[i] for i in v.encode(" the")] == [" the"]
    error = refused(lambda: v.encode("the dog ate\ncat"))
    assert error.got == "'ate', 'cat', 'dog'"
    assert error.where == ("character 4", "character 8", "character 12")


def test_a_known_word_after_a_space_it_never_had():
    v = Words.fit(["cat"], unknown="symbol")
    assert v.decode(v.encode("cat cat")) == "cat cat"
    assert v.decode(v.encode("dog cat")) == "\ufffd cat"
    assert v.count_unknown(v.encode("dog cat")) == 1


@given(st.text())
def test_words_leave_nothing_over(text):
    v = Words.fit([text or "a"])
    assert v.decode(v.encode(text)) == text


def test_the_most_frequent_words_are_kept():
    v = Words.fit(["a a a b b c"], unknown="symbol", largest=3)
    assert set(v.symbols) == {" ", " a", " b"}
    assert Words.fit(["a a a b b c"], unknown="symbol", least=2).symbols == (" a", " b", " ")
    for wrong in ({"largest": 3}, {"least": 2}, {"unknown": "symbol", "largest": 1}, {"unknown": "symbol", "least": 0}):
        with pytest.raises(ArgumentError):
            Words.fit(["a"], **wrong)


def test_subwords_are_learnt_alike_and_short():
    pytest.importorskip("tokenizers")
    v = Subwords.fit([TALE], size=300)
    assert v == Subwords.fit([TALE], size=300)
    assert 256 < v.size <= 300
    assert b" time" in v.symbols_utf8
    assert len(v.encode(TALE)) < len(TALE) / 2


@pytest.mark.parametrize("text", [TALE, "aaaaaaaaaaaaa aaaa aaa", "你好你好世界", "the then a  \n\n another, other…"])
def test_subwords_are_those_of_other_software(text):
    """Merges and results agree with the package that learnt them, word by word."""
    tokenizers = pytest.importorskip("tokenizers")
    v = Subwords.fit([TALE + "aaaaaaaa aaaaaa 你好 你好 "], size=320)
    letters = [chr(0x100 + byte) for byte in range(256)]
    name = ["".join(letters[b] for b in piece) for piece in v.symbols_utf8]
    merges = [(name[a], name[b]) for a, b in v.merges]
    other = tokenizers.Tokenizer(tokenizers.models.BPE({n: i for i, n in enumerate(name)}, merges))
    for word in text.split(" "):
        ids = v.encode(word)
        chunk = "".join(letters[b] for b in word.encode())
        if len(word) < 16 and word.isalpha():
            assert ids.tolist() == other.encode(chunk).ids
        assert v.decode(ids) == word


def test_merges_by_hand():
    a, b = ord("a"), ord("b")
    v = Subwords(((a, b), (b, a), (256, a), (a, 257)))
    # "aba" is made by two merges but is one symbol
    assert v.symbols_utf8[256:] == (b"ab", b"ba", b"aba")
    assert v.encode("aba").tolist() == [258]
    assert v.encode("bab").tolist() == [b, 256]
    for wrong in (((256, 1),), ((0, 1), (0, 1)), ((-1, 0),), tuple((256 + i - 1 if i else 0,) * 2 for i in range(10))):
        with pytest.raises(ArgumentError):
            Subwords(wrong)


def test_a_long_run_without_spaces_takes_no_quadratic_time():
    v = Subwords(((97, 97), (256, 256)))
    for unit in ("a", " ", ".", "你"):
        text = unit * 200_000
        begin = time.process_time()
        assert v.decode(v.encode(text)) == text
        assert time.process_time() - begin < 30


def test_spans_join_the_bytes_of_a_character():
    v = VOCABULARIES["bytes"]()
    spans = v.spans(v.encode("aé你"))
    assert spans.texts == ["a", "é", "你"]
    assert np.bincount(spans.owners).tolist() == [1, 2, 3]
    assert v.spans([228, 97]).texts == ["\ufffda"]
    assert v.spans([]).texts == []
