"""`ostinato stream MODEL < lines > answers`: a saved model step by step, for one sequence or many. Needs no torch."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import click

from ostinato.cli.options import check_target
from ostinato.errors import ArgumentError, Interrupted, OstinatoError, SnapshotError, Terminated

if TYPE_CHECKING:
    from ostinato.runtime.records import Record, Records
    from ostinato.runtime.records.lines import Lines

_TOGETHER = 256
"""Most lines that are answered at once."""


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["json", "csv"]), default="json", show_default=True,
              help="Of lines and answers; CSV has the names of the columns in its first line.")  # fmt: skip
@click.option("--id", "name", help="The stream of lines that name none; for a forecast, perhaps a series of training.")
@click.option("--snapshot", type=click.Path(path_type=Path),
              help="Go on from this file if it exists; at the end, write the state to it.")  # fmt: skip
@click.option("--nonfinite", type=click.Choice(["raise", "hold", "propagate"]), default="raise", show_default=True,
              help="null, NaN and infinity: refuse them, repeat the last number, or go on with them.")  # fmt: skip
@click.option("--skip-bad", is_flag=True, help="Answer a bad line by what is wrong with it, and go on.")
@click.option("--precision", type=click.Choice(["float32", "bf16"]), default="float32", show_default=True,
              help="What recurrent layers multiply in.")  # fmt: skip
@click.option("--sha256", help="Refuse a model file with another SHA-256.")
def command(*, model: Path, form: str, name: str | None, snapshot: Path | None, nonfinite: str, skip_bad: bool,
            precision: str, sha256: str | None) -> None:  # fmt: skip
    """Answer lines from standard input, step by step.

    Each is answered as soon as it is there.

    \b
    A line is                                     and is answered by
    [0.5, 1.2] or {"x": [0.5, 1.2]}               {"y": [...]}            network
    0.5, for a network that reads one number      {"y": [...]}            network
    17.5 or {"ds": "2024-01-01", "y": 17.5}       {"forecast": {...}}     forecast
    "some text" or {"text": "some text"}          {"symbols", "nats"}     text

    With {"id": ...} many streams run side by side; {"reset": true} starts one anew. A line that cannot be answered ends
    the command with exit code 2, after the state was written.
    """
    from ostinato.runtime import load
    from ostinato.runtime.records import records_of
    from ostinato.runtime.records.lines import CsvLines, JsonLines

    if snapshot is not None:
        check_target(snapshot, model)
    records = records_of(load(model, sha256=sha256, precision=precision), nonfinite=nonfinite, name=name)
    before = _restored(records, snapshot)
    source, sink = _bytes_of(sys.stdin, "input"), _bytes_of(sys.stdout, "output")
    lines = CsvLines(records, source, sink, errors=skip_bad) if form == "csv" else JsonLines(records, source, sink)
    run = _Run(records, lines, sink, skip_bad=skip_bad)
    with _Signals() as signals:
        try:
            run.all(signals)
        except _Stop:
            pass
        finally:
            signals.limit = sys.maxsize
            if snapshot is not None:
                _save(snapshot, records.snapshot(before + run.answered))
    if signals.caught is not None:
        raise _stopped(signals.caught, run, snapshot)


class _Run:
    """Answers lines until there are no more.

    Args:
        records, lines, sink: What answers, where lines come from, where answers go.
        skip_bad: Answer bad lines, too.
    """

    def __init__(self, records: Records[Any], lines: Lines, sink: BinaryIO, *, skip_bad: bool) -> None:
        self._records, self._lines, self._sink, self._skip_bad = records, lines, sink, skip_bad
        self._at_once = not stat.S_ISREG(os.fstat(sink.fileno()).st_mode)
        self.answered, self.line = 0, 0
        """How many lines were answered, and which one was the last."""

    def all(self, signals: _Signals) -> None:
        """Answer them; a signal ends it between two lines, or while it waits for one."""
        try:
            signals.limit = 1
            self._begin()
            while self._some(signals):
                pass
        finally:
            self._sink.flush()

    def _begin(self) -> None:
        try:
            self._lines.begin()
        except OstinatoError as error:
            raise _placed(error, self._lines.number) from None

    def _some(self, signals: _Signals) -> bool:
        """Wait for a line, and answer it and those behind it that are there already; False at the end."""
        signals.limit = 1
        if signals.caught is not None:
            return False
        lines = [self._read()]
        signals.limit = sys.maxsize
        while not lines[-1].ends and self._lines.waits and len(lines) < _TOGETHER:
            lines.append(self._read())
        more = not lines[-1].ends
        rest = lines if more else lines[:-1]
        while rest and signals.caught is None:
            rest = rest[self._answer(rest, signals) :]
        return more

    def _read(self) -> _Given:
        try:
            line = self._lines.read()
            return _Given(self._lines.number, None if line is None else self._lines.record(line))
        except OstinatoError as error:
            return _Given(self._lines.number, error=error)

    def _answer(self, lines: Sequence[_Given], signals: _Signals) -> int:
        """Answer the first of some lines; how many."""
        signals.limit = sys.maxsize
        good = takewhile(lambda record: record is not None, (one.record for one in lines))
        answers, error = self._records.answers([record for record in good if record is not None])
        signals.limit = 2
        n = len(answers)
        for answer in answers:
            self._lines.write(answer)
        if error is None and n < len(lines):
            error = lines[n].error
        if error is not None:
            error = _placed(error, lines[n].number)
            if self._skip_bad:
                from ostinato.cli.main import in_flags

                self._lines.write({"error": str(in_flags(error, verb="stream")), "line": lines[n].number})
                n += 1
        if self._at_once:
            self._sink.flush()
        if n:
            self.answered, self.line = self.answered + n, lines[n - 1].number
        if error is not None and not self._skip_bad:
            raise error
        return n


class _Given(NamedTuple):
    """A line that was read: its record, or what is wrong with it; neither at the end of the input."""

    number: int
    record: Record | None = None
    error: OstinatoError | None = None

    @property
    def ends(self) -> bool:
        return self.record is None and self.error is None


class _Stop(BaseException):
    """A signal came while nothing was half done."""


class _Signals:
    """Ctrl-C and SIGTERM end the work between two lines; a second one ends it while an answer cannot be written."""

    def __init__(self) -> None:
        self.caught: int | None = None
        self.limit = 1
        self._count = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._came)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _came(self, number: int, frame: FrameType | None) -> None:
        self.caught, self._count = number, self._count + 1
        if self._count >= self.limit:
            raise _Stop


def _bytes_of(stream: Any, name: str) -> BinaryIO:
    if stream is None:
        raise ArgumentError(f"standard {name} must be open", got="none", fix="Redirect it to a file or a pipe.")
    found: BinaryIO = stream.buffer
    return found


def _placed(error: OstinatoError, line: int) -> OstinatoError:
    """The same error with its line."""
    where = (f"line {line}", *error.where)
    return type(error)(
        error.rule, got=error.got, fix=error.fix, where=[", ".join(where)], count=error.count, code=error.code
    )


def _restored(records: Records[Any], snapshot: Path | None) -> int:
    """Go on from a snapshot, if there is one; how many lines were answered before it."""
    if snapshot is None or not snapshot.exists():
        return 0
    try:
        return records.restore(snapshot.read_bytes())
    except SnapshotError as error:
        raise SnapshotError(
            error.rule, got=error.got, where=str(snapshot), code=error.code,
            fix=f"{error.fix} Or pass another file: this one stays as it is.",
        ) from None  # fmt: skip


def _save(path: Path, blob: bytes) -> None:
    from ostinato.runtime.atomic import replace_file

    replace_file(str(path), [blob])


def _stopped(number: int, run: _Run, snapshot: Path | None) -> Interrupted | Terminated:
    note = f"stopped after line {run.line}"
    if snapshot is not None:
        note += f"; {snapshot} holds the state, so that the same command goes on with the line after it"
    return Interrupted(note) if number == signal.SIGINT else Terminated(note)
