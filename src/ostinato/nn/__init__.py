"""Drop-ins for `torch.nn.RNN`, `LSTM` and `GRU`: same constructor, outputs and state_dict, on ostinato's kernels."""

from ostinato.nn.gru import GRU
from ostinato.nn.lstm import LSTM
from ostinato.nn.rnn import RNN

__all__ = ["GRU", "LSTM", "RNN"]
