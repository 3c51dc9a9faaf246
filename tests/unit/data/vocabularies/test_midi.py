import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data import VOCABULARIES, Note, Tune, write_tune
from ostinato.errors import ArgumentError, DataError

Midi = VOCABULARIES["midi"]
LOUD = [1 + (2 * level + 1) * 127 // 16 for level in range(8)]
"""The eight velocities that eight volumes stand for."""


def tunes(velocity):
    note = st.builds(Note, st.integers(0, 300), st.integers(0, 400), st.integers(0, 127), velocity)
    return st.lists(note, max_size=25).map(Tune.of)


@given(tunes(st.just(80)), st.integers(1, 30))
@settings(max_examples=200)
def test_a_tune_comes_back(tune, longest):
    v = Midi(longest=longest)
    assert v.decode_tune(v.encode(tune)) == tune


@given(tunes(st.sampled_from(LOUD)))
def test_loudness_comes_back(tune):
    v = Midi(velocities=8, items=True)
    assert v.decode_tune(v.encode_item(tune)) == tune


@given(tunes(st.integers(1, 127)), st.integers(1, 127))
def test_volumes_are_coded_once(tune, velocities):
    v = Midi(velocities=velocities)
    ids = v.encode(tune)
    assert v.encode(v.decode_tune(ids)).tolist() == ids.tolist()
    error = max(
        (abs(a.velocity - b.velocity) for a, b in zip(tune.notes, v.decode_tune(ids).notes, strict=True)), default=0
    )
    assert error <= 64 / velocities + 1


@given(st.lists(st.integers(0, Midi(velocities=4, items=True).size - 1)))
@settings(max_examples=200)
def test_any_events_are_a_tune(ids):
    v = Midi(velocities=4, items=True)
    tune = v.decode_tune(ids)
    assert v.decode_tune(v.encode(tune)) == tune
    if tune.notes:
        assert v.encode(v.decode(ids)).tolist() == v.encode(tune).tolist()


def test_events_by_hand():
    v = Midi(longest=10, velocities=2)
    tune = Tune.of([Note(0, 25, 60, 100), Note(25, 26, 60, 10), Note(25, 26, 64, 10)])
    names = "volume 1, on 60, rest 10, rest 10, rest 5, off 60, volume 0, on 60, on 64, rest 1, off 60, off 64"
    assert ", ".join(map(v.name, v.encode(tune))) == names
    assert Midi(items=True).name(1) == "end"
    assert v.size == 128 + 128 + 10 + 2


def test_tempo_is_learnt(tmp_path):
    note = [Note(0, 1, 60)]
    path = tmp_path / "a.mid"
    path.write_bytes(write_tune(Tune.of(note, tempo=300_000)))
    v = Midi.fit([path, Tune.of(note, tempo=900_000), Tune.of(note, tempo=400_000)])
    assert v.tempo == 400_000
    assert v.decode_tune(v.encode(path)) == Tune.of(note, tempo=400_000)


def test_what_cannot_be():
    with pytest.raises(DataError, match="steps a beat"):
        Midi().encode(Tune.of([Note(0, 1, 60)], steps_per_beat=4))
    for wrong in ({"velocities": 128}, {"longest": 0}, {"steps_per_beat": 0}, {"longest": True}, {"velocities": 1.5}):
        with pytest.raises(ArgumentError):
            Midi(**wrong)
    assert not Midi().decode_tune(np.full(200_000, 256 + 95)).notes  # a rest alone is no tune
    with pytest.raises(DataError) as caught:
        Midi(longest=10_000).decode_tune([0, *[256 + 9_999] * 101])
    assert caught.value.code == "long"
