"""What training minimises."""

from ostinato.losses import labels, points
from ostinato.losses.quantile import Quantile

LOSSES = {**points.FUNCTIONS, **labels.FUNCTIONS}
"""Losses by the names that Keras users know; each maps (output, target) to one value per sample and step."""

__all__ = ["LOSSES", "Quantile"]
