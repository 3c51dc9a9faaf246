"""Vocabularies turn texts and tunes into whole numbers and back: one file each, fitted once, then frozen.

Their settings and tensors go into a model file, and all but fitting sub-words and reading MIDI files needs NumPy alone.
"""

from ostinato._folder import catalogue
from ostinato.data.vocabularies.base import Encoded, Ids, Stored, Vocabulary, restore

VOCABULARIES = catalogue("ostinato.data.vocabularies", Vocabulary)

__all__ = ["VOCABULARIES", "Encoded", "Ids", "Stored", "Vocabulary", "restore"]
