"""Sequence modelling with recurrent neural networks: from a file to a trained, honestly evaluated model."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ostinato._optional import require
from ostinato.version import __version__

if TYPE_CHECKING:
    from ostinato import errors, layers
    from ostinato.errors import OstinatoError, OstinatoWarning
    from ostinato.layers.seeds import set_random_seed
    from ostinato.models.loading import load_model
    from ostinato.models.sequential import Sequential
    from ostinato.tasks.forecast import Forecast
    from ostinato.tasks.generate import Generate

_HOMES = {
    "Forecast": "ostinato.tasks.forecast",
    "Generate": "ostinato.tasks.generate",
    "OstinatoError": "ostinato.errors",
    "OstinatoWarning": "ostinato.errors",
    "Sequential": "ostinato.models.sequential",
    "load_model": "ostinato.models.loading",
    "set_random_seed": "ostinato.layers.seeds",
}
_LIGHT = ("ostinato.errors", "ostinato.tasks.forecast", "ostinato.tasks.generate")
"""What is imported without torch."""
_ROOMS = ("errors", "layers")

__all__ = [
    "Forecast",
    "Generate",
    "OstinatoError",
    "OstinatoWarning",
    "Sequential",
    "__version__",
    "errors",
    "layers",
    "load_model",
    "set_random_seed",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import ostinato` costs next to nothing (PEP 562)."""
    if name in _HOMES:
        if _HOMES[name] not in _LIGHT:
            require("torch", purpose=f"for ostinato.{name}")
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"ostinato.{name}")
    else:
        raise AttributeError(f"module 'ostinato' has no attribute {name!r}; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
