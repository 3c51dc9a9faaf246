"""Calls the command line inside the process of the tests."""

from __future__ import annotations

import io
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple, TextIO

from ostinato.cli.main import main

TINY = ("--horizon", "3", "--units", "4", "--epochs", "1", "--members", "1")


class Done(NamedTuple):
    """What a command left behind; `fault` is True if an exception reached Python's own hook."""

    code: int
    out: str
    err: str
    fault: bool


def call(*words: object, reads: bytes = b"", out: TextIO | None = None) -> Done:
    """Run `ostinato` with these words, as a shell would, and with these bytes on standard input; what it writes goes to
    `out` if that is given."""
    argv, hook, shown, err = sys.argv, sys.excepthook, io.StringIO(), io.StringIO()
    stdin, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(reads))
    fault, code = False, 0
    sys.argv = ["ostinato", *map(str, words)]
    try:
        with warnings.catch_warnings(), redirect_stdout(out or shown), redirect_stderr(err):
            warnings.simplefilter("default")
            try:
                main()
            except SystemExit as end:
                code = 0 if end.code is None else int(end.code)
            except Exception:
                sys.excepthook(*sys.exc_info())
                fault, code = True, 1
    finally:
        sys.argv, sys.excepthook, sys.stdin = argv, hook, stdin
    return Done(code, shown.getvalue(), err.getvalue(), fault)
