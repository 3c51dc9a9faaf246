"""MIDI as sequencers, notation programs and keyboards write it: the right notes, or an error that names the file.

The writer below knows nothing of the reader: it follows the Standard MIDI Files 1.0 specification, and the liberties
that programs take with it.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, replace

import pytest

from ostinato.data.inputs import Note, Tune, read_tune
from ostinato.errors import DataError

BEAT, STEPS = 480, 12
DRUMS = 9

META = {
    "name": (0x03, "Violine I – für Elise".encode("latin-1", "replace")), "copyright": (0x02, b"\xa9 1999"),
    "text": (0x01, b"lyrics \xe9\xff\x00"), "marker": (0x06, b"A"), "port": (0x21, b"\x00"),
    "time signature": (0x58, b"\x06\x03\x24\x08"), "key signature": (0x59, b"\xfd\x01"),
    "SMPTE offset": (0x54, b"\x60\x00\x03\x00\x00"), "of the sequencer": (0x7F, b"\x00\x00\x41" + bytes(200)),
    "unknown": (0x60, b"\x01\x02"), "empty": (0x01, b""),
}  # fmt: skip


@dataclass(frozen=True)
class Played:
    """A note in ticks, in one track."""

    start: int
    end: int
    pitch: int
    velocity: int
    channel: int


@dataclass(frozen=True)
class Habits:
    """How a program writes."""

    running: bool = False
    off_by_velocity: bool = False
    controls: bool = False
    metas: bool = False
    exclusive: bool = False
    end_of_track: bool = True
    tempos: tuple[tuple[int, int], ...] = ((0, 500_000),)


def number(value: int) -> bytes:
    """A variable-length quantity."""
    found = [value & 0x7F]
    while value := value >> 7:
        found.append(value & 0x7F | 0x80)
    return bytes(reversed(found))


def chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body)) + body


def track(notes: list[Played], habits: Habits, rng: random.Random, *, conductor: bool) -> bytes:
    """A track chunk."""
    events: list[tuple[int, int, bytes]] = []
    for n in notes:
        off = (
            bytes((0x90 | n.channel, n.pitch, 0)) if habits.off_by_velocity else bytes((0x80 | n.channel, n.pitch, 64))
        )
        events += [(n.start, 2, bytes((0x90 | n.channel, n.pitch, n.velocity))), (n.end, 1, off)]
    last = max((n.end for n in notes), default=0)
    if conductor:
        events += [(at, 0, b"\xff\x51\x03" + tempo.to_bytes(3, "big")) for at, tempo in habits.tempos]
    if habits.metas:
        events += [(rng.randint(0, last), 0, b"\xff" + bytes([k]) + number(len(t)) + t) for k, t in META.values()]
    if habits.controls:
        for _ in range(12):
            channel, at = rng.randrange(16), rng.randint(0, last)
            value = rng.randrange(128)
            events.append((at, 0, rng.choice([
                bytes((0xB0 | channel, 64, value)), bytes((0xC0 | channel, value)), bytes((0xE0 | channel, value, 64)),
                bytes((0xD0 | channel, value)), bytes((0xA0 | channel, value, value)), bytes((0xB0 | channel, 123, 0)),
            ])))  # fmt: skip
    if habits.exclusive:
        whole = b"\x7e\x7f\x09\x01\xf7"
        events += [(0, 0, b"\xf0" + number(len(whole)) + whole), (last, 0, b"\xf7\x02\xf3\x01")]
    body, now, status = b"", 0, -1
    for at, _, event in sorted(events, key=lambda e: e[:2]):
        body += number(at - now)
        short = habits.running and event[0] < 0xF0 and event[0] == status
        body += event[1:] if short else event
        status = event[0] if event[0] < 0xF0 else -1  # running status ends with what is no channel's event
        now = at
    return chunk(b"MTrk", body + (b"\x00\xff\x2f\x00" if habits.end_of_track else b""))


def song(rng: random.Random, *, tracks: int) -> list[list[Played]]:
    """Voices on the grid, of which no two notes of one channel and pitch overlap; the last of several are drums."""
    found = []
    for k in range(tracks):
        channel = DRUMS if k == tracks - 1 and tracks > 2 else rng.choice([c for c in range(16) if c != DRUMS])
        notes, free = [], {}
        for _ in range(rng.randint(1, 20)):
            pitch = rng.randint(30, 90)
            start = max(free.get(pitch, 0), rng.randint(0, 60) * BEAT // STEPS)
            end = start + rng.randint(1, 30) * BEAT // STEPS
            free[pitch] = end
            notes.append(Played(start, end, pitch, rng.randint(1, 127), channel))
        found.append(notes)
    return found


def heard(voices: list[list[Played]], tempo: int, beat: int = BEAT) -> Tune:
    """What a reader must find."""
    scale = STEPS / beat
    notes = [
        Note(round(n.start * scale), round(n.end * scale), n.pitch, n.velocity)
        for voice in voices for n in voice if n.channel != DRUMS
    ]  # fmt: skip
    return Tune.of(notes, steps_per_beat=STEPS, tempo=tempo)


def header(kind: int, tracks: int, division: int = BEAT, more: bytes = b"") -> bytes:
    return chunk(b"MThd", struct.pack(">HHH", kind, tracks, division) + more)


def file(voices: list[list[Played]], habits: Habits, rng: random.Random, *, kind: int) -> bytes:
    """A whole file of type 0, where all voices are one track, or 1, where the first one holds the tempos."""
    if kind == 0:
        voices = [[note for voice in voices for note in voice]]
    body = [track(voice, habits, rng, conductor=i == 0) for i, voice in enumerate(voices)]
    return header(kind, len(body)) + b"".join(body)


HABITS = {
    "plain": Habits(),
    "a keyboard": Habits(running=True, off_by_velocity=True, controls=True, tempos=()),
    "a sequencer": Habits(running=True, metas=True, controls=True, exclusive=True,
                          tempos=((0, 300_000), (480, 400_000), (481, 1_000_000), (9600, 250_000))),
    "notation": Habits(off_by_velocity=True, metas=True, tempos=((0, 16_777_215),)),
    "a late tempo": Habits(tempos=((960, 600_000),)),
}  # fmt: skip


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("habits", HABITS.values(), ids=HABITS)
def test_songs_are_read_note_by_note(habits, kind):
    for seed in range(40):
        rng = random.Random(seed)
        voices = song(rng, tracks=1 if kind == 0 else rng.randint(1, 6))
        tempo = min(habits.tempos, default=(0, 500_000))[1]
        if heard(voices, tempo).notes:
            assert read_tune(file(voices, habits, rng, kind=kind), steps_per_beat=STEPS) == heard(voices, tempo), seed


def test_liberties_that_change_no_note():
    rng = random.Random(1)
    voices = song(rng, tracks=2)
    want = heard(voices, 500_000)
    tracks = b"".join(track(v, Habits(), rng, conductor=i == 0) for i, v in enumerate(voices))
    open_ended = b"".join(track(v, Habits(end_of_track=False), rng, conductor=i == 0) for i, v in enumerate(voices))
    for data in (
        header(1, 2, more=b"\x00\x00\x00\x00") + tracks,  # a longer header, as later versions may have
        header(1, 2) + open_ended,
        header(1, 2) + tracks + b"\x1a\x00\x00",  # what transfers leave behind a file
        header(1, 2) + tracks + chunk(b"XFIH", bytes(20)),  # a chunk of a maker's own
    ):
        assert read_tune(data, steps_per_beat=STEPS) == want


@pytest.mark.parametrize("beat", [1, 24, 96, 120, 192, 384, 960, 15360, 32767])
def test_every_division_of_a_beat(beat):
    rng = random.Random(beat)
    notes = [Played(i * beat, (i + 1) * beat, 60 + i, 90, 0) for i in range(5)]
    data = header(0, 1, beat) + track(notes, Habits(), rng, conductor=True)
    assert read_tune(data, steps_per_beat=STEPS) == heard([notes], 500_000, beat)


def test_a_note_that_never_ends_lasts_as_long_as_its_track():
    rng = random.Random(0)
    body = b"\x00\x90\x3c\x50" + number(4 * BEAT) + b"\xff\x2f\x00"
    data = header(1, 2) + chunk(b"MTrk", body) + track([Played(0, 9 * BEAT, 70, 80, 1)], Habits(), rng, conductor=False)
    assert read_tune(data, steps_per_beat=STEPS).notes == (Note(0, 48, 60, 80), Note(0, 108, 70, 80))


def refused(data: bytes) -> DataError:
    with pytest.raises(DataError) as caught:
        read_tune(data)
    assert caught.value.where[0].endswith("the given bytes")
    return caught.value


def test_what_cannot_be_read_is_said():
    rng = random.Random(2)
    voices = song(rng, tracks=2)
    whole = file(voices, Habits(), rng, kind=1)
    body = whole[14:]
    smpte = struct.unpack(">H", struct.pack(">bB", -25, 40))[0]
    cases = {
        header(2, 2) + body: ("midi", "type 2"), header(1, 2, smpte) + body: ("midi", "SMPTE"),
        header(1, 2, 0) + body: ("midi", "SMPTE"), b"RIFF\0\0\0\0RMIDdata" + whole: ("midi", "RIFF"),
        whole[1:]: ("midi", "begins with"), b"": ("midi", "empty"), header(1, 0): ("empty", "none"),
        header(0, 1) + chunk(b"MTrk", b"\x00\xff\x2f\x00"): ("empty", "none"),
        file([[replace(n, channel=DRUMS) for n in voices[0]]], Habits(), rng, kind=0): ("empty", "drums"),
        header(0, 1) + chunk(b"MTrk", b"\x00\x3c\x50"): ("midi", ""),  # running status from nowhere
        header(0, 1) + chunk(b"MTrk", b"\xff\xff\xff\xff\xff\xff"): ("midi", ""),  # a time without an end
        header(0, 1) + chunk(b"MTrk", b"\x00\x90\x3c"): ("midi", ""),
    }  # fmt: skip
    for data, (code, word) in cases.items():
        error = refused(data)
        assert error.code == code, error
        assert word in error.got, error


@pytest.mark.parametrize("kind", [0, 1])
def test_a_file_that_is_cut_anywhere_is_refused(kind):
    rng = random.Random(4)
    voices = song(rng, tracks=1 if kind == 0 else 3)
    whole = file(voices, HABITS["a sequencer"], rng, kind=kind)
    for length in range(len(whole)):
        assert refused(whole[:length]).code in ("midi", "empty"), length


def test_any_byte_may_be_wrong():
    rng = random.Random(5)
    whole = file(song(rng, tracks=2), HABITS["a keyboard"], rng, kind=1)
    for i in range(len(whole)):
        for flip in (0x01, 0x80, 0xFF):
            data = whole[:i] + bytes([whole[i] ^ flip]) + whole[i + 1 :]
            try:
                tune = read_tune(data)
            except DataError as error:
                assert error.code in ("midi", "empty", "long"), error  # noqa: PT017 (a tune is as good)
            else:
                assert tune.notes
