"""Saves a run while it goes, so that the same command goes on where it was stopped, to the last bit."""

from __future__ import annotations

import inspect
import os
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from signal import SIGINT, SIGTERM
from types import TracebackType
from typing import Any, NoReturn, Self

import numpy as np
import torch

from ostinato.errors import (
    ArgumentError,
    CheckpointMismatch,
    Interrupted,
    InterruptedWarning,
    ResumeWarning,
    Terminated,
)
from ostinato.layers.stack import Stack
from ostinato.runtime import native
from ostinato.train.batches import Order
from ostinato.train.callbacks import Callback
from ostinato.train.distributed import Signs, Team
from ostinato.train.feeds import Feed
from ostinato.train.fingerprint import fingerprint
from ostinato.train.generations import Generations
from ostinato.train.interrupts import Interrupts
from ostinato.train.optimisers import Optimizer
from ostinato.train.sweeps import Objective, Sweep
from ostinato.version import __version__

_DIGEST = "sha256 "
_PLAIN = (bool, int, float, str, type(None), np.generic)


class Checkpoint:
    """The saved state of a run, which may consist of several trainings.

    Use it as a context: within it, Ctrl-C and SIGTERM end the training that goes on after its current step has been
    saved; a second one ends the program at once.

    Args:
        folder: Where to save; the state is in two files that take turns, each written at once or not at all.
        settings: What makes the run what it is, by name: options, and digests of data. They must be the same when the
            run goes on.
        every: Seconds between two saves; work of at most so long is lost when the process is killed.
        team: The processes that share the run, of which the first one writes; None for this one alone.

    Raises:
        CheckpointDamaged: There are files, and none is whole.
        CheckpointMismatch: What was saved belongs to other settings.
        UnsupportedFormat: A file of the same name is no checkpoint.
        CheckpointWriteError: The folder cannot be written to.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        settings: Mapping[str, Any],
        *,
        every: float = 30.0,
        team: Team | None = None,
    ) -> None:
        if isinstance(every, bool) or not isinstance(every, (int, float)) or not every >= 0.0:
            raise ArgumentError("every must be a number of at least 0", got=repr(every), fix="Pass seconds.")
        self.every = float(every)
        self.interrupts = Interrupts()
        self.settings = {name: describe(value) for name, value in settings.items()}
        self.team = team
        self._files = Generations(folder) if team is None else team.open(folder)
        self._done: dict[str, Any] = {}
        self._current: dict[str, Any] = {}
        self._parts: dict[str, dict[str, str]] = {}
        self._due = time.monotonic() + self.every
        saved = self._files.state
        if saved is not None:
            self._compare(saved["settings"], self.settings, "")
            self._done, self._current, self._parts = saved["done"], saved["current"], saved["parts"]
            if team is None or team.first:
                _warn_of(saved["environment"], self._environment())
        if team is not None:
            team.ask = self._signs

    @property
    def folder(self) -> str:
        """Where the state is saved."""
        return self._files.folder

    def __enter__(self) -> Self:
        self.interrupts.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.interrupts.__exit__(kind, error, trace)
        if self.team is not None:
            self.team.ask = Signs
        at_once = kind in (KeyboardInterrupt, SystemExit) and self.interrupts.caught is not None
        if at_once and (self._done or self._current):  # a signal between two trainings, or a second one
            self.stop()

    def part(self, name: str, settings: Mapping[str, Any] | None = None) -> Part:
        """One training of the run.

        Args:
            name: Its name in the run.
            settings: What makes it what it is, beside the settings of the run.
        """
        told = {key: describe(value) for key, value in (settings or {}).items()}
        if name in self._parts:
            self._compare(self._parts[name], told, name)
        self._parts[name] = told
        return Part(self, name)

    def save(self) -> None:
        """Write a generation."""
        self._files.write(
            {
                "settings": self.settings,
                "environment": self._environment(),
                "parts": self._parts,
                "done": self._done,
                "current": self._current,
            }
        )
        self._due = time.monotonic() + self.every
        if self.team is not None:
            self.team.told = self.team.told._replace(due=False)

    def due(self) -> bool:
        """Whether it is time to save; of several processes, all find the same."""
        return any(self._signs() if self.team is None else self.team.told)

    def halted(self) -> bool:
        """Whether a signal asks to stop; of several processes, all find the same, whichever of them it reached."""
        if self.team is None:
            return self.interrupts.caught is not None
        told = self.team.told
        if told.interrupted or told.terminated:
            self.interrupts.caught = SIGINT if told.interrupted else SIGTERM
            return True
        return False

    def _environment(self) -> dict[str, str]:
        return environment() | {"processes": str(1 if self.team is None else self.team.size)}

    def _signs(self) -> Signs:
        """What this process has to say about saving; the first one has the clock."""
        caught = self.interrupts.caught
        first = self.team is None or self.team.first
        return Signs(first and time.monotonic() >= self._due, caught == SIGINT, caught == SIGTERM)

    def stop(self) -> NoReturn:
        """End the program's work here, after a signal: as Ctrl-C or SIGTERM do, with words on how to go on."""
        if self.interrupts.caught == SIGINT:
            raise Interrupted(self._note())
        raise Terminated(self._note())

    def stopped(self) -> None:
        """After a training that a signal ended: Ctrl-C warns, SIGTERM ends the program."""
        if self.interrupts.caught == SIGINT:
            warnings.warn(self._note(), InterruptedWarning, stacklevel=3)
        elif self.interrupts.caught is not None:
            self.stop()

    def _note(self) -> str:
        return f"training was interrupted; it is saved in {self.folder}, and the same command goes on from there"

    def _compare(self, old: Mapping[str, str], new: Mapping[str, str], where: str) -> None:
        differ = [
            _difference(name, old.get(name), new.get(name))
            for name in dict.fromkeys((*old, *new))
            if old.get(name) != new.get(name)
        ]
        if differ:
            raise CheckpointMismatch(
                "a run must go on with the options and the data that it began with",
                got="; ".join(differ),
                where=[part for part in (where, self.folder) if part],
                fix="Use these again, or another folder for a new run; nothing was overwritten.",
            )


