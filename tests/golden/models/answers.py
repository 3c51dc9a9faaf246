"""What saved models answer, and whether it is what they answered when they were saved. Needs neither torch nor pytest.

python tests/golden/models/answers.py        compares every kept model, prints one line each
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.runtime import Forecaster, Generator, Network, load
from ostinato.runtime.decode import Sampling

FOLDER = Path(__file__).parent
RELEASES = sorted(path.parent for path in FOLDER.glob("*/answers.json"))
"""One folder for each release that wrote models; none is ever made again."""

CLOSE = 1e-6
"""Largest difference, against the largest answer."""

Answers = dict[str, Any]


def answers(model: Network | Forecaster | Generator, question: Any) -> Answers:
    """Numbers and texts by name, as JSON holds them.

    Args:
        model: From `load`.
        question: A batch of inputs for a network, columns for a forecaster, a text or None (an item's start, or the
            opening) for a generator.
    """
    if isinstance(model, Network):
        return {"outputs": model.predict(np.array(question)).tolist()}
    if isinstance(model, Forecaster):
        found = {"known": model.predict(), "given": model.predict(question)}
        return {
            f"{key} {name}": [str(v) if table[name].dtype.kind in "OUM" else v for v in table[name].tolist()]
            for key, table in found.items()
            for name in table.columns
        }
    how = {"greedy": Sampling(temperature=0.0), "drawn": Sampling(seed=1)}
    texts = {name: model.generate(question or "", length=40, sampling=one) for name, one in how.items()}
    shown = {name: text.hex() if isinstance(text, bytes) else text for name, text in texts.items()}
    return shown | ({"log probability": model.log_probability(question)} if question else {})


def continued(model: Network | Forecaster | Generator, blob: bytes | None) -> Answers:
    """What a stream says that goes on from a snapshot, or starts."""
    if isinstance(model, Network):
        return {"outputs": model.stream(blob).run(np.ones((3, *model.input_shape[1:]), np.float32)).tolist()}
    if isinstance(model, Forecaster):
        stream = model.stream(blob) if blob else model.stream(series="north")
        ahead = stream.step(11.0)
        return {"series": stream.series, "quantiles": ahead and ahead.quantiles.tolist()}
    begun = model.stream(blob)
    symbols = list(begun.sample(length=40, sampling=Sampling(seed=1)))
    return {"probabilities": np.exp(begun.log_probabilities()).tolist(), "symbols": symbols}


def differences(found: Answers, wanted: Answers) -> list[str]:
    """What differs, as sentences."""
    if found.keys() != wanted.keys():
        return [f"answers {sorted(found)} instead of {sorted(wanted)}"]
    return [name for name, value in wanted.items() if not _close(found[name], value)]


def _close(found: Any, wanted: Any) -> bool:
    one, other = np.asarray(found), np.asarray(wanted)
    if one.shape != other.shape or one.dtype.kind not in "iuf" or other.dtype.kind not in "iuf":
        return bool(found == wanted)
    return bool(np.abs(one - other).max(initial=0.0) <= CLOSE * max(1.0, np.abs(other).max(initial=0.0)))


def check(release: Path) -> list[str]:
    """Every difference of every model of a release."""
    wrong = []
    for name, kept in json.loads((release / "answers.json").read_text("utf-8")).items():
        found = answers(load(release / f"{name}.safetensors"), kept["question"])
        wrong += [f"{release.name}/{name}: {what}" for what in differences(found, kept["answers"])]
        if "snapshot" in kept:
            found = continued(load(release / f"{name}.safetensors"), bytes.fromhex(kept["snapshot"]))
            wrong += [f"{release.name}/{name}, its stream: {what}" for what in differences(found, kept["continued"])]
    return wrong


if __name__ == "__main__":
    faults = [fault for release in RELEASES for fault in check(release)]
    print("\n".join(faults) or f"models of {', '.join(r.name for r in RELEASES)}: the same answers")
    sys.exit(bool(faults) or not RELEASES)
