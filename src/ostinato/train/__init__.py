"""The training loop and what belongs to it."""

from ostinato.train.batches import Arrays, Batch, Order, Samples
from ostinato.train.callbacks import Callback
from ostinato.train.checkpoint import ModelCheckpoint
from ostinato.train.diagnosis import Finding
from ostinato.train.exploding import ExplodingSteps
from ostinato.train.feeds import Batches, Cut, Feed, Piece
from ostinato.train.health import Health, LayerHealth, gradient_health
from ostinato.train.history import History
from ostinato.train.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from ostinato.train.loop import Objective, measure, predict, train
from ostinato.train.optimisers import OPTIMIZERS, SGD, Adam, AdamW, Optimizer, RMSprop
from ostinato.train.recording import CSVLogger, HistoryCallback, LambdaCallback, TerminateOnNaN
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
    "Cut",
    "EarlyStopping",
    "ExplodingSteps",
    "Feed",
    "Finding",
    "Health",
    "History",
    "HistoryCallback",
    "LambdaCallback",
    "LayerHealth",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "Objective",
    "Optimizer",
    "Order",
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
    "gradient_health",
    "measure",
    "predict",
    "train",
]
