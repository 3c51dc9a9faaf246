"""The training loop, and the same loop without training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from ostinato.errors import ArgumentError, NonFiniteLoss
from ostinato.layers.stack import Stack
from ostinato.train.batches import Order, Samples
from ostinato.train.callbacks import Callback, Callbacks
from ostinato.train.closure import Closure
from ostinato.train.distributed import Team
from ostinato.train.feeds import Feed, Piece, as_feed
from ostinato.train.flat import Flat
from ostinato.train.history import History
from ostinato.train.optimisers import Optimizer
from ostinato.train.resume import Part
from ostinato.train.snapshots import Scene, Standing
from ostinato.train.sweeps import Loss, Metric, Objective, States, Sweep, Whole, begin, last_recurrent

__all__ = ["Loss", "Metric", "Objective", "Running", "measure", "predict", "train"]

_WHOLE = Whole()


class Running:
    """Weighted means over an epoch."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.totals = {name: [0.0, 0.0] for name in ("loss", *objective.metrics)}

    def add(self, loss: float, weight: float, figures: Sequence[tuple[float, float]]) -> None:
        """Count one piece."""
        total = self.totals["loss"]
        total[0] += loss * weight
        total[1] += weight
        if figures:
            for name, (value, count) in zip(self.objective.metrics, figures, strict=True):
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
    samples: Samples | Feed,
    *,
    objective: Objective,
    optimizer: Optimizer,
    order: Order | None = None,
    epochs: range,
    valid: Samples | Feed | None = None,
    valid_every: int = 1,
    callbacks: Iterable[Callback] = (),
    history: History | None = None,
    sweep: Sweep = _WHOLE,
    part: Part | None = None,
    team: Team | None = None,
) -> History:
    """Minimise the loss over `samples`.

    Dropout noise and data order follow from (seed, step) and (seed, epoch). Calling it again with a later range of
    epochs continues where the last call ended, given the same optimiser.

    Args:
        stack: A built stack; its weights are changed in place.
        samples: Training data, or a feed, such as `Streams`, whose states are carried from step to step.
        objective: Loss and metrics.
        optimizer: Remembers its running means between calls.
        order: Seed, batch size, shuffling; None for a feed, which has its own.
        epochs: Numbers of the epochs.
        valid: Data that is only measured, after each epoch.
        valid_every: Measure it after every so many epochs only.
        callbacks: See `Callback`; `stack.stop_training` ends training after an epoch, `stack.optimizer` has its rate.
        history: Filled as training goes, so that it survives an error; a new one by default.
        sweep: How the gradient of a step is found; at once by default.
        part: Where the training is saved while it goes, and from where it goes on if it was stopped.
        team: The processes that train together, each of which calls this likewise; None for this one alone.

    Returns:
        The history, figures by epoch.

    Raises:
        ArgumentError: A callback moved the weights, so that steps would not reach them, or states cannot be carried.
        NonFiniteLoss: The loss, a gradient or a weight is NaN or infinite; the weights of the last good epoch are back,
            and the optimiser has forgotten its running means, which may hold NaN too.
    """
    feed = as_feed(samples, order)
    sweep.check(stack)
    if optimizer.closures and (team is not None or not isinstance(sweep, Whole)):
        raise ArgumentError(
            f"{type(optimizer).__name__} must see a step at once and in one process, as it computes it several times",
            got="windows along time" if team is None else "several processes",
            fix="Pass bptt=0 and train in one process, or pass another optimiser.",
        )
    if optimizer.closures and stack.precision != "float32":
        raise ArgumentError(
            f"{type(optimizer).__name__} must have exact products, since it compares losses at places that are close",
            got=f"precision {stack.precision!r}",
            fix="Use precision='float32', or pass another optimizer.",
        )
    if feed.carries:
        last_recurrent(stack)
    held = None if valid is None else as_feed(valid, None if isinstance(valid, Feed) else _batches_of(order)).still()
    flat = Flat(stack.parameters())
    optimizer.bind(flat)
    if team is not None:
        feed, held = team.share(feed), None if held is None else team.share(held, whole=False)
        sweep = team.sweep(sweep, flat)
        team.same(flat.data)
    history = History() if history is None else history
    params = {"epochs": epochs.stop, "steps": feed.steps(epochs.start), "verbose": 0, "valid_every": 0}
    if held is not None:
        params["valid_every"] = valid_every
    hooks = Callbacks(callbacks, stack, params)
    most = feed.most()
    stack.stop_training, stack.optimizer = False, optimizer
    good = flat.copy()
    scene = Scene(stack, flat, good, optimizer, hooks.all, history)
    if part is not None and part.done is not None:
        scene.put(part.done)
        return history
    logs: dict[str, float] = {}
    for call in hooks.train_begin:
        call(logs)
    at = Standing(epochs.start)
    if part is not None and part.saved is not None:
        at = scene.put(part.saved)
        logs = at.logs
    interrupted = False
    with _patient(part):
        for epoch in range(at.epoch, epochs.stop):
            if stack.stop_training:
                break
            params["steps"] = feed.steps(epoch)
            running = Running(objective)
            carried: States = ()
            if at.step:
                running.totals, carried = at.totals, at.carried
            else:
                for call in hooks.epoch_begin:
                    call(epoch, {})
            optimizer.resume(flat)
            stack.train()
            place: Place | None = None
            for number, piece in enumerate(feed.pieces(epoch, at.step), at.step):
                for call in hooks.batch_begin:
                    call(number, {})
                stack.noise.step = epoch * most + number
                found = sweep.gradient(stack, objective, piece, carried)
                if not (math.isfinite(found.loss) and flat.finite_gradient()):
                    _stop(stack, flat, optimizer, good, Place(epoch, number, piece, carried), value=found.loss)
                for call in hooks.gradient:
                    call(number, flat.grad)
                optimizer.step(flat, _closure(stack, flat, objective, piece, carried) if optimizer.closures else None)
                if feed.carries:
                    carried = tuple(tuple(s.detach() for s in state) for state in found.states)
                running.add(found.loss, found.weight, found.figures)
                place = Place(epoch, number, piece, carried)
                if hooks.batch_end:
                    logs = running.means()
                    for call in hooks.batch_end:
                        call(number, logs)
                if part is not None and part.due():
                    states = carried if team is None else team.gather(carried, piece)
                    part.save(scene.take(Standing(epoch, number + 1, states, running.totals, logs)))
                    if part.stopped:
                        interrupted = True
                        break
            stack.eval()
            if interrupted:
                break
            at = Standing(epoch + 1)
            if team is not None:
                team.same(flat.data)
            if not flat.intact():
                raise ArgumentError(
                    "weights must stay where they are while they are trained",
                    got="weights that something moved",
                    where=f"epoch {epoch + 1}",
                    fix="Do not train another model of the same layers, or convert this one, in a callback.",
                )
            if not flat.finite():
                place = place or Place(epoch, 0, next(feed.pieces(epoch)), ())
                _stop(stack, flat, optimizer, good, place, value=math.nan)
            optimizer.finalize(flat)
            good.copy_(flat.data)
            logs = running.means()
            if held is not None and (epoch + 1) % valid_every == 0:
                logs |= {f"val_{name}": v for name, v in _gauge(stack, held, objective, team).items()}
            for call in hooks.epoch_end:
                call(epoch, logs)
            history.add(epoch, logs)
            if team is not None:
                team.settle(stack)
            if part is not None and part.due():
                part.save(scene.take(Standing(epoch + 1, logs=logs)))
                if part.stopped:
                    interrupted = True
                    break
        for call in hooks.train_end:
            call(logs)
        if part is not None and not interrupted:
            part.finish(scene.take(Standing(epochs.stop, logs=logs)))
    return history


