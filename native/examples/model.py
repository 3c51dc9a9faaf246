"""Writes a small network with random weights as model.h: python native/examples/model.py model.h."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ostinato.cells.lstm import LSTM
from ostinato.convert.c_source import c_source
from ostinato.maps.dense import Dense
from ostinato.runtime import Network
from ostinato.runtime.machine import expected
from ostinato.scans.recurrent import Recurrent

parts, rng = (Recurrent(LSTM(8), return_sequences=True), Dense(1, "tanh")), np.random.default_rng(0)
weights = [
    {name: rng.normal(0.0, 0.5, w.shape).astype(np.float32) for name, w in needed.items()}
    for needed in expected(parts, (None, 2))
]
Path(sys.argv[1]).write_text(c_source(Network(parts, weights, (None, 2))), "utf-8")
