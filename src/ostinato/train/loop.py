"""The training loop, and the same loop without training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from ostinato.errors import ArgumentError, NonFiniteLoss
from ostinato.layers.stack import Stack
from ostinato.train.batches import Batch, Order, Samples
from ostinato.train.callbacks import Callback, Callbacks
from ostinato.train.closure import Closure
from ostinato.train.flat import Flat
from ostinato.train.history import History
from ostinato.train.optimisers import Optimizer

Loss = Callable[[Tensor, Batch, Tensor | None], tuple[Tensor, float]]
"""(output, batch, mask of the output) -> (mean loss, total weight of the batch)."""

Metric = Callable[[Tensor, Batch, Tensor | None], tuple[float, float]]
"""Likewise, to (sum, total weight); an epoch's figure is the quotient of the totals."""


class Objective(NamedTuple):
    """What is minimised and what is measured.

    Args:
        loss: See `Loss`.
        metrics: Figures by name.
        penalty: Added to the loss of each step, for regularised weights; None for none.
        finish: What an epoch's quotient becomes, by metric name (a square root for the RMSE); unchanged by default.
        curvature: A loss with the second derivative that Hessian-free uses; None for that of `loss`.
    """

    loss: Loss
    metrics: Mapping[str, Metric] = {}
    penalty: Callable[[], Tensor] | None = None
    finish: Mapping[str, Callable[[float], float]] = {}
    curvature: Loss | None = None