@contextmanager
def _patient(part: Part | None) -> Iterator[None]:
    """While the block runs, signals wait for the end of a step."""
    if part is None:
        yield
        return
    part.watch(on=True)
    try:
        yield
    finally:
        part.watch(on=False)


def _batches_of(order: Order | None) -> Order:
    if order is None:
        raise ArgumentError("valid must be a feed if the training data is one", got="samples", fix="Pass a feed.")
    return order


def _closure(stack: Stack, flat: Flat, objective: Objective, piece: Piece, carried: States) -> Closure:
    """The data of a step as functions of the weights, from the states that it starts from."""
    return Closure(
        stack, flat, piece.batch, objective.loss,
        penalty=objective.penalty, curvature=objective.curvature, states=begin(stack, piece, carried),
    )  # fmt: skip


@torch.no_grad()
def measure(
    stack: Stack, samples: Samples | Feed, objective: Objective, batch_size: int | None = None
) -> dict[str, float]:
    """Loss and metrics over `samples`, without dropout.

    Args:
        stack: The model.
        samples: Data, or a feed, whose states are carried along its rows.
        objective: Loss and metrics.
        batch_size: Samples at once; None for a feed.
    """
    feed = as_feed(samples, None if batch_size is None else Order(0, batch_size, shuffle=False)).still()
    if feed.carries:
        last_recurrent(stack)
    return _gauge(stack, feed, objective, None)