class Part:
    """One training of a run, as the training loop sees it."""

    def __init__(self, run: Checkpoint, name: str) -> None:
        self._run, self._name = run, name

    @property
    def saved(self) -> Any:
        """What was saved last of a training that was not finished; None if nothing was."""
        return self._run._current.get(self._name)

    @property
    def done(self) -> Any:
        """What was saved at the end of this training; None if it was not finished."""
        return self._run._done.get(self._name)

    @property
    def stopped(self) -> bool:
        """Whether a signal asks to stop."""
        return self._run.halted()

    def due(self) -> bool:
        """Whether it is time to save."""
        return self._run.due()

    def watch(self, *, on: bool) -> None:
        """Say whether signals wait for the end of the step, which calls `due`."""
        self._run.interrupts.patient = on

    def save(self, state: Mapping[str, Any]) -> None:
        """Save where the training is."""
        self._run._current = {self._name: state}
        self._run.save()

    def finish(self, state: Mapping[str, Any]) -> None:
        """Save the end of the training."""
        self._run._current = {}
        self._run._done[self._name] = state
        self._run.save()


def describe(value: Any) -> str:
    """A setting as short text: plain values and option objects as they are written, all else as a digest."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (*_PLAIN, Optimizer)):
        return repr(value)
    if isinstance(value, (tuple, list)) and all(isinstance(v, _PLAIN) for v in value) and len(value) <= 20:
        return repr(list(value))
    if _short(value):
        return repr(value)
    return f"{_DIGEST}{fingerprint(value)[:16]}"


def _short(value: Any) -> bool:
    """Whether `value` is plain, or an option object of plain values."""
    if not is_dataclass(value) or isinstance(value, type):
        return isinstance(value, _PLAIN)
    return all(_short(getattr(value, f.name)) for f in fields(value))


def _difference(name: str, old: str | None, new: str | None) -> str:
    if old is not None and new is not None and old.startswith(_DIGEST) and new.startswith(_DIGEST):
        return f"{name} is not the same ({old}, now {new.removeprefix(_DIGEST)})"
    return f"{name} was {old or 'not there'}, now {new or 'not there'}"


def environment() -> dict[str, str]:
    """What the bits of a run depend on beside its settings."""
    there = native.available() is None
    return {
        "ostinato": __version__,
        "torch": str(torch.__version__),
        "NumPy": np.__version__,
        "ISA": native.engine() if there else "none",
        "threads": str(native.threads(torch.get_num_threads())),
    }


def _warn_of(old: Mapping[str, str], new: Mapping[str, str]) -> None:
    changed = [f"{name} {old.get(name, '?')} -> {new.get(name, '?')}" for name in new if old.get(name) != new[name]]
    if changed:
        warnings.warn(f"not bit-exact: {', '.join(changed)}", ResumeWarning, stacklevel=3)


def settings_of(
    stack: Stack,
    feed: Feed,
    *,
    objective: Objective,
    optimizer: Optimizer,
    sweep: Sweep,
    epochs: range,
    valid: Any = None,
    callbacks: Iterable[Callback] = (),
) -> dict[str, Any]:
    """What makes one call of `train` what it is; the arguments are those of `train`."""
    found: dict[str, Any] = {"seed": stack.noise.seed, "epochs": epochs.stop, "first epoch": epochs.start}
    for i, layer in enumerate(stack.layers, 1):
        found[f"layer {i}"] = repr(layer.part)
    frozen = [p for p in stack.parameters() if not p.requires_grad]
    found["weights"] = repr([tuple(p.shape) for p in stack.parameters()])
    if frozen:
        found["weights that are not trained"] = frozen
    if stack.precision != "float32":
        found["precision"] = stack.precision
    found["loss"] = objective
    found |= {f"optimizer {name}": value for name, value in _arguments(optimizer).items()}
    found["gradient"] = sweep
    found |= _data("data", feed) | {f"validation {name}": value for name, value in _data("data", valid).items()}
    for i, callback in enumerate((c for c in callbacks if c.lasting), 1):
        found |= {f"callback {i} {name}": value for name, value in _arguments(callback).items()}
    return found


def _data(name: str, value: Any) -> dict[str, Any]:
    """Plain options by their own names, everything else by a name that begins with `name`."""
    if not isinstance(value, (Feed, Order)) or not is_dataclass(value):
        return {name: value}
    found: dict[str, Any] = {}
    for f in fields(value):
        inner = getattr(value, f.name)
        found |= _data(f.name if isinstance(inner, _PLAIN) else f"{name}: {f.name}", inner)
    return found


def _arguments(thing: object) -> dict[str, Any]:
    """The class's name, and the plain attributes that have the names of constructor arguments."""
    own = vars(thing)
    named = inspect.signature(type(thing)).parameters
    found = {name: own[name] for name in own if name in named and isinstance(own[name], _PLAIN)}
    found.pop("verbose", None)
    if isinstance(thing, Optimizer):  # some of its arguments come through **kwargs
        remembered = ("iterations", "pending", "shown")
        found |= {name.strip("_"): v for name, v in own.items() if isinstance(v, _PLAIN) and name not in remembered}
        found["learning_rate"] = thing.schedule or thing.learning_rate
    return {"": type(thing).__qualname__, **found}
