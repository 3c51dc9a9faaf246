"""The learning rate as a function of the step, one a file; names and arguments are Keras' where it has them."""

from ostinato.train.schedules.base import Schedule
from ostinato.train.schedules.cosine_decay import CosineDecay
from ostinato.train.schedules.exponential_decay import ExponentialDecay
from ostinato.train.schedules.inverse_time_decay import InverseTimeDecay
from ostinato.train.schedules.named import SCHEDULES, from_settings, to_settings
from ostinato.train.schedules.one_cycle import OneCycle
from ostinato.train.schedules.piecewise_constant_decay import PiecewiseConstantDecay
from ostinato.train.schedules.polynomial_decay import PolynomialDecay
from ostinato.train.schedules.warm_up import WarmUp

__all__ = [
    "SCHEDULES",
    "CosineDecay",
    "ExponentialDecay",
    "InverseTimeDecay",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "Schedule",
    "WarmUp",
    "from_settings",
    "to_settings",
]
