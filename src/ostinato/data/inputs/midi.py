"""MIDI files become tunes on a grid of steps, and tunes become MIDI files and piano rolls."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.data.csv_text import read_bytes
from ostinato.data.foreign import NEEDED, identify
from ostinato.data.inputs._midi_file import DamagedMidi, MidiTrack, parse
from ostinato.errors import ArgumentError, DataError, ShapeError

TEMPO = 500_000
"""Microseconds a beat where a file names none, as the MIDI standard says: 120 beats a minute."""

VELOCITY = 80
"""How loud a note is whose loudness is not known, 1 … 127."""

LONGEST = 1_000_000
"""Most steps that a tune may last: 11 hours at 12 steps a beat and 120 beats a minute."""

_DRUMS = 9


class Note(NamedTuple):
    """One note: it sounds from step `start` to before step `end`; `pitch` 60 is middle C, `velocity` is 1 … 127."""

    start: int
    end: int
    pitch: int
    velocity: int = VELOCITY


@lean_dataclass(frozen=True)
class Tune:
    """Notes on a grid.

    Args:
        notes: As `tidy` leaves them; `Tune.of` tidies.
        steps_per_beat: Steps in a quarter note.
        tempo: Microseconds a quarter note.
    """

    notes: tuple[Note, ...]
    steps_per_beat: int = 12
    tempo: int = TEMPO

    def __post_init__(self) -> None:
        if not (1 <= self.steps_per_beat <= 480 and 1 <= self.tempo < 2**24):
            raise ArgumentError(
                f"steps_per_beat must be 1 to 480 and tempo 1 to {2**24 - 1} microseconds",
                got=f"steps_per_beat={self.steps_per_beat!r}, tempo={self.tempo!r}",
                fix="Pass for example 12 and 500000.",
            )
        if self.length > LONGEST:
            raise DataError(
                f"a tune must last at most {LONGEST:,} steps",
                got=f"{self.length:,}",
                fix="Cut it, or pass a smaller steps_per_beat.",
                code="long",
            )

    @classmethod
    def of(cls, notes: Iterable[Note], *, steps_per_beat: int = 12, tempo: int = TEMPO) -> Tune:
        """A tune of any notes."""
        return cls(tidy(notes), steps_per_beat, tempo)

    @property
    def length(self) -> int:
        """Steps until the last note has ended."""
        return max((note.end for note in self.notes), default=0)


def tidy(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Notes in order of start and pitch, none shorter than a step, no two of one pitch at the same time.

    A note is cut where the next of its pitch begins; of two that begin together the longer and louder is kept.

    Raises:
        DataError: Code `note`: a start below 0, or a pitch or velocity outside MIDI's range.
    """
    by_pitch: dict[int, dict[int, Note]] = {}
    for note in notes:
        if note.start < 0 or not 0 <= note.pitch <= 127 or not 1 <= note.velocity <= 127:
            raise DataError(
                "notes must start at step 0 or later, with pitch 0 to 127 and velocity 1 to 127",
                got=str(note),
                fix="Correct the note.",
                code="note",
            )
        same = by_pitch.setdefault(note.pitch, {})
        other = same.get(note.start, note)
        end = max(note.end, other.end, note.start + 1)
        same[note.start] = Note(note.start, end, note.pitch, max(note.velocity, other.velocity))
    cut: list[Note] = []
    for same in by_pitch.values():
        starts = sorted(same)
        nexts = [*starts[1:], None]
        cut += [
            same[a]._replace(end=same[a].end if b is None else min(same[a].end, b))
            for a, b in zip(starts, nexts, strict=True)
        ]
    return tuple(sorted(cut))


def read_tune(source: str | os.PathLike[str] | bytes, *, steps_per_beat: int = 12) -> Tune:
    """Read a MIDI file.

    All tracks and channels but the drums become one part. Times are rounded to the grid. The first tempo counts for the
    whole tune; pedals, bends and instruments are left out. Values above 127, which some programs write, count as 127.

    Args:
        source: A path (also .gz) or the bytes of a file.
        steps_per_beat: Steps in a quarter note; 12 holds triplets and sixteenths exactly.

    Raises:
        DataError: `file`, it cannot be read; `midi`, it is damaged (with the byte) or no MIDI file; `empty`, no notes;
            `long`.
    """
    name = "the given bytes" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else read_bytes(Path(source))
    if not data.startswith(b"MThd"):
        kind = identify(data[:NEEDED]) or f"a file that begins with {data[:4]!r}"
        raise _damaged(kind, name, fix='MIDI files begin with "MThd"; check the path.')
    try:
        file = parse(data)
    except DamagedMidi as error:
        raise _damaged(error.what, f"byte {error.at} of {name}") from None
    if file.kind == 2 or file.division < 1:
        what = "independent patterns (type 2)" if file.kind == 2 else "times in film frames (SMPTE)"
        raise _damaged(what, name, fix="Export it as type 0 or 1 with times in beats.")
    tempo, notes = _notes(file.tracks)
    if not notes:
        raise DataError(
            "a MIDI file must hold notes", got="none beside drums", fix="Leave it out.", where=name, code="empty"
        )
    scale = steps_per_beat / file.division
    return Tune.of(
        (Note(round(n.start * scale), round(n.end * scale), n.pitch, n.velocity) for n in notes),
        steps_per_beat=steps_per_beat,
        tempo=tempo or TEMPO,
    )


