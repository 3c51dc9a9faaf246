"""Saved models below the torch line: the model file, and what runs it."""

from ostinato.runtime.forecaster import Forecaster
from ostinato.runtime.generator import Generator
from ostinato.runtime.models import Network, load

__all__ = ["Forecaster", "Generator", "Network", "load"]
