"""The training loop and what belongs to it."""

from ostinato.train.batches import Arrays, Batch, Order, Samples
from ostinato.train.callbacks import Callback
from ostinato.train.checkpoint import ModelCheckpoint
from ostinato.train.feeds import Batches, Cut, Feed, Piece
from ostinato.train.history import History
from ostinato.train.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from ostinato.train.loop import Objective, measure, predict, train
from ostinato.train.optimisers import OPTIMIZERS, SGD, Adam, AdamW, Optimizer, RMSprop
from ostinato.train.recording import CSVLogger, HistoryCallback, LambdaCallback, TerminateOnNaN
from ostinato.train.resume import Checkpoint, Part
from ostinato.train.stopping import EarlyStopping
from ostinato.train.streams import Streams
from ostinato.train.sweeps import Sweep, Tail, Whole, Windowed
from ostinato.train.truncated import course

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "Arrays",
    "Batch",
    "Batches",
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "Cut",
    "EarlyStopping",
    "Feed",
    "History",
    "HistoryCallback",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "Objective",
    "Optimizer",
    "Order",
    "Part",
    "Piece",
    "RMSprop",
    "ReduceLROnPlateau",
    "Samples",
    "Streams",
    "Sweep",
    "Tail",
    "TerminateOnNaN",
    "Whole",
    "Windowed",
    "course",
    "measure",
    "predict",
    "train",
]
