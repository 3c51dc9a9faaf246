"""The package that read MIDI files dropped the time before a meta event whose kind it did not know."""

import struct

from ostinato.data.inputs import Note, read_tune


def test_the_time_before_an_unknown_event_counts():
    body = b"\x30\xff\x60\x01\x00" + b"\x30\x90\x3c\x50" + b"\x30\x80\x3c\x00" + b"\x00\xff\x2f\x00"
    data = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 48) + b"MTrk" + struct.pack(">I", len(body)) + body
    assert read_tune(data, steps_per_beat=12).notes == (Note(24, 36, 60, 80),)
