"""Everything that the rest of a training depends on, taken between two steps, and put back."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.layers.stack import Stack
from ostinato.train.callbacks import Callback
from ostinato.train.flat import Flat
from ostinato.train.history import History
from ostinato.train.optimisers import Optimizer
from ostinato.train.sweeps import States


@dataclass
class Standing:
    """Where a training is.

    Args:
        epoch: Number of the epoch.
        step: How many of its steps are done.
        carried: Each layer's states at the end of the last piece.
        totals: The epoch's running sums.
        logs: The last figures.
    """

    epoch: int
    step: int = 0
    carried: States = ()
    totals: dict[str, list[float]] = field(default_factory=dict)
    logs: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Scene:
    """The things that a training changes.

    Args:
        stack: The model.
        flat: Its weights.
        good: The weights after the last epoch.
        optimizer: What changes the weights.
        callbacks: All of them, in order.
        history: Figures by epoch.
    """

    stack: Stack
    flat: Flat
    good: Tensor
    optimizer: Optimizer
    callbacks: list[Callback]
    history: History

    def take(self, at: Standing) -> dict[str, Any]:
        """The state as plain values and tensors; nothing is copied yet."""
        return {
            "epoch": at.epoch,
            "step": at.step,
            "carried": [list(state) for state in at.carried],
            "totals": at.totals,
            "logs": at.logs,
            "weights": self.flat.data,
            "good": self.good,
            "optimizer": self.optimizer.state(),
            "callbacks": [callback.state() for callback in self.callbacks if callback.lasting],
            "history": {"epoch": self.history.epoch, "history": self.history.history},
            "stop": self.stack.stop_training,
            "calls": self.stack.noise.calls,
            "kept": [list(layer.kept) for layer in self.stack.layers],  # type: ignore[arg-type]
            "random": _generators(),
        }

    def put(self, saved: Mapping[str, Any]) -> Standing:
        """Bring back what `take` gave."""
        self.flat.restore(saved["weights"])
        self.good.copy_(saved["good"])
        self.optimizer.load_state(saved["optimizer"])
        lasting = [callback for callback in self.callbacks if callback.lasting]
        for callback, state in zip(lasting, saved["callbacks"], strict=True):
            callback.load_state(state)
        if saved["step"]:  # an epoch that is not over yet, of which the others have not heard
            for callback in self.callbacks:
                if not callback.lasting:
                    callback.on_epoch_begin(saved["epoch"], {})
        self.history.epoch[:] = saved["history"]["epoch"]
        self.history.history.clear()
        self.history.history.update({name: list(values) for name, values in saved["history"]["history"].items()})
        self.stack.stop_training = saved["stop"]
        self.stack.noise.calls = saved["calls"]
        for layer, states in zip(self.stack.layers, saved["kept"], strict=True):
            layer.kept = tuple(states)  # type: ignore[assignment]
        _restore_generators(saved["random"])
        return Standing(
            saved["epoch"],
            saved["step"],
            tuple(tuple(state) for state in saved["carried"]),
            {name: list(total) for name, total in saved["totals"].items()},
            dict(saved["logs"]),
        )


def _generators() -> dict[str, Any]:
    """The states of the generators that a user's own code may draw from."""
    version, numbers, gauss = random.getstate()
    legacy: Any = np.random.get_state()
    kind, keys, position, has_gauss, cached = legacy
    return {
        "torch": torch.get_rng_state(),
        "cuda": list(torch.cuda.get_rng_state_all()) if torch.cuda.is_available() else [],
        "numpy": [kind, np.asarray(keys, np.int64), int(position), int(has_gauss), float(cached)],
        "python": [version, np.array(numbers, np.int64), gauss],
    }


def _restore_generators(saved: Mapping[str, Any]) -> None:
    torch.set_rng_state(saved["torch"])
    if torch.cuda.is_available() and len(saved["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(saved["cuda"])
    kind, keys, position, has_gauss, cached = saved["numpy"]
    np.random.set_state((kind, keys.astype(np.uint32), position, has_gauss, cached))
    version, numbers, gauss = saved["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
