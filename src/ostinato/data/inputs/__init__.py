"""What users bring, one file a kind: files become texts or tunes, or one error that says what is wrong where."""

from ostinato.data.inputs.files import Paths, list_files
from ostinato.data.inputs.midi import Note, Tune, from_roll, read_tune, roll, tidy, write_tune
from ostinato.data.inputs.text import Items, Texts, read_texts

__all__ = [
    "Items",
    "Note",
    "Paths",
    "Texts",
    "Tune",
    "from_roll",
    "list_files",
    "read_texts",
    "read_tune",
    "roll",
    "tidy",
    "write_tune",
]
