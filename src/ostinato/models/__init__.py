"""Models as people write them."""

from ostinato.models.loading import load_model
from ostinato.models.sequential import Sequential

__all__ = ["Sequential", "load_model"]
