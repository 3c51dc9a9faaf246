"""A saved run of `Sequential.fit`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ostinato import train
from ostinato.layers.stack import Stack
from ostinato.train.resume import settings_of
from ostinato.train.sweeps import Whole

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
) -> Iterator[train.Part | None]:
    """Where the training in the block is saved; None if there is no folder.

    Args:
        model: The model.
        feed: Its training data.
        told: What the loop is told beside that.
        callbacks: Those of the user.
        folder: Where to save.
        every: Seconds between two saves.

    Raises:
        Terminated: SIGTERM ended the training.
    """
    if folder is None:
        yield None
        return
    given = {**told, "callbacks": callbacks}
    with train.Checkpoint(folder, settings_of(model, feed, sweep=Whole(), **given), every=every) as run:
        yield run.part(_PART)
        run.stopped()
