"""The training loop and what belongs to it."""

from ostinato.train.batches import Arrays, Batch, Order, Samples
from ostinato.train.callbacks import Callback
from ostinato.train.history import History
from ostinato.train.loop import Objective, measure, predict, train
from ostinato.train.optimisers import OPTIMIZERS, SGD, Adam, AdamW, Optimizer, RMSprop
from ostinato.train.stopping import EarlyStopping

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "Arrays",
    "Batch",
    "Callback",
    "EarlyStopping",
    "History",
    "Objective",
    "Optimizer",
    "Order",
    "RMSprop",
    "Samples",
    "measure",
    "predict",
    "train",
]
