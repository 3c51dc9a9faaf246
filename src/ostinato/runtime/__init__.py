"""Saved models below the torch line: the model file, and what runs it."""

from ostinato.runtime.ahead import Ahead
from ostinato.runtime.forecaster import Forecaster
from ostinato.runtime.forecaster_pool import ForecasterPool
from ostinato.runtime.forecaster_stream import ForecasterStream
from ostinato.runtime.generator import Generator
from ostinato.runtime.generator_pool import GeneratorPool
from ostinato.runtime.generator_stream import Candidate, GeneratorStream
from ostinato.runtime.models import Network, load
from ostinato.runtime.pool import Pool
from ostinato.runtime.precision import Cost, precision_cost
from ostinato.runtime.stream import Stream

__all__ = [
    "Ahead",
    "Candidate",
    "Cost",
    "Forecaster",
    "ForecasterPool",
    "ForecasterStream",
    "Generator",
    "GeneratorPool",
    "GeneratorStream",
    "Network",
    "Pool",
    "Stream",
    "load",
    "precision_cost",
]
