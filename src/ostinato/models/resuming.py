"""The run of `Sequential.fit`: where it is saved, and the processes that share it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ostinato import train
from ostinato.errors import ArgumentError
from ostinato.layers.stack import Stack
from ostinato.train.distributed import Team, team
from ostinato.train.resume import describe, settings_of

_PART = "model"


@contextmanager
def saved_run(
    model: Stack,
    feed: train.Feed,
    told: Mapping[str, Any],
    callbacks: Sequence[train.Callback],
    *,
    folder: str | os.PathLike[str] | None,
    every: float,
    team: Team | None,
) -> Iterator[train.Part | None]:
    """Where the training in the block is saved; None if there is no folder.

    Args:
        model: The model.
        feed: Its training data.
        told: What the loop is told beside that.
        callbacks: Those of the user.
        folder: Where to save.
        every: Seconds between two saves.
        team: The processes that train together; None for this one alone.

    Raises:
        ArgumentError: They do not have the same options, data or seed.
        Terminated: SIGTERM ended the training.
    """
    settings: dict[str, Any] = {}
    if folder is not None or team is not None:
        settings = settings_of(model, feed, **{**told, "callbacks": callbacks})
    if team is not None:
        team.agree({name: describe(value) for name, value in settings.items()})
    if folder is None:
        yield None
    else:
        with train.Checkpoint(folder, settings, every=every, team=team) as run:
            yield run.part(_PART)
            run.halted()
            run.stopped()
    if team is not None:
        team.wait()


def joined(*, stateful: bool, windows: bool) -> Team | None:
    """The processes that train together; None if this one is alone.

    Raises:
        ArgumentError: States of stateful layers can neither be shared out nor be carried by windows, too.
    """
    found = team()
    for wrong, what in ((windows, "windows along time"), (found is not None, "several processes")):
        if stateful and wrong:
            raise ArgumentError(
                "a stateful model must train in one process and without bptt, since it carries its states itself",
                got=what,
                fix="Build the model with stateful=False, or leave that out.",
            )
    return found


def refuse_together(method: str) -> None:
    """Raise `ArgumentError` if this process is one of several, each of which would train a model of its own."""
    if team() is not None:
        raise ArgumentError(
            f"{method} must be called in one process, since each would train its own model",
            got="one of several that torchrun started",
            fix="Use fit(), in which they train together.",
        )
