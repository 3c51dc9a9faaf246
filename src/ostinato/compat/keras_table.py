"""Which of Keras' names ostinato offers, and what stands behind each."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import Any, Unpack

from ostinato import layers, train
from ostinato.compat import keras_ops
from ostinato.compat.categories import to_categorical
from ostinato.compat.padding import pad_sequences
from ostinato.layers import keras_initialisers, regularisers
from ostinato.layers.keras_recurrent import Recurring
from ostinato.layers.seeds import set_random_seed
from ostinato.losses import named
from ostinato.models import figures
from ostinato.models.loading import load_model
from ostinato.models.sequential import Sequential
from ostinato.train import optimisers, schedules
from ostinato.version import __version__

Names = MappingProxyType[str, Any]


class GRU(layers.GRU):
    """The GRU that Keras means: `reset_after=True` unless it is told otherwise.

    Args:
        units: Size of h.
        activation: The nonlinearity of the candidate.
        recurrent_activation: The nonlinearity of the gates.
        use_bias: Whether there are biases.
        reset_after: False for the published GRU.
        options: See `Recurring`.
    """

    def __init__(
        self,
        units: int,
        activation: str | None = "tanh",
        recurrent_activation: str | None = "sigmoid",
        use_bias: bool = True,  # noqa: FBT001, FBT002
        *,
        reset_after: bool = True,
        **options: Unpack[Recurring],
    ) -> None:
        super().__init__(units, activation, recurrent_activation, use_bias=use_bias, reset_after=reset_after, **options)


def clear_session() -> None:
    """Nothing to clear: models keep no state outside themselves."""


def _all(module: Any, *more: str) -> dict[str, Any]:
    return {name: getattr(module, name) for name in (*module.__all__, *more)}


_LAYERS = {k: v for k, v in _all(layers).items() if k not in ("Layer", "Stack")} | {"GRU": GRU}
_CALLBACKS = {
    name: getattr(train, name)
    for name in (
        "CSVLogger",
        "Callback",
        "EarlyStopping",
        "LambdaCallback",
        "LearningRateScheduler",
        "ModelCheckpoint",
        "ReduceLROnPlateau",
        "TerminateOnNaN",
    )
} | {"History": train.HistoryCallback}
_OPTIMIZERS = {cls.__name__: cls for cls in optimisers.OPTIMIZERS.values()} | {"Optimizer": optimisers.Optimizer}
_SCHEDULES = {cls.__name__: cls for cls in schedules.SCHEDULES.values()} | {"LearningRateSchedule": schedules.Schedule}
_LOSSES: dict[str, Any] = {
    name: getattr(named, name)
    for name in (
        "BinaryCrossentropy",
        "CategoricalCrossentropy",
        "Hinge",
        "Huber",
        "KLDivergence",
        "LogCosh",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredError",
        "MeanSquaredLogarithmicError",
        "Poisson",
        "SparseCategoricalCrossentropy",
    )
}
_LOSSES |= dict(named.BY_NAME) | {alias: named.BY_NAME[full] for alias, full in named.ALIASES.items()}
_METRICS = {
    name: getattr(figures, name)
    for name in (
        "BinaryAccuracy",
        "CategoricalAccuracy",
        "Precision",
        "Recall",
        "RootMeanSquaredError",
        "SparseCategoricalAccuracy",
        "TopKCategoricalAccuracy",
    )
} | {
    "".join(word.capitalize() for word in loss.split("_")): partial(figures.from_loss, loss)
    for loss in ("mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "log_cosh", "poisson")
}
_INITIALIZERS: dict[str, Any] = {"Constant": keras_initialisers.Constant, "constant": keras_initialisers.Constant}
_INITIALIZERS |= {name: type(rule) for name, rule in keras_initialisers.BY_NAME.items()}
_REGULARIZERS = {
    "L1": regularisers.L1,
    "L2": regularisers.L2,
    "L1L2": regularisers.L1L2,
    "l1": regularisers.L1,
    "l2": regularisers.L2,
    "l1_l2": regularisers.L1L2,
}
_MODELS = {"Sequential": Sequential, "load_model": load_model}
_SEQUENCE = {"pad_sequences": pad_sequences}
_UTILS = {
    "clear_session": clear_session,
    "pad_sequences": pad_sequences,
    "set_random_seed": set_random_seed,
    "to_categorical": to_categorical,
}

_KERAS: dict[str, dict[str, Any]] = {
    "": {"Sequential": Sequential, "Input": layers.Input, "__version__": __version__},
    "layers": _LAYERS,
    "models": _MODELS,
    "callbacks": _CALLBACKS,
    "optimizers": _OPTIMIZERS,
    "optimizers.schedules": _SCHEDULES,
    "losses": _LOSSES,
    "metrics": _METRICS,
    "initializers": _INITIALIZERS,
    "regularizers": _REGULARIZERS,
    "utils": _UTILS,
    "backend": {**keras_ops.KERAS, "epsilon": keras_ops.epsilon, "clear_session": clear_session},
    "ops": dict(keras_ops.KERAS),
    "saving": {"load_model": load_model},
    "preprocessing": {},
    "preprocessing.sequence": _SEQUENCE,
}


def _modules() -> dict[str, Names]:
    found: dict[str, Names] = {}
    for top in ("keras", "tensorflow.keras"):
        for name, names in _KERAS.items():
            found[f"{top}.{name}".rstrip(".")] = MappingProxyType(names)
    found["tensorflow"] = MappingProxyType({"__version__": __version__, **keras_ops.TENSORFLOW, **keras_ops.TYPES})
    found["tensorflow.math"] = keras_ops.TENSORFLOW
    found["tensorflow.random"] = MappingProxyType({"set_seed": set_random_seed})
    return found


MODULES = MappingProxyType(_modules())
"""Names by module, as scripts import them."""