def _notes(tracks: Iterable[MidiTrack]) -> tuple[int, list[Note]]:
    """The first tempo (0: none) and all notes in ticks. A note ends at the first end of its pitch or its track."""
    notes: list[Note] = []
    tempos: list[tuple[int, int]] = []
    for track in tracks:
        tempos += track.tempos
        sounding: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for key in track.keys:
            if key.channel == _DRUMS:
                continue
            begun = sounding.setdefault((key.channel, key.pitch), [])
            if key.velocity:
                begun.append((key.tick, key.velocity))
            elif begun:
                start, velocity = begun.pop(0)
                notes.append(Note(start, key.tick, key.pitch, velocity))
        for (_, pitch), begun in sounding.items():
            notes += [Note(start, track.end, pitch, velocity) for start, velocity in begun]
    return min(tempos, default=(0, 0), key=lambda pair: pair[0])[1], notes


def _damaged(got: str, name: str, *, fix: str = "Export the file again.") -> DataError:
    return DataError("the file must be a standard MIDI file", got=got, fix=fix, where=name, code="midi")


def write_tune(tune: Tune) -> bytes:
    """The bytes of a MIDI file (type 0, one piano part); reading them gives the same tune. Needs no package."""
    ticks = max(480 // tune.steps_per_beat, 1)
    events = [(note.start * ticks, 1, note.pitch, note.velocity) for note in tune.notes]
    events += [(note.end * ticks, 0, note.pitch, 0) for note in tune.notes]
    body = bytearray(b"\x00\xff\x51\x03" + tune.tempo.to_bytes(3, "big"))
    now = 0
    for time, is_on, pitch, velocity in sorted(events):
        body += _variable(time - now) + bytes((0x90 if is_on else 0x80, pitch, velocity))
        now = time
    body += b"\x00\xff\x2f\x00"
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, ticks * tune.steps_per_beat)
    return header + struct.pack(">4sI", b"MTrk", len(body)) + bytes(body)


def _variable(value: int) -> bytes:
    """A number in groups of seven bits, first the highest; all but the last have their top bit set."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | value & 0x7F)
    return bytes(reversed(groups))


def roll(tune: Tune, *, every: int = 3, low: int = 21, high: int = 108) -> NDArray[np.bool_]:
    """Which keys are down, frame by frame: `[frames, high - low + 1]`.

    Args:
        tune: Its notes at the first step of a frame count; a note that lies between two of them is not seen.
        every: Steps in a frame.
        low: Lowest pitch; 21 to 108 are the 88 keys of a piano. Notes outside are left out.
        high: Highest pitch.
    """
    _check_roll(every, low, high)
    frames = np.zeros((-(-tune.length // every), high - low + 1), dtype=bool)
    for note in tune.notes:
        if low <= note.pitch <= high:
            frames[-(-note.start // every) : -(-note.end // every), note.pitch - low] = True
    return frames


def from_roll(
    frames: ArrayLike, *, every: int = 3, low: int = 21, steps_per_beat: int = 12, tempo: int = TEMPO
) -> Tune:
    """A tune of the keys that are down `[frames, keys]`; a key that stays down is one long note.

    Args:
        frames: True (or not 0) where a key is down.
        every: Steps in a frame.
        low: Pitch of the first key.
        steps_per_beat: Steps in a quarter note.
        tempo: Microseconds a quarter note.
    """
    down = np.asarray(frames) != 0
    if down.ndim != 2:
        raise ShapeError("a piano roll must be [frames, keys]", got=f"shape {down.shape}", fix="Give one tune.")
    _check_roll(every, low, low + down.shape[1] - 1)
    edges = np.diff(np.pad(down.astype(np.int8), ((1, 1), (0, 0))), axis=0)
    keys, starts = np.nonzero(edges.T == 1)
    _, ends = np.nonzero(edges.T == -1)
    found = zip((starts * every).tolist(), (ends * every).tolist(), (keys + low).tolist(), strict=True)
    return Tune.of((Note(*each) for each in found), steps_per_beat=steps_per_beat, tempo=tempo)


def _check_roll(every: int, low: int, high: int) -> None:
    if every < 1 or not 0 <= low <= high <= 127:
        raise ArgumentError(
            "a piano roll must have frames of at least 1 step and pitches 0 to 127",
            got=f"every={every!r}, pitches {low!r} to {high!r}",
            fix="Pass for example every=3, low=21, high=108.",
        )
