"""A run in child processes of one that has trained itself: `python children.py FOLDER METHOD`."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

import torch
from tests.unit.train_loop.places import Stop, digest, fit

KILLED = 77


def train(folder, step):
    """Train, and be gone before a step, as if killed; or leave the digest behind."""
    torch.set_num_threads(1)

    def be_gone():
        os._exit(KILLED)

    model, history = fit(folder, callbacks=[Stop(step, be_gone)])
    folder.with_suffix(".digest").write_text(digest(model, history))


def child(context, folder, step):
    """The exit code of a process that trains."""
    process = context.Process(target=train, args=(folder, step))
    process.start()
    process.join()
    return process.exitcode


def main(folder, method):
    context = multiprocessing.get_context(method)
    wanted = digest(*fit(folder / "parent"))
    assert child(context, folder / "whole", None) == 0
    assert (folder / "whole.digest").read_text() == wanted
    assert child(context, folder / "gone", 7) == KILLED
    assert child(context, folder / "gone", None) == 0
    assert (folder / "gone.digest").read_text() == wanted
    assert digest(*fit(folder / "again")) == wanted


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
