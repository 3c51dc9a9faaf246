"""Music as events: a note begins, a note ends, time passes (Oore et al. 2018, "This time with feeling")."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from ostinato._lean_dataclass import lean_dataclass
from ostinato.data.inputs.midi import TEMPO, VELOCITY, Note, Tune, read_tune, write_tune
from ostinato.data.vocabularies._text import check_least
from ostinato.data.vocabularies.base import Ids, Setting, Stored, Vocabulary
from ostinato.errors import ArgumentError, DataError

_PITCHES = 128


@lean_dataclass(frozen=True)
class Midi(Vocabulary):
    """One id for each event, after the special ones: 128 beginnings, 128 ends, `longest` rests, `velocities` volumes.

    A rest of k steps is one event, or several if it is longer than `longest`. A volume holds until the next. Any ids
    decode to a valid MIDI file: ends without a beginning are ignored, and notes without an end stop with the tune.

    Args:
        steps_per_beat: Steps of time in a quarter note; 12 holds triplets and sixteenths exactly.
        longest: Most steps of one rest event.
        velocities: Number of volumes, at most 127; 0 leaves loudness out.
        tempo: Microseconds a quarter note of the files that `decode` writes.
        items: There are symbols for the start and the end of an item.
    """

    steps_per_beat: int = 12
    longest: int = 96
    velocities: int = 0
    tempo: int = TEMPO

    def __post_init__(self) -> None:
        check_least("longest", self.longest, 1)
        check_least("velocities", self.velocities, 0)
        if self.velocities > 127 or self.longest > 10_000:
            raise ArgumentError(
                "velocities must be at most 127 and longest at most 10000",
                got=f"velocities={self.velocities}, longest={self.longest}",
                fix="Pass for example 32 and 96.",
            )
        Tune((), self.steps_per_beat, self.tempo)

    @classmethod
    def fit(
        cls,
        sources: Iterable[str | os.PathLike[str] | bytes | Tune],
        *,
        steps_per_beat: int = 12,
        longest: int = 96,
        velocities: int = 0,
        items: bool = False,
    ) -> Self:
        """Learn the tempo (the median of the tunes') and check that every tune can be read.

        Args:
            sources: The training part: paths or bytes of MIDI files, or tunes.
            steps_per_beat: As above.
            longest: As above.
            velocities: As above.
            items: Add symbols for the start and the end of an item.
        """
        tempos = [_tune(source, steps_per_beat).tempo for source in sources]
        if not tempos:
            raise DataError("there must be tunes to learn from", got="none", fix="Give MIDI files.", code="empty")
        return cls(steps_per_beat, longest, velocities, sorted(tempos)[(len(tempos) - 1) // 2], items=items)

    @property
    def size(self) -> int:
        """Number of ids, the special ones included."""
        return len(self.specials) + 2 * _PITCHES + self.longest + self.velocities

    def name(self, symbol: int) -> str:
        """The event that an id stands for, to show: "on 60", "off 60", "rest 12", "volume 3", "start"."""
        first, event = len(self.specials), int(self.checked([symbol])[0])
        if event < first:
            return self.specials[event]
        event -= first
        if event < 2 * _PITCHES:
            return f"{'off' if event >= _PITCHES else 'on'} {event % _PITCHES}"
        event -= 2 * _PITCHES
        return f"rest {event + 1}" if event < self.longest else f"volume {event - self.longest}"

    def encode(self, source: str | os.PathLike[str] | bytes | Tune) -> Ids:
        """The events `[n]` of one tune; at one step ends come before beginnings, low notes before high ones.

        Raises:
            DataError: What `read_tune` raises, or `grid`: a tune of another number of steps a beat.
        """
        tune = _tune(source, self.steps_per_beat)
        on = len(self.specials)
        off, rest = on + _PITCHES, on + 2 * _PITCHES - 1
        volume = rest + 1 + self.longest
        events = [(note.start, 1, note.pitch, note.velocity) for note in tune.notes]
        events += [(note.end, 0, note.pitch, 0) for note in tune.notes]
        ids: list[int] = []
        now, loud = 0, -1
        for time, is_on, pitch, velocity in sorted(events):
            full, left = divmod(time - now, self.longest)
            ids += [rest + self.longest] * full + [rest + left] * (left > 0)
            now = time
            if is_on and self.velocities:
                level = (velocity - 1) * self.velocities // 127
                ids += [volume + level] * (level != loud)
                loud = level
            ids.append(on + pitch if is_on else off + pitch)
        return np.array(ids, dtype=np.int32)

    def decode(self, ids: ArrayLike) -> bytes:
        """The bytes of a MIDI file of events `[n]`."""
        return write_tune(self.decode_tune(ids))

    def decode_tune(self, ids: ArrayLike) -> Tune:
        """The tune of events `[n]`, whatever they are; a note that ends where it began lasts one step."""
        now, loud = 0, VELOCITY
        sounding: dict[int, tuple[int, int]] = {}
        notes: list[Note] = []

        def end(pitch: int) -> None:
            start, velocity = sounding.pop(pitch)
            notes.append(Note(start, now, pitch, velocity))

        for symbol in self.checked(ids).tolist():
            event = symbol - len(self.specials)
            if event < 0:
                continue
            kind, pitch = divmod(event, _PITCHES)
            if kind < 2:
                if pitch in sounding:
                    end(pitch)
                if kind == 0:
                    sounding[pitch] = now, loud
            elif event - 2 * _PITCHES < self.longest:
                now += event - 2 * _PITCHES + 1
            else:
                level = event - 2 * _PITCHES - self.longest
                middle, least = (2 * level + 1) * 127 // (2 * self.velocities), -(-127 * level // self.velocities)
                loud = 1 + max(middle, least)
        for pitch in sorted(sounding):
            end(pitch)
        return Tune.of(notes, steps_per_beat=self.steps_per_beat, tempo=self.tempo)

    @property
    def settings(self) -> dict[str, Setting]:
        """What `store` keeps beside tensors."""
        return {
            "steps_per_beat": self.steps_per_beat,
            "longest": self.longest,
            "velocities": self.velocities,
            "tempo": self.tempo,
            "items": self.items,
        }

    def store(self) -> Stored:
        """Settings alone."""
        return Stored(self.settings, {})

    @classmethod
    def from_stored(cls, stored: Stored) -> Self:
        """Rebuild from `store`."""
        numbers = [stored.settings[name] for name in ("steps_per_beat", "longest", "velocities", "tempo")]
        if not all(type(number) is int for number in numbers):
            raise ValueError("settings are not whole numbers")
        return cls(*numbers, items=bool(stored.settings["items"]))  # type: ignore[arg-type]


def _tune(source: str | os.PathLike[str] | bytes | Tune, steps_per_beat: int) -> Tune:
    if not isinstance(source, Tune):
        return read_tune(source, steps_per_beat=steps_per_beat)
    if source.steps_per_beat != steps_per_beat:
        raise DataError(
            f"tunes must have {steps_per_beat} steps a beat",
            got=str(source.steps_per_beat),
            fix="Read them with that number.",
            code="grid",
        )
    return source
