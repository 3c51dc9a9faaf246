"""Layers with weights: torch modules around the formulas of `cells`, `maps` and `scans`."""

from ostinato.layers.module import Layer
from ostinato.layers.stack import Stack

__all__ = ["Layer", "Stack"]
