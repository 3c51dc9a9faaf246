"""Make models/VERSION: one small model file of each task, and what it answers. Run once a release: this file.

Later versions must read these files and give the same answers to 1e-6. A folder that exists is never made again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from tests.golden.models.answers import FOLDER, answers, continued
from tests.unit.runtime.bundle_samples import bundle
from tests.unit.runtime.generators import VOCABULARIES, generator, parts
from tests.unit.tasks.tiny import Training, Windows, quick, table

from ostinato.cells import CELLS
from ostinato.errors import ArgumentError
from ostinato.maps import MAPS, Part
from ostinato.maps.base import Shape
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.runtime import Forecaster, Generator, Network, generator_file, load
from ostinato.runtime import bundle as files
from ostinato.runtime.bundle import Bundle
from ostinato.runtime.decode import Sampling
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent
from ostinato.version import __version__

Made = Iterator[tuple[str, Bundle, Any]]
"""Name, model, question."""


def _cells() -> list[Part]:
    """Every cell, every start, both directions."""
    cells = [cell(3) for cell in CELLS.values()]
    runs: list[Part] = [
        Recurrent(cell, return_sequences=True, start="learned" if i % 2 else "zeros", reverse=i % 3 == 2)
        for i, cell in enumerate(cells)
    ]
    both = Bidirectional(Recurrent(CELLS["lstm"](2)), "sum")
    return [*runs, both, MAPS["dense"](2, activation="softmax")]


def _maps() -> tuple[list[Part], Shape]:
    """Every map but those of generators."""
    m = MAPS
    return [
        m["embedding"](7, 4, mask_zero=True), m["dropout"](0.5), m["conv1d"](4, 2, padding="causal"),
        m["layer_norm"](), m["attention"](query="self", use_scale=True), m["activation"]("tanh"),
        m["activity_penalty"](**{f.name: 0.5 for f in fields(m["activity_penalty"])}), m["max_pooling1d"](2),
        TimeDistributed(m["dense"](3, activation="relu")), m["masking"](0.0), m["global_average_pooling1d"](),
        m["repeat_vector"](4), m["global_max_pooling1d"](), m["reshape"]((3, 1)), m["flatten"](), m["dense"](2),
    ], (None,)  # fmt: skip


def models() -> Made:
    """One of each task, and more where a task has several kinds of content."""
    waves = np.sin(np.arange(36.0) * 0.7).reshape(2, 9, 2)
    yield "cells", bundle(_cells(), (None, 2)), waves.round(3).tolist()
    streams: list[Part] = [Recurrent(cell(3), return_sequences=True) for cell in CELLS.values()]
    made = bundle([*streams, MAPS["dense"](2)], (None, 2))
    fading = [{name: 0.5 * value for name, value in layer.items()} for layer in made.weights]  # or kernels drift apart
    yield "streams", replace(made, weights=fading), waves.round(3).tolist()
    ids = np.arange(18).reshape(2, 9) * 5 % 7
    yield "maps", bundle(*_maps()), ids.tolist()
    options = {"training": Training(epochs=2, members=2), "windows": Windows(log="yes", anchor="season")}
    history = {name: column.tolist() for name, column in table(40).items() if name != "ds"}
    history["ds"] = [str(day) for day in table(40)["ds"]]
    yield "forecast", quick(**options).fit(table()).to_bundle(), history
    questions = {"midi": None, "names": "the", "words of items": "the sea"}
    for name, vocabulary in VOCABULARIES.items():
        made = generator(vocabulary, parts(vocabulary.size, ("gru", "lstm"), tied=True))
        question = questions.get(name, "the rain")
        yield name.replace(" ", "_"), generator_file.to_bundle(made, version=__version__), question


def stream(model: Network | Forecaster | Generator) -> dict[str, Any]:
    """A snapshot of a stream that has begun, and what comes after it; nothing of what cannot stream."""
    try:
        begun = model.stream()
    except ArgumentError:  # it needs later steps or the whole past
        return {}
    if isinstance(model, Forecaster):
        begun = model.stream(series="north")
        begun.step(11.0)
    elif isinstance(model, Generator):
        begun.feed(list(begun.sample(length=5, sampling=Sampling(seed=2))))
    else:
        begun.run(np.ones((3, *model.input_shape[1:]), np.float32))
    blob = begun.snapshot()
    return {"snapshot": blob.hex(), "continued": continued(model, blob)}


def main(folder: Path) -> None:
    """Write the models and their answers."""
    folder.mkdir()
    kept = {}
    for name, made, question in models():
        path = folder / f"{name}.safetensors"
        files.save(path, made)
        kept[name] = {"question": question, "answers": answers(load(path), question), **stream(load(path))}
    (folder / "answers.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main(FOLDER / __version__)
