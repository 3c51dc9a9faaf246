"""The one place where optional packages are imported, with one sentence of error when one is missing."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from ostinato.errors import MissingDependency

_EXTRA = {
    "torch": "train",
    "polars": "train",
    "matplotlib": "train",
    "sklearn": "train",
    "keras": "keras",
    "tokenizers": "text",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "h5py": "keras",
}


def require(module: str, *, purpose: str) -> ModuleType:
    """Import `module` or say in one sentence which extra brings it.

    Args:
        module: Dotted module name; its first part must belong to one of ostinato's extras.
        purpose: What it is needed for, as an infinitive clause: "to read Parquet files".

    Raises:
        MissingDependency: The package is not installed.
    """
    top = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != top:
            raise
        raise _missing(top, purpose) from None


def check_installed(*packages: str, purpose: str) -> None:
    """Raise as `require` unless all of these are installed; none is imported."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise _missing(package, purpose)


def _missing(package: str, purpose: str) -> MissingDependency:
    return MissingDependency(
        f"the package {package!r} must be installed {purpose}",
        got="no such package",
        fix=f'Run: pip install "ostinato[{_EXTRA[package]}]".',
    )
