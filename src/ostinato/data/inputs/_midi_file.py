"""The bytes of a Standard MIDI File (version 1.0, RP-001) become its notes and tempos in ticks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

_END, _TEMPO = 0x2F, 0x51
_DATA_BYTES = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}
"""Data bytes of a channel's message by the upper half of its status."""


class DamagedMidi(Exception):
    """What is wrong with a file, in words, and at which byte."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__(what)
        self.what, self.at = what, at


class Key(NamedTuple):
    """A key that goes down, or up if `velocity` is 0; `channel` counts from 0."""

    tick: int
    channel: int
    pitch: int
    velocity: int


@dataclass
class MidiTrack:
    """One track: its keys in order, its tempos as (tick, microseconds a beat), and the tick of its end."""

    keys: list[Key] = field(default_factory=list)
    tempos: list[tuple[int, int]] = field(default_factory=list)
    end: int = 0


@dataclass
class MidiFile:
    """A file.

    Args:
        kind: 0 for one track, 1 for tracks that play together, 2 for patterns of their own.
        division: Ticks a beat; negative for parts of film frames.
        tracks: As many as the header says.
    """

    kind: int
    division: int
    tracks: list[MidiTrack] = field(default_factory=list)


def parse(data: bytes) -> MidiFile:
    """Read a file; bytes behind its last track do not count, nor do chunks of other kinds.

    Messages that follow from no status byte of their own go on with the last one, also across other events, as many
    programs write. Data bytes above 127 count as 127.

    Raises:
        DamagedMidi: It breaks the format, or ends too early.
    """
    reader = _Reader(data)
    if reader.take(4) != b"MThd":
        raise DamagedMidi("no header", 0)
    head = reader.chunk()
    kind, count, division = (int.from_bytes(head.take(2), "big") for _ in range(3))
    file = MidiFile(kind, division - (1 << 16) if division >> 15 else division)
    while len(file.tracks) < count:
        name, body = reader.take(4), reader.chunk()
        if name == b"MTrk":
            file.tracks.append(_track(body))
    return file


class _Reader:
    """Bytes from a place on, up to an end."""

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data, self.at, self.end = data, at, len(data) if end is None else end

    def take(self, n: int) -> bytes:
        """The next `n` bytes."""
        if self.at + n > self.end:
            raise DamagedMidi("it ends too early", self.end)
        self.at += n
        return self.data[self.at - n : self.at]

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def number(self) -> int:
        """A number in groups of seven bits, of which all but the last have their top bit set."""
        value, begin = 0, self.at
        for _ in range(4):
            group = self.byte()
            value = value << 7 | group & 0x7F
            if group < 0x80:
                return value
        raise DamagedMidi("a number of more than four bytes", begin)

    def chunk(self) -> _Reader:
        """What the next four bytes give the length of."""
        length = int.from_bytes(self.take(4), "big")
        begin = self.at
        self.take(length)
        return _Reader(self.data, begin, self.at)


def _track(body: _Reader) -> MidiTrack:
    track, status = MidiTrack(), 0
    while body.at < body.end:
        track.end += body.number()
        begin = body.at
        first = body.byte()
        if first == 0xFF:
            kind, content = body.byte(), body.take(body.number())
            if kind == _END:
                break
            if kind == _TEMPO:
                if len(content) != 3:
                    raise DamagedMidi(f"a tempo of {len(content)} bytes", begin)
                track.tempos.append((track.end, int.from_bytes(content, "big")))
        elif first in (0xF0, 0xF7):
            body.take(body.number())
        elif first > 0xF0:
            raise DamagedMidi(f"the message 0x{first:02x}, which no file may hold", begin)
        else:
            if first >= 0x80:
                status = first
            elif not status:
                raise DamagedMidi("a message without a status", begin)
            else:
                body.at = begin
            kind, values = status >> 4, body.take(_DATA_BYTES[status >> 4])
            if kind in (0x8, 0x9):
                pitch, velocity = (min(value, 127) for value in values)
                track.keys.append(Key(track.end, status & 15, pitch, velocity if kind == 0x9 else 0))
    return track
