"""How the parts of the model file's reader say no."""

from __future__ import annotations

import os

from ostinato.errors import ModelFileError

DAMAGED = "The file is damaged or was changed by other software: fetch it again, or save the model again."


def refuse(code: str, rule: str, got: str, *, fix: str = DAMAGED, where: tuple[str, ...] = ()) -> ModelFileError:
    """Make the error for a broken rule; text out of the file must come through `quote`."""
    return ModelFileError(rule, got=got, fix=fix, where=where, code=code)


def located(error: ModelFileError, file: str) -> ModelFileError:
    """The same error, which says in which file as well."""
    where = (quote(os.path.basename(file)), *error.where)
    return type(error)(error.rule, got=error.got, fix=error.fix, where=where, count=error.count, code=error.code)


def quote(text: str, *, most: int = 60) -> str:
    """Text of a file for a message: short, on one line, without control characters."""
    return ascii(text) if len(text) <= most else ascii(text[:most]) + "…"


def reason(error: Exception, *, most: int = 200) -> str:
    """What another library says about a file, likewise short and on one line; it may hold text of the file."""
    return ascii(str(error)[:most])[1:-1]
