"""Runs scripts written for Keras: `python -m ostinato.compat.keras_names SCRIPT.py [arguments]`.

Within such a run, and nowhere else, `import keras` and `import tensorflow` bring the names that ostinato offers. Any
other name is an error that says what there is instead.
"""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from ostinato.compat.keras_table import MODULES
from ostinato.errors import ArgumentError, MissingDependency

_TOPS = ("keras", "tensorflow")


class Offered(ModuleType):
    """A module with some of Keras' names; asking for another one says so."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        full = f"{self.__name__}.{name}"
        if full in MODULES:
            return importlib.import_module(full)
        raise _not_offered(full, self.__name__)


class Finder(MetaPathFinder, Loader):
    """Serves `keras` and `tensorflow` from `MODULES`, before any installed package of these names."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in _TOPS:
            return None
        if fullname not in MODULES:
            raise _not_offered(fullname, fullname.rpartition(".")[0])
        return ModuleSpec(fullname, self, origin="ostinato.compat", is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Offered(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(MODULES[module.__name__])


def _not_offered(full: str, module: str) -> MissingDependency:
    below = {name.removeprefix(module + ".") for name in MODULES if name.startswith(module + ".")}
    names = sorted({*MODULES.get(module, ()), *(name for name in below if "." not in name)} - {"__version__"})
    return MissingDependency(
        f"a script that runs on ostinato must use the names that it offers in {module}: {', '.join(names)}",
        got=full,
        fix="Use one of these names, or run the script with Keras itself.",
        code="not_offered",
    )


def install() -> None:
    """From now on, in this process, serve `keras` and `tensorflow` from ostinato.

    Raises:
        ArgumentError: One of them was already imported.
    """
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    loaded = [top for top in _TOPS if top in sys.modules]
    if loaded:
        raise ArgumentError(
            "keras and tensorflow must not be imported yet", got=", ".join(loaded), fix="Call install() first."
        )
    sys.meta_path.insert(0, Finder())


def run(arguments: Sequence[str]) -> None:
    """Run a script as `python SCRIPT.py arguments` would, with Keras' names served by ostinato.

    Args:
        arguments: The script and its own arguments.
    """
    if not arguments or not Path(arguments[0]).is_file():
        raise ArgumentError(
            "the first argument must be a script",
            got=repr(arguments[0]) if arguments else "nothing",
            fix="Run: python -m ostinato.compat.keras_names SCRIPT.py.",
        )
    install()
    sys.argv = list(arguments)
    sys.path[0] = str(Path(arguments[0]).resolve().parent)
    runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    try:
        run(sys.argv[1:])
    except ArgumentError as error:
        if len(sys.argv) > 1 and Path(sys.argv[1]).is_file():
            raise
        sys.exit(str(error))
