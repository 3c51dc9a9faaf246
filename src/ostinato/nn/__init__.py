# ruff: noqa: E402 (what is missing is said before it is imported)
"""Drop-ins for `torch.nn.RNN`, `LSTM` and `GRU`: same constructor, outputs and state_dict, on ostinato's kernels."""

from ostinato._optional import require

require("torch", purpose="for ostinato.nn")

from ostinato.nn.gru import GRU
from ostinato.nn.lstm import LSTM
from ostinato.nn.rnn import RNN

__all__ = ["GRU", "LSTM", "RNN"]
