"""Recurrences: one file each, one step each, on the array namespace that they are handed."""

from ostinato._folder import catalogue
from ostinato.cells.base import Cell

CELLS = catalogue("ostinato.cells", Cell)

__all__ = ["CELLS", "Cell"]
