import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ostinato.data.inputs import Note, Tune, from_roll, read_tune, roll, tidy, write_tune
from ostinato.errors import ArgumentError, DataError, OstinatoError, ShapeError

mido = pytest.importorskip("mido")

NOTES = st.lists(
    st.builds(Note, st.integers(0, 300), st.integers(0, 400), st.integers(0, 127), st.integers(1, 127)), max_size=30
)
TUNES = st.builds(
    lambda notes, steps, tempo: Tune.of(notes, steps_per_beat=steps, tempo=tempo),
    NOTES.filter(bool),
    st.integers(1, 480),
    st.integers(1, 2**24 - 1),
)
TUNE = Tune.of([Note(0, 12, 60, 90), Note(12, 18, 64), Note(12, 24, 67), Note(30, 31, 60, 1)])


def file_of(*tracks, **kwargs):
    file = mido.MidiFile(**kwargs)
    for messages in tracks:
        file.tracks.append(mido.MidiTrack(messages))
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def on(note, time, velocity=80, channel=0):
    return mido.Message("note_on", note=note, time=time, velocity=velocity, channel=channel)


def off(note, time, channel=0):
    return mido.Message("note_off", note=note, time=time, channel=channel)


@given(TUNES)
@settings(max_examples=200)
def test_a_tune_that_was_written_is_read_again(tune):
    assert read_tune(write_tune(tune), steps_per_beat=tune.steps_per_beat) == tune


def test_other_software_reads_what_was_written():
    file = mido.MidiFile(file=io.BytesIO(write_tune(TUNE)))
    assert (file.type, len(file.tracks), file.ticks_per_beat) == (0, 1, 480)
    now, seen = 0, []
    for message in file.tracks[0]:
        now += message.time
        if message.type.startswith("note"):
            seen.append((now // 40, message.type, message.note, message.velocity))
    assert seen[:4] == [
        (0, "note_on", 60, 90),
        (12, "note_off", 60, 0),
        (12, "note_on", 64, 80),
        (12, "note_on", 67, 80),
    ]
    assert file.length == pytest.approx(31 / 12 * 0.5)


@given(NOTES)
def test_tidy_notes_do_not_overlap_and_stay(notes):
    tune = tidy(notes)
    assert tidy(tune) == tune
    assert {(n.start, n.pitch) for n in tune} == {(n.start, n.pitch) for n in notes}
    for pitch in {n.pitch for n in tune}:
        same = [n for n in tune if n.pitch == pitch]
        assert all(n.end > n.start for n in same)
        assert all(a.end <= b.start for a, b in pairwise(same))


def test_how_files_are_understood():
    first = [
        mido.MetaMessage("set_tempo", tempo=400_000, time=0),
        on(60, 0),
        on(60, 95, velocity=0),
        on(62, 1),
        off(62, 48),
    ]
    second = [mido.Message("sysex", data=(1, 2)), on(40, 96, channel=1), mido.MetaMessage("set_tempo", tempo=9, time=7)]
    drums = [on(36, 0, channel=9), off(36, 10, channel=9)]
    tune = read_tune(file_of(first, second, drums, ticks_per_beat=96))
    assert tune.tempo == 400_000
    # the end of a note is rounded to the grid; the note of the second track ends with its track
    assert tune.notes == (Note(0, 12, 60), Note(12, 13, 40), Note(12, 18, 62))


def refused(code, source, **kwargs):
    with pytest.raises(DataError) as caught:
        read_tune(source, **kwargs)
    assert caught.value.code == code
    assert caught.value.fix
    return caught.value


def test_files_that_are_no_tunes(tmp_path):
    assert "empty" in refused("midi", b"").got
    assert refused("midi", b"RIFFxxxx").where == ("the given bytes",)
    path = tmp_path / "a.mid"
    assert refused("file", path).got == "no such file"
    path.write_bytes(write_tune(TUNE)[:60])
    assert refused("midi", path).where == (f"byte 60 of {path}",)
    assert "too early" in refused("midi", path).got
    refused("empty", file_of([on(36, 0, channel=9), off(36, 10, channel=9)]))
    refused("midi", file_of([on(60, 0), off(60, 9)], type=2))
    film = bytearray(write_tune(TUNE))
    film[12:14] = b"\xe7\x28"
    assert "SMPTE" in refused("midi", bytes(film)).got
    refused(
        "long", file_of([on(60, 0), *[mido.Message("control_change", time=2**27)] * 8, off(60, 9)], ticks_per_beat=1)
    )


@given(st.data())
@settings(max_examples=300)
def test_damaged_files_are_read_or_refused(data):
    key = mido.MetaMessage("key_signature", key="C")
    sound = bytearray(
        file_of([key, mido.MetaMessage("smpte_offset"), on(60, 0), mido.Message("pitchwheel"), off(60, 9)])
    )
    for _ in range(data.draw(st.integers(1, 3))):
        sound[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(sound)))
    for damaged in (bytes(sound), bytes(sound[:cut])):
        try:
            assert read_tune(damaged).notes
        except OstinatoError as error:
            assert error.code in ("midi", "empty", "long")  # noqa: PT017


@pytest.mark.parametrize(
    "note", [Note(-1, 2, 60), Note(0, 1, 128), Note(0, 1, 60, 0), Note(0, 1, -1), Note(0, 1, 1, 128)]
)
def test_notes_that_cannot_be(note):
    with pytest.raises(DataError, match="note"):
        tidy([note])


@pytest.mark.parametrize("wrong", [{"steps_per_beat": 0}, {"steps_per_beat": 481}, {"tempo": 0}, {"tempo": 2**24}])
def test_tunes_that_cannot_be(wrong):
    with pytest.raises(ArgumentError):
        Tune.of([Note(0, 1, 60)], **wrong)


@given(arrays(bool, st.tuples(st.integers(0, 20), st.integers(1, 30))), st.integers(1, 5))
def test_a_piano_roll_comes_back_without_its_silent_end(frames, every):
    again = roll(from_roll(frames, every=every, low=30), every=every, low=30, high=30 + frames.shape[1] - 1)
    sounding = np.flatnonzero(frames.any(axis=1))
    assert again.tolist() == frames[: sounding[-1] + 1 if sounding.size else 0].tolist()


def test_a_piano_roll_by_hand():
    tune = Tune.of([Note(0, 6, 60), Note(3, 4, 62), Note(4, 6, 61), Note(0, 9, 59)])
    assert roll(tune, every=3, low=60, high=62).astype(int).tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 0]]
    assert from_roll([[1, 0], [1, 1]], every=3, low=60).notes == (Note(0, 6, 60), Note(3, 6, 61))
    with pytest.raises(ShapeError):
        from_roll([1, 0])
    with pytest.raises(ArgumentError):
        roll(tune, every=0)
