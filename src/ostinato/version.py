"""The version of ostinato; `pyproject.toml` has the same one, which a test checks."""

__version__ = "0.1.0"
