# ruff: noqa: E402 (what is missing is said before it is imported)
"""Layers with weights: torch modules around the formulas of `cells`, `maps` and `scans`."""

from ostinato._optional import require

require("torch", purpose="for ostinato.layers")

from ostinato.layers.keras_input import Input, InputLayer
from ostinato.layers.keras_maps import (
    Activation,
    ActivityPenalty,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    LayerNormalization,
    Masking,
    RepeatVector,
    Reshape,
    SpatialDropout1D,
)
from ostinato.layers.keras_recurrent import GRU, LSTM, RNN, SimpleRNN
from ostinato.layers.keras_sequence import Attention, Conv1D, GlobalAveragePooling1D, GlobalMaxPooling1D, MaxPooling1D
from ostinato.layers.keras_wrappers import Bidirectional, TimeDistributed
from ostinato.layers.module import Layer
from ostinato.layers.stack import Stack

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "ActivityPenalty",
    "Attention",
    "Bidirectional",
    "Conv1D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "Masking",
    "MaxPooling1D",
    "RepeatVector",
    "Reshape",
    "SimpleRNN",
    "SpatialDropout1D",
    "Stack",
    "TimeDistributed",
]
