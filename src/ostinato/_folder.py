"""The folder is the list: a file's name is its key in Python, on the command line and in a model file."""

from __future__ import annotations

import importlib
import pkgutil
from types import MappingProxyType
from typing import TypeVar

T = TypeVar("T")


def catalogue(package: str, base: type[T]) -> MappingProxyType[str, type[T]]:
    """Map the name of each file in `package` to the one public subclass of `base` that it defines.

    Files that start with an underscore, and those that define no such class, are not entries.
    """
    found: dict[str, type[T]] = {}
    for info in sorted(pkgutil.iter_modules(importlib.import_module(package).__path__), key=lambda i: i.name):
        if info.name.startswith("_") or info.ispkg:
            continue
        module = importlib.import_module(f"{package}.{info.name}")
        own = [
            value
            for name, value in vars(module).items()
            if isinstance(value, type)
            and issubclass(value, base)
            and value is not base
            and value.__module__ == module.__name__
            and not name.startswith("_")
        ]
        if len(own) == 1:
            found[info.name] = own[0]
    return MappingProxyType(found)
