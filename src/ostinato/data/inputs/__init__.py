"""What users bring, one file a kind: files become texts or tunes, or one error that says what is wrong where."""

from ostinato.data.inputs.arrays import read_array
from ostinato.data.inputs.files import Paths, list_files
from ostinato.data.inputs.midi import Note, Tune, from_roll, read_tune, roll, tidy, write_tune
from ostinato.data.inputs.text import Items, Texts, decode_strictly, one_line_end, read_texts

__all__ = [
    "Items",
    "Note",
    "Paths",
    "Texts",
    "Tune",
    "decode_strictly",
    "from_roll",
    "list_files",
    "one_line_end",
    "read_array",
    "read_texts",
    "read_tune",
    "roll",
    "tidy",
    "write_tune",
]