class Running:
    """Weighted means over an epoch."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.totals = {name: [0.0, 0.0] for name in ("loss", *objective.metrics)}

    def add(self, loss: float, weight: float, y: Tensor, batch: Batch, mask: Tensor | None) -> None:
        """Count one batch."""
        total = self.totals["loss"]
        total[0] += loss * weight
        total[1] += weight
        if self.objective.metrics:
            y = y.detach()
            for name, metric in self.objective.metrics.items():
                value, count = metric(y, batch, mask)
                total = self.totals[name]
                total[0] += value
                total[1] += count

    def means(self) -> dict[str, float]:
        """The means so far."""
        means = {name: value / weight if weight else 0.0 for name, (value, weight) in self.totals.items()}
        for name, finish in self.objective.finish.items():
            means[name] = finish(means[name])
        return means


def train(
    stack: Stack,
    samples: Samples,
    *,
    objective: Objective,
    optimizer: Optimizer,
    order: Order,
    epochs: range,
    valid: Samples | None = None,
    valid_every: int = 1,
    callbacks: Iterable[Callback] = (),
    history: History | None = None,
) -> History:
    """Minimise the loss over `samples`.

    Dropout noise and data order follow from (seed, step) and (seed, epoch). Calling it again with a later range of
    epochs continues where the last call ended, given the same optimiser.

    Args:
        stack: A built stack; its weights are changed in place.
        samples: Training data.
        objective: Loss and metrics.
        optimizer: Remembers its running means between calls.
        order: Seed, batch size, shuffling.
        epochs: Numbers of the epochs.
        valid: Data that is only measured, after each epoch.
        valid_every: Measure it after every so many epochs only.
        callbacks: See `Callback`; `stack.stop_training` ends training after an epoch.
        history: Filled as training goes, so that it survives an error; a new one by default.

    Returns:
        The history, figures by epoch.

    Raises:
        ArgumentError: A callback moved the weights, so that steps would not reach them.
        NonFiniteLoss: The loss or a weight is NaN or infinite; the weights of the last good epoch are back, and the
            optimiser has forgotten its running means, which may hold NaN too.
    """
    flat = Flat(stack.parameters())
    optimizer.bind(flat)
    history = History() if history is None else history
    steps = order.steps(len(samples))
    hooks = Callbacks(callbacks, stack, {"epochs": epochs.stop, "steps": steps, "verbose": 0})
    stack.stop_training = False
    good = flat.copy()
    logs: dict[str, float] = {}
    for call in hooks.train_begin:
        call(logs)
    for epoch in epochs:
        for call in hooks.epoch_begin:
            call(epoch, {})
        optimizer.resume(flat)
        running = Running(objective)
        stack.train()
        for number, index in enumerate(order.epoch(len(samples), epoch)):
            for call in hooks.batch_begin:
                call(number, {})
            batch = samples.batch(index)
            stack.noise.step = epoch * steps + number
            y, mask, _ = stack.run(batch.x, mask=batch.mask)
            loss, weight = objective.loss(y, batch, mask)
            if objective.penalty is not None:
                loss = loss + objective.penalty()
            loss.backward()  # type: ignore[no-untyped-call]
            value = loss.item()
            if not math.isfinite(value):
                _stop(stack, flat, optimizer, good, batch, at=(epoch, number, index), value=value)
            optimizer.step(flat, _closure(stack, flat, objective, batch) if optimizer.closures else None)
            running.add(value, weight, y, batch, mask)
            if hooks.batch_end:
                logs = running.means()
                for call in hooks.batch_end:
                    call(number, logs)
        stack.eval()
        if not flat.intact():
            raise ArgumentError(
                "weights must stay where they are while they are trained",
                got="weights that something moved",
                where=f"epoch {epoch + 1}",
                fix="Do not train another model of the same layers, or convert this one, in a callback.",
            )
        if not flat.finite():
            _stop(stack, flat, optimizer, good, batch, at=(epoch, number, index), value=math.nan)
        optimizer.finalize(flat)
        good.copy_(flat.data)
        logs = running.means()
        if valid is not None and (epoch + 1) % valid_every == 0:
            logs |= {f"val_{name}": v for name, v in measure(stack, valid, objective, order.batch_size).items()}
        for call in hooks.epoch_end:
            call(epoch, logs)
        history.add(epoch, logs)
        if stack.stop_training:
            break
    for call in hooks.train_end:
        call(logs)
    return history


def _closure(stack: Stack, flat: Flat, objective: Objective, batch: Batch) -> Closure:
    return Closure(stack, flat, batch, objective.loss, penalty=objective.penalty, curvature=objective.curvature)


@torch.no_grad()
def measure(stack: Stack, samples: Samples, objective: Objective, batch_size: int) -> dict[str, float]:
    """Loss and metrics over `samples`, without dropout."""
    running = Running(objective)
    with _calm(stack):
        for index in Order(0, batch_size, shuffle=False).epoch(len(samples), 0):
            batch = samples.batch(index)
            y, mask, _ = stack.run(batch.x, mask=batch.mask)
            loss, weight = objective.loss(y, batch, mask)
            if objective.penalty is not None:
                loss = loss + objective.penalty()
            running.add(float(loss), weight, y, batch, mask)
    return running.means()


@torch.no_grad()
def predict(stack: Stack, x: Tensor, *, batch_size: int, mask: Tensor | None = None) -> Tensor:
    """The outputs for `x`, in its order, without dropout."""
    with _calm(stack):
        parts = [
            stack.run(x[i : i + batch_size], mask=None if mask is None else mask[i : i + batch_size])[0]
            for i in range(0, max(len(x), 1), batch_size)
        ]
    return torch.cat(parts)


@contextmanager
def _calm(stack: Stack) -> Iterator[None]:
    """Without dropout; a callback that predicts in the middle of an epoch leaves training mode as it was."""
    was = stack.training
    stack.eval()
    try:
        yield
    finally:
        if was:
            stack.train()


def _stop(
    stack: Stack,
    flat: Flat,
    optimizer: Optimizer,
    good: Tensor,
    batch: Batch,
    *,
    at: tuple[int, int, Tensor],
    value: float,
) -> None:
    """Name the first layer that is not finite, put the last good weights back, and raise."""
    epoch, number, index = at
    samples = ", ".join(map(str, index[:5].tolist())) + (", …" if len(index) > 5 else "")
    layer = _first_bad_layer(stack, batch)
    flat.restore(good)
    flat.grad.zero_()
    optimizer.forget()
    stack.eval()
    raise NonFiniteLoss(
        "the loss and all weights must stay finite",
        got=str(value),
        where=(f"epoch {epoch + 1}, step {number + 1}", layer, f"samples {samples}"),
        fix="The weights of the last good epoch are back. Scale the data, lower the learning rate, or clip gradients.",
    )


@torch.no_grad()
def _first_bad_layer(stack: Stack, batch: Batch) -> str:
    x, mask = batch.x, batch.mask
    if not x.to(torch.float64).isfinite().all():
        return "the input"
    stack.eval()
    for number, layer in enumerate(stack.layers, 1):
        name = f"layer {number} ({layer.name})"
        for key, weight in layer.named_parameters():
            if not weight.isfinite().all():
                return f"{name}, weight {key.rpartition('.')[2]}"
        x, mask, _ = layer.run(x, mask=mask)  # type: ignore[operator]
        if not x.isfinite().all():
            return f"{name}, output"
    return "the target" if not batch.target.to(torch.float64).isfinite().all() else "the loss"
