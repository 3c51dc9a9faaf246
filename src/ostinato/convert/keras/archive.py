"""The `.keras` archive: a zip with a configuration and an H5 file. It is read in memory and never unpacked to disk."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from ostinato.errors import ConversionError
from ostinato.runtime.atomic import replace_file

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

_LARGEST_TEXT = 4 << 20
_LARGEST = 4 << 30
_MOST_SQUEEZED = 32
"""How much larger than the archive its contents may be, in times; weights hardly shrink, a bomb does."""

_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, OSError, EOFError, RuntimeError, ValueError)
"""What Python's reader of archives raises."""

_EPOCH = (1980, 1, 1, 0, 0, 0)


class Archive(NamedTuple):
    """What a `.keras` file holds.

    Args:
        config: The model's configuration, as JSON gives it.
        weights: The bytes of the H5 file.
        version: The version of Keras that wrote it; empty if unknown.
    """

    config: dict[str, Any]
    weights: bytes
    version: str


def read_archive(path: str | os.PathLike[str]) -> Archive:
    """Read a `.keras` file.

    Raises:
        ConversionError: It is not one, holds other files, or more than its size allows.
    """
    if not os.path.isfile(path):
        raise _refuse("the path must lead to a file", ascii(os.fspath(path))[:200])
    try:
        with zipfile.ZipFile(path) as archive:
            _check_names(archive)
            _check_sizes(archive, os.path.getsize(path))
            config, weights = _member(archive, CONFIG), _member(archive, WEIGHTS)
            about = _member(archive, METADATA) if METADATA in archive.namelist() else b"{}"
    except ConversionError:
        raise
    except _BROKEN as error:
        raise _refuse("the file must be a whole .keras archive", ascii(str(error)[:200])[1:-1]) from None
    version = parse_config(about).get("keras_version", "")
    return Archive(parse_config(config), weights, version[:40] if isinstance(version, str) else "")


def write_archive(path: str | os.PathLike[str], config: Mapping[str, Any], weights: bytes) -> None:
    """Write a `.keras` file; the same model always gives the same bytes."""
    buffer = io.BytesIO()
    about = {"keras_version": "3.0.0", "date_saved": "1980-01-01@00:00:00"}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (
            (METADATA, msgspec.json.encode(about)), (CONFIG, msgspec.json.encode(config)), (WEIGHTS, weights)
        ):  # fmt: skip
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    replace_file(os.fspath(path), [buffer.getvalue()])


def parse_config(text: bytes) -> dict[str, Any]:
    """A configuration as JSON objects.

    Raises:
        ConversionError: It is too long, or no JSON object.
    """
    if len(text) > _LARGEST_TEXT:
        raise _refuse(f"the configuration must be at most {_LARGEST_TEXT} bytes", str(len(text)))
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _refuse("the configuration must be a JSON object", ascii(str(error)[:200])[1:-1]) from None


def _check_names(archive: zipfile.ZipFile) -> None:
    names = [info.filename for info in archive.infolist()]
    strange = [n for n in names if n not in (CONFIG, METADATA, WEIGHTS)]
    if strange or len(set(names)) < len(names):
        got = ascii(strange[0][:80]) if strange else "a name twice"
        raise _refuse(f"the archive must hold {CONFIG}, {METADATA} and {WEIGHTS} only", got)
    if not {CONFIG, WEIGHTS} <= set(names):
        raise _refuse(f"the archive must hold {CONFIG} and {WEIGHTS}", ", ".join(names) or "nothing")


def _check_sizes(archive: zipfile.ZipFile, size: int) -> None:
    whole = sum(info.file_size for info in archive.infolist())
    if whole > min(_LARGEST, _MOST_SQUEEZED * size):
        raise _refuse(f"the archive must unpack to at most {_MOST_SQUEEZED} times its size", f"{whole} bytes")


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of one file, never more than its entry says."""
    most = archive.getinfo(name).file_size
    with archive.open(name) as file:
        data = file.read(most + 1)
    if len(data) != most:
        raise _refuse(f"{name} must be as long as the archive says, {most} bytes", f"{len(data)}")
    return data


def _refuse(rule: str, got: str) -> ConversionError:
    return ConversionError(rule, got=got, fix="Save the model in Keras again with model.save('name.keras').")
