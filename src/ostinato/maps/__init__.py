"""Layers without state, each once, on the array namespace that it is handed."""

from ostinato._folder import catalogue
from ostinato.maps.base import Context, Map, Out, Part, Weight

MAPS = catalogue("ostinato.maps", Map)

__all__ = ["MAPS", "Context", "Map", "Out", "Part", "Weight"]
