"""Every exception and warning that ostinato raises on purpose.

Each message answers five questions in one sentence or two: which rule was broken, what came instead, where, how many
times, and what to do. They are also attributes, so that programs (and the tests) can read them.
"""

from __future__ import annotations

from collections.abc import Sequence


class OstinatoError(Exception):
    """Base of all errors raised by ostinato.

    Args:
        rule: What must hold, as a full clause: "horizon must be a whole number of at least 1".
        got: What came instead, as text.
        fix: What the user can do, as an imperative sentence ending in a full stop.
        where: Places (row, series, timestamp, column, file …), the first five are printed.
        count: How often the rule was broken, if it can be broken more than once.
        code: One lower-case word that programs can match on; the class gives a default.
    """

    default_code = "error"

    def __init__(
        self,
        rule: str,
        *,
        got: str,
        fix: str,
        where: Sequence[str] | str = (),
        count: int | None = None,
        code: str | None = None,
    ) -> None:
        self.rule, self.got, self.fix = rule, got, fix
        self.where = (where,) if isinstance(where, str) else tuple(where)
        self.count = count
        self.code = code or self.default_code
        super().__init__(self._message())

    def _message(self) -> str:
        text = f"[{self.code}] {self.rule}, got {self.got}"
        if self.count is not None and self.count > 1:
            text += f" ({self.count} times)"
        if self.where:
            text += " at " + "; ".join(self.where[:5])
            if (self.count or len(self.where)) > 5:
                text += "; …"
        return f"{text}. {self.fix}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.rule, self.got, self.fix, self.where, self.count, self.code)


def _rebuild(
    cls: type[OstinatoError],
    rule: str,
    got: str,
    fix: str,
    where: tuple[str, ...],
    count: int | None,
    code: str,
) -> OstinatoError:
    return cls(rule, got=got, fix=fix, where=where, count=count, code=code)


class ArgumentError(OstinatoError, ValueError):
    """An argument has a value that it must not have."""

    default_code = "argument"


class ShapeError(OstinatoError, ValueError):
    """An array has the wrong number of axes or the wrong size along one."""

    default_code = "shape"


class DataError(OstinatoError, ValueError):
    """The user's data breaks a rule; `code` says which: nan, nonfinite, overflow, duplicate, gap, empty, short, …"""

    default_code = "data"


class ModelFileError(OstinatoError, ValueError):
    """A model file is damaged, hostile, foreign or too new; nothing of it was used."""

    default_code = "model_file"


class UnsupportedFormat(ModelFileError):
    """The file is not an ostinato model file at all; the message names what it looks like."""

    default_code = "unsupported_format"


class UnknownLayer(ModelFileError):
    """The file names a layer, cell or task that this version does not have. A file can never bring its own code."""

    default_code = "unknown_layer"


class NewerFormat(ModelFileError):
    """The file was written by a later version of ostinato."""

    default_code = "newer_format"


class ConversionError(OstinatoError, ValueError):
    """A model cannot be said in another format, or a file of another format here; the message says what and why."""

    default_code = "conversion"


class SnapshotError(OstinatoError, ValueError):
    """A stream's snapshot cannot be restored; `code` says why: damaged, model (another one), foreign, newer."""

    default_code = "snapshot"


class StreamClosed(OstinatoError, RuntimeError):
    """A stream was used after it was closed, or under a name that no open stream has."""

    default_code = "stream_closed"


class StreamBusy(OstinatoError, RuntimeError):
    """A stream or a pool was used by two threads at once; the second call did nothing."""

    default_code = "stream_busy"


class KernelError(OstinatoError, RuntimeError):
    """A kernel was asked for by name and cannot compute this call; the message says why."""

    default_code = "kernel"


class NonFiniteLoss(OstinatoError, ArithmeticError):
    """The loss, a gradient or a weight became NaN or infinite; training stopped and the last good weights are back."""

    default_code = "nonfinite_loss"


class NotFittedError(OstinatoError, ValueError, AttributeError):
    """A task was asked for something that only a fitted task has."""

    default_code = "not_fitted"


class NotBuiltError(OstinatoError, RuntimeError):
    """A model was used before its input shape, its loss or its optimiser was known."""

    default_code = "not_built"


class MissingDependency(OstinatoError, ImportError):
    """An optional package is needed; the message holds the pip line."""

    default_code = "missing_dependency"


class OstinatoWarning(UserWarning):
    """Base of all warnings; silence with `warnings.simplefilter("ignore", ostinato.OstinatoWarning)`."""


class DataWarning(OstinatoWarning):
    """The data was treated in a way that the user should know of."""


class CheckpointDamaged(OstinatoError, ValueError):
    """No generation of a checkpoint is whole; the files are as they were."""

    default_code = "checkpoint_damaged"


class CheckpointMismatch(OstinatoError, ValueError):
    """A checkpoint belongs to a run with other options or other data; the message names what differs."""

    default_code = "checkpoint_mismatch"


class CheckpointWriteError(OstinatoError, OSError):
    """A checkpoint cannot be written; the generations that were there are as they were."""

    default_code = "checkpoint_write"


class WriteError(OstinatoError, OSError):
    """A result cannot be written to its place (`write`), or will not have room there (`room`); nothing was overwritten.

    If there was a result already, the message says where it is instead.
    """

    default_code = "write"


class ProcessLost(OstinatoError, RuntimeError):
    """Another process of a run over several processes ended or no longer answers; this one cannot go on alone."""

    default_code = "process_lost"


class ResumeWarning(OstinatoWarning):
    """A run goes on under other conditions than it began with, so that its numbers may differ in their last bits."""


class InterruptedWarning(OstinatoWarning):
    """Training was stopped by Ctrl-C; the model is usable and the checkpoint is up to date."""


class Interrupted(KeyboardInterrupt):
    """Work was stopped by Ctrl-C after its state was saved; the message says how to go on."""


class Terminated(SystemExit):
    """Work was stopped by SIGTERM after its state was saved; `code` is 143, `note` says how to go on."""

    def __init__(self, note: str) -> None:
        super().__init__(143)
        self.note = note
