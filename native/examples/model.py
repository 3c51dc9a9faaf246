"""Writes a small random network as C source and as a model file: python native/examples/model.py model.h FILE."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ostinato.cells.lstm import LSTM
from ostinato.convert.c_source import c_source
from ostinato.maps.dense import Dense
from ostinato.runtime import Network, bundle
from ostinato.runtime.machine import expected
from ostinato.runtime.sequential_file import Named, to_bundle
from ostinato.scans.recurrent import Recurrent

parts, rng = (Recurrent(LSTM(8), return_sequences=True), Dense(1, "tanh")), np.random.default_rng(0)
weights = [
    {name: rng.normal(0.0, 0.5, w.shape).astype(np.float32) for name, w in needed.items()}
    for needed in expected(parts, (None, 2))
]
Path(sys.argv[1]).write_text(c_source(Network(parts, weights, (None, 2))), "utf-8")
layers = [Named(*one) for one in zip(("memory", "out"), parts, weights, strict=True)]
bundle.save(sys.argv[2], to_bundle(layers, (None, 2), name="example"))
