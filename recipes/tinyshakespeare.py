"""tinyshakespeare: nats a character over the whole validation part, states carried, as published figures count them.

The first 1,003,854 characters are learned from, the last 111,540 are the validation part. Published: minGRU 1.548,
minLSTM 1.555 (Feng et al. 2024, "Were RNNs all we needed?"), nanoGPT 1.4697, its small CPU configuration 1.88. There is
no test part.

    OSTINATO_DATA=folder python recipes/tinyshakespeare.py [seed ...]

One network a seed; last, what they say together, with the mean of their probabilities.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostinato import Generate
from ostinato.data.inputs import Texts
from ostinato.runtime.generator import Generator
from ostinato.tasks.generating.network import Network
from ostinato.tasks.training import Training

SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
"""Of the text, unpacked."""


VALIDATION = 111_540
"""Characters at the end that are measured."""


def text() -> str:
    """The data, from the folder OSTINATO_DATA."""
    path = Path(os.environ.get("OSTINATO_DATA", ".")) / "tinyshakespeare" / "input.txt.gz"
    if not path.exists():
        raise SystemExit(f"{path} is not there: set OSTINATO_DATA to a folder that holds tinyshakespeare/input.txt.gz")
    data = gzip.decompress(path.read_bytes())
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise SystemExit(f"{path} is another text: its SHA-256 is {hashlib.sha256(data).hexdigest()}")
    return data.decode("utf-8")


def run(seed: int) -> NDArray[np.float64]:
    """Train once; nats of each character of the validation part."""
    began = time.monotonic()
    model = Generate(
        units=512,
        network=Network(dropout=0.25, weight_drop=0.25),
        training=Training(
            epochs=12, patience=12, learning_rate=3e-3, batch_size=32, bptt=128, schedule="cosine", seed=seed
        ),
    ).fit(Texts((text(),), stream=True), verbose=2)
    print(f"seed {seed}: {time.monotonic() - began:.0f} s")
    print(model.summary())
    model.save(f"tinyshakespeare-{seed}.safetensors")
    model.report(f"tinyshakespeare-{seed}.html", command=" ".join(["python", *sys.argv]))
    return measured(model.generator_)


def measured(generator: Generator) -> NDArray[np.float64]:
    """Nats of each character of the validation part, after the last one of the training part."""
    return generator.surprise(generator.ids(text()[-VALIDATION:]), fresh=False)


def main() -> None:
    """Train with each seed; print mean and spread, and what all say together, beside the published figures."""
    seeds = [int(a) for a in sys.argv[1:]] or [0, 1, 2]
    nats = np.stack([run(seed) for seed in seeds])
    each = nats.mean(axis=1)
    spread = f" ± {each.std(ddof=1):.4f}" if len(seeds) > 1 else ""
    print(f"\nostinato LSTM(512), seeds {seeds}, nats a character")
    print(f"{each.mean():.4f}{spread}")
    if len(seeds) > 1:
        print(f"{-np.log(np.exp(-nats).mean(axis=0)).mean():.4f} together")
    print("minGRU 1.548, minLSTM 1.555, nanoGPT 1.4697 (published, one network each)")


if __name__ == "__main__":
    main()
