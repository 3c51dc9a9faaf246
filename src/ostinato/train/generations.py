"""Two files that take turns: whatever happens while one is written, the other one is whole."""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any, NamedTuple

import msgspec
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from ostinato.data.foreign import NEEDED, identify
from ostinato.errors import CheckpointDamaged, CheckpointWriteError, UnsupportedFormat
from ostinato.runtime.atomic import replace_file, sweep
from ostinato.train.packing import pack, unpack

NAMES = ("ostinato-a.safetensors", "ostinato-b.safetensors")
FORMAT = 1
_KIND = "ostinato checkpoint"
_NO_DIGEST = "0" * 64
_MAX_HEADER = 100 << 20  # the limit of safetensors


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    format: int
    number: int
    state: Any


class _Damaged(Exception):
    """Why a file is not a whole generation."""


class Generations:
    """The newest state that was written whole to a folder, and a place for the next one.

    Each file is a safetensors file whose header holds the state as JSON and a SHA-256 of the whole file.

    Args:
        folder: Where the two files are; it is made if it does not exist.

    Raises:
        CheckpointDamaged: There are files, and none is whole.
        UnsupportedFormat: One of the two names belongs to a file that is no checkpoint.
        CheckpointWriteError: The folder cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = os.path.abspath(os.fspath(folder))
        self.state: Any = None
        self.number = 0
        self._next = NAMES[0]
        self._began: float | None = time.time()
        try:
            os.makedirs(self.folder, exist_ok=True)
        except FileExistsError:
            raise _unwritable(self.folder, "a file of that name") from None
        except OSError as error:
            raise _unwritable(self.folder, _words(error)) from None
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise _unwritable(self.folder, "Permission denied")
        damaged: dict[str, str] = {}
        foreign: UnsupportedFormat | None = None
        for name in NAMES:
            path = os.path.join(self.folder, name)
            try:
                found = _read(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                damaged[name] = _words(error)
                continue
            except _Damaged as error:
                damaged[name] = str(error)
                continue
            except UnsupportedFormat as error:
                foreign = error
                continue
            if found.number > self.number:
                self.number, self.state = found.number, found.state
                self._next = NAMES[1 - NAMES.index(name)]
        if foreign is not None and self.number == 0:
            raise foreign
        if damaged and self.number == 0:
            raise CheckpointDamaged(
                "a checkpoint must have a whole generation",
                got="; ".join(f"{name}: {why}" for name, why in damaged.items()),
                where=[os.path.join(self.folder, name) for name in damaged],
                fix="Remove these files to begin anew, or bring them back from a backup; nothing was overwritten.",
            )

    def write(self, state: Any) -> None:
        """Write a new generation in place of the older one; the first write also clears away what killed ones left.

        Raises:
            CheckpointWriteError: A step failed; both old generations are as they were.
        """
        if self._began is not None:
            sweep(self.folder, before=self._began)
            self._began = None
        tensors: dict[str, Tensor] = {}
        document = _Document(_KIND, FORMAT, self.number + 1, pack(state, tensors))
        text = msgspec.json.encode(document).decode()
        data = safetensors.torch.save(tensors, {"ostinato": text, "sha256": _NO_DIGEST})
        length = 8 + int.from_bytes(data[:8], "little")
        head = data[:length].replace(_NO_DIGEST.encode(), hashlib.sha256(data).hexdigest().encode(), 1)
        try:
            replace_file(os.path.join(self.folder, self._next), (head, memoryview(data)[length:]))
        except OSError as error:
            raise _unwritable(self.folder, _words(error)) from None
        self.number += 1
        self._next = NAMES[1 - NAMES.index(self._next)]


class _Found(NamedTuple):
    number: int
    state: Any


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _unwritable(folder: str, got: str) -> CheckpointWriteError:
    return CheckpointWriteError(
        "the checkpoint's folder must be writable",
        got=got,
        where=folder,
        fix="Make room or choose another folder; what was saved before is unchanged.",
    )


def _read(path: str) -> _Found:
    with open(path, "rb") as file:
        data = file.read()
    length = int.from_bytes(data[:8], "little")
    if len(data) < 10 or length > min(_MAX_HEADER, len(data) - 8) or data[8:9] != b"{":
        foreign = identify(data[:NEEDED])
        if len(data) >= 10 and data[8:9] != b"{" and foreign is not None:
            raise _refuse(path, foreign)
        raise _Damaged("cut short, or not a checkpoint" if data else "empty")
    head = data[: 8 + length]
    try:
        header = msgspec.json.decode(head[8:], type=dict[str, msgspec.Raw])
        metadata = msgspec.json.decode(header.get("__metadata__", b"{}"), type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _Damaged("its header is not valid JSON") from None
    digest = metadata.get("sha256", "")
    if "ostinato" not in metadata or len(digest) != 64:
        raise _refuse(path, "another safetensors file")
    whole = hashlib.sha256(head.replace(digest.encode(), _NO_DIGEST.encode(), 1))
    whole.update(memoryview(data)[8 + length :])
    if whole.hexdigest() != digest:
        raise _Damaged("its SHA-256 does not fit its contents")
    try:
        document = msgspec.json.decode(metadata["ostinato"], type=_Document)
        if document.kind != _KIND:
            raise _refuse(path, "another safetensors file")
        if document.format != FORMAT:
            raise _refuse(path, f"a checkpoint of format {document.format}, written by another version")
        return _Found(document.number, unpack(document.state, safetensors.torch.load(data)))
    except (msgspec.MsgspecError, SafetensorError, KeyError) as error:
        raise _Damaged(f"its contents do not fit each other ({type(error).__name__})") from None


def _refuse(path: str, got: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        "a checkpoint's folder must hold checkpoints of ostinato under their names",
        got=got,
        where=path,
        fix="Choose another folder, or move the file away; nothing was overwritten.",
    )
