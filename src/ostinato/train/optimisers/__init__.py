"""Optimisers on flat weights, with Keras' argument names; one file each."""

from ostinato.train.optimisers._first_order import Clips, FirstOrder, Limits
from ostinato.train.optimisers.adam import Adam
from ostinato.train.optimisers.adamw import AdamW
from ostinato.train.optimisers.base import Averages, Optimizer
from ostinato.train.optimisers.hessian_free import HessianFree
from ostinato.train.optimisers.lbfgs import LBFGS
from ostinato.train.optimisers.named import OPTIMIZERS, optimizer
from ostinato.train.optimisers.rmsprop import RMSprop
from ostinato.train.optimisers.sgd import SGD

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "Averages",
    "Clips",
    "FirstOrder",
    "HessianFree",
    "Limits",
    "Optimizer",
    "RMSprop",
    "optimizer",
]
