"""tinyshakespeare: nats a character over the whole validation part, states carried, as published figures count them.

The first 1,003,854 characters are learned from, the last 111,540 are the validation part. Published: minGRU 1.548,
minLSTM 1.555 (Feng et al. 2024, "Were RNNs all we needed?"), nanoGPT 1.4697, its small CPU configuration 1.88. There is
no test part.

    OSTINATO_DATA=folder python recipes/tinyshakespeare.py [--long] [seed ...]

With --long it trains twice as long, with more dropout.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

from ostinato import Generate
from ostinato.data.inputs import Texts
from ostinato.tasks.generating.network import Network
from ostinato.tasks.training import Training

SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
"""Of the text, unpacked."""


class Course(NamedTuple):
    """How long to train, and how much to drop."""

    epochs: int
    dropout: float


SHORT, LONG = Course(12, 0.25), Course(24, 0.35)


def text() -> str:
    """The data, from the folder OSTINATO_DATA."""
    path = Path(os.environ.get("OSTINATO_DATA", ".")) / "tinyshakespeare" / "input.txt.gz"
    if not path.exists():
        raise SystemExit(f"{path} is not there: set OSTINATO_DATA to a folder that holds tinyshakespeare/input.txt.gz")
    data = gzip.decompress(path.read_bytes())
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise SystemExit(f"{path} is another text: its SHA-256 is {hashlib.sha256(data).hexdigest()}")
    return data.decode("utf-8")


def run(seed: int, course: Course) -> float:
    """Train once; nats a character."""
    began = time.monotonic()
    model = Generate(
        units=512,
        network=Network(dropout=course.dropout, weight_drop=course.dropout),
        training=Training(
            epochs=course.epochs,
            patience=course.epochs,
            learning_rate=3e-3,
            batch_size=32,
            bptt=128,
            schedule="cosine",
            seed=seed,
        ),
    ).fit(Texts((text(),), stream=True), verbose=2)
    scores = model.evaluation_.scores
    print(f"seed {seed}: {time.monotonic() - began:.0f} s")
    print(model.summary())
    name = f"tinyshakespeare{'-long' if course is LONG else ''}-{seed}"
    model.save(f"{name}.safetensors")
    model.report(f"{name}.html", command=" ".join(["python", *sys.argv]))
    return float(scores[0].nats)


def main() -> None:
    """Train with each seed, and print mean and spread beside the published figures."""
    course = LONG if "--long" in sys.argv[1:] else SHORT
    seeds = [int(a) for a in sys.argv[1:] if a != "--long"] or [0, 1, 2]
    found = [run(seed, course) for seed in seeds]
    spread = f" ± {statistics.stdev(found):.4f}" if len(found) > 1 else ""
    print(f"\nostinato LSTM(512), {course.epochs} epochs, seeds {seeds}")
    print(f"{statistics.fmean(found):.4f}{spread} nats a character")
    print("minGRU 1.548, minLSTM 1.555, nanoGPT 1.4697 (published)")


if __name__ == "__main__":
    main()