@torch.no_grad()
def _gauge(stack: Stack, feed: Feed, objective: Objective, team: Team | None) -> dict[str, float]:
    """Loss and metrics over a feed, or over the shares of it that all processes have."""
    running = Running(objective)
    carried: States = ()
    with _calm(stack):
        for piece in feed.pieces(0):
            batch = piece.batch
            if not len(batch.x):
                continue
            start = begin(stack, piece, carried) if feed.carries else ()
            y, mask, states = stack.run(batch.x, mask=batch.mask, states=start)
            loss, weight = objective.loss(y, batch, mask)
            if objective.penalty is not None:
                loss = loss + objective.penalty()
            running.add(float(loss), weight, objective.figures(y, batch, mask))
            carried = states
    if team is not None:
        sums = iter(team.sums([value for total in running.totals.values() for value in total]))
        running.totals = {name: [next(sums), next(sums)] for name in running.totals}
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


class Place(NamedTuple):
    """Where in training something happened, and with what."""

    epoch: int
    number: int
    piece: Piece
    carried: States


def _stop(stack: Stack, flat: Flat, optimizer: Optimizer, good: Tensor, at: Place, *, value: float) -> None:
    """Name the first layer that is not finite, put the last good weights back, and raise.

    Args:
        stack: The model.
        flat: Its weights.
        optimizer: What changes them.
        good: The weights of the last good epoch.
        at: Where it happened.
        value: The loss; if it is finite, a gradient is not.
    """
    index = at.piece.numbers
    samples = ", ".join(map(str, index[:5].tolist())) + (", …" if len(index) > 5 else "")
    layer = _first_bad_layer(stack, at, loss=value)
    flat.restore(good)
    flat.grad.zero_()
    optimizer.forget()
    stack.eval()
    raise NonFiniteLoss(
        "the loss, its gradient and all weights must stay finite",
        got=f"a loss of {value:g} with a gradient that is not" if math.isfinite(value) else str(value),
        where=(f"epoch {at.epoch + 1}, step {at.number + 1}", layer, f"samples {samples}"),
        fix="The weights of the last good epoch are back. Scale the data, lower the learning rate, or clip gradients.",
    )


@torch.no_grad()
def _first_bad_layer(stack: Stack, at: Place, *, loss: float) -> str:
    batch = at.piece.batch
    x, mask = batch.x, batch.mask
    if not len(x):
        return "another process's rows"
    if not x.to(torch.float64).isfinite().all():
        return "the input"
    stack.eval()
    states = begin(stack, at.piece, at.carried) or ((),) * len(stack.layers)
    for number, (layer, state) in enumerate(zip(stack.layers, states, strict=True), 1):
        name = f"layer {number} ({layer.name})"
        for key, weight in layer.named_parameters():
            if not weight.isfinite().all():
                return f"{name}, weight {key.rpartition('.')[2]}"
        x, mask, _ = layer.run(x, mask=mask, state=state)  # type: ignore[operator]
        if not x.isfinite().all():
            return f"{name}, output"
    if not batch.target.to(torch.float64).isfinite().all():
        return "the target"
    if math.isfinite(loss):
        for number, layer in enumerate(stack.layers, 1):
            for key, weight in layer.named_parameters():
                if weight.grad is not None and not weight.grad.isfinite().all():
                    return f"layer {number} ({layer.name}), gradient of {key.rpartition('.')[2]}"
    return "the loss"
