"""What a network alone does not say: how its input is made from data, what its output means; JSON in the file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ostinato.convert.onnx.network import Carried, X, Y
from ostinato.data.vocabularies import VOCABULARIES
from ostinato.runtime import Forecaster, Generator, Network
from ostinato.runtime.forecaster import quantile_grid

KEY = "ostinato"
"""The name of this text in a model's metadata."""


def describe(model: Network | Forecaster | Generator, states: Sequence[Carried] = ()) -> dict[str, str]:
    """The metadata of a model: one JSON object."""
    if isinstance(model, Forecaster):
        about = _forecaster(model)
    elif isinstance(model, Generator):
        about = _generator(model)
    else:
        about = {"task": "sequential", "around_it": "nothing: x is what the model was trained on"}
    if states:
        about["states"] = [
            {"input": s.before, "output": s.after, "start": s.start.tolist() if s.start.any() else "zeros"}
            for s in states
        ]
    return {KEY: json.dumps(about, ensure_ascii=False)}


def outside(model: Network | Forecaster | Generator) -> str:
    """What has to be done around the network, in one sentence for a person."""
    if isinstance(model, Forecaster):
        members = f"the mean of its {len(model.members)} networks, " if len(model.members) > 1 else ""
        return (
            f"the file holds the network ({members}quantiles sorted and widened), not the forecast: the anchor "
            f"{model.framing.anchor!r}, {'logarithms, ' if model.framing.log else ''}the unit of each series and times "
            f"are in its metadata {KEY!r} and must be computed around it"
        )
    if isinstance(model, Generator):
        return (
            f"the file holds the network from ids to scores, not the reading and drawing of symbols: the vocabulary is "
            f"in its metadata {KEY!r}; softmax of the scores gives probabilities"
        )
    return "the file holds the whole model"


def _forecaster(model: Forecaster) -> dict[str, Any]:
    return {
        "task": "forecast",
        "input": f"{X} [batch, length, 1]: the last `length` values of a series, after log if `log`, minus the anchor, "
        "over the series' unit",
        "output": f"{Y} [batch, horizon, quantiles], rising; forecast = anchor + {Y} · unit, then exp if `log`",
        "framing": asdict(model.framing),
        "anchors": "see Framing in ostinato.data.framing",
        "members": len(model.members),
        "quantiles": quantile_grid(model.level),
        "columns": model.columns(),
        "freq": model.reading.freq,
        "units": dict(zip(model.known.ids, np.asarray(model.known.spreads).tolist(), strict=True)),
    }


def _generator(model: Generator) -> dict[str, Any]:
    vocabulary = model.vocabulary
    stored = vocabulary.store()
    return {
        "task": "generate",
        "input": f"{X}: ids of symbols, beginning with `first`",
        "output": f"{Y}: a score for each next symbol; softmax gives probabilities",
        "first": model.first,
        "end": vocabulary.end_id,
        "vocabulary": {
            "kind": next(key for key, cls in VOCABULARIES.items() if type(vocabulary) is cls),
            "size": vocabulary.size,
            "specials": list(vocabulary.specials),
            "settings": stored.settings,
            "tensors": {name: array.tolist() for name, array in stored.tensors.items()},
        },
    }
