"""The training loop and what belongs to it."""

from ostinato.train.batches import Arrays, Batch, Order, Samples
from ostinato.train.callbacks import Callback
from ostinato.train.checkpoint import ModelCheckpoint
from ostinato.train.closure import Closure
from ostinato.train.diagnosis import Finding
from ostinato.train.exploding import ExplodingSteps
from ostinato.train.feeds import Batches, Cut, Feed, Piece
from ostinato.train.health import Health, LayerHealth, gradient_health
from ostinato.train.history import History
from ostinato.train.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from ostinato.train.loop import Objective, measure, predict, train
from ostinato.train.optimisers import LBFGS, OPTIMIZERS, SGD, Adam, AdamW, HessianFree, Optimizer, RMSprop
from ostinato.train.range_test import RangeTest, lr_find
from ostinato.train.recording import CSVLogger, HistoryCallback, LambdaCallback, TerminateOnNaN
from ostinato.train.resume import Checkpoint, Part
from ostinato.train.schedules import (
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
    Schedule,
    WarmUp,
)
from ostinato.train.stopping import EarlyStopping
from ostinato.train.streams import Streams
from ostinato.train.sweeps import Sweep, Tail, Whole, Windowed
from ostinato.train.truncated import course

__all__ = [
    "LBFGS",
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
    "Closure",
    "CosineDecay",
    "Cut",
    "EarlyStopping",
    "ExplodingSteps",
    "ExponentialDecay",
    "Feed",
    "Finding",
    "Health",
    "HessianFree",
    "History",
    "HistoryCallback",
    "InverseTimeDecay",
    "LambdaCallback",
    "LayerHealth",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "Objective",
    "OneCycle",
    "Optimizer",
    "Order",
    "Part",
    "Piece",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "RMSprop",
    "RangeTest",
    "ReduceLROnPlateau",
    "Samples",
    "Schedule",
    "Streams",
    "Sweep",
    "Tail",
    "TerminateOnNaN",
    "WarmUp",
    "Whole",
    "Windowed",
    "course",
    "gradient_health",
    "lr_find",
    "measure",
    "predict",
    "train",
]
