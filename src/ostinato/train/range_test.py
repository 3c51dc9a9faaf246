"""Which learning rate to choose: the range test (Smith 2017)."""

from __future__ import annotations

import math
from itertools import count, islice
from typing import Any, NamedTuple

import numpy as np

from ostinato._optional import require
from ostinato.errors import ArgumentError
from ostinato.layers.stack import Stack
from ostinato.train.batches import Order, Samples
from ostinato.train.feeds import Feed, as_feed
from ostinato.train.flat import Flat
from ostinato.train.optimisers.base import Optimizer
from ostinato.train.sweeps import Objective, States, Sweep, Whole

_SMOOTH, _TOO_HIGH = 0.9, 4.0
_WHOLE = Whole()


class RangeTest(NamedTuple):
    """What the range test found.

    Args:
        learning_rates: The rate of each step, growing by the same factor.
        losses: The loss before each step.
        smoothed: Its running mean, from which the suggestion is read.
        suggestion: A tenth of the rate at the lowest smoothed loss: there the loss still falls, with room before it
            explodes. A good rate for Adam, and a peak for `OneCycle`.
    """

    learning_rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float

    def plot(self) -> Any:
        """A matplotlib figure: loss against rate, with the suggestion; `figure.savefig(path)` keeps it."""
        figures = require("matplotlib.figure", purpose="to plot a range test")
        figure = figures.Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(self.learning_rates, self.losses, color="#b8bcc0", linewidth=0.8, label="loss")
        axes.plot(self.learning_rates, self.smoothed, color="#0072b2", label="running mean")
        axes.axvline(self.suggestion, color="#d55e00", dashes=(5, 2), label=f"suggestion {self.suggestion:.2g}")
        low, high = min(self.smoothed), max(self.smoothed[: max(1, len(self.smoothed) // 2)])
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(low - 0.1 * (high - low), None))
        axes.set_ylim(top=high + 0.5 * (high - low) if high > low else None)
        axes.legend(frameon=False)
        return figure


def lr_find(
    stack: Stack,
    samples: Samples | Feed,
    *,
    objective: Objective,
    optimizer: Optimizer,
    order: Order | None = None,
    sweep: Sweep = _WHOLE,
    first: float = 1e-6,
    last: float = 1.0,
    steps: int = 100,
) -> RangeTest:
    """Train for some steps while the learning rate grows, and see how far the loss falls.

    It ends early when the running mean is four times its lowest value, or not finite. Weights come back bit for bit;
    the optimiser is not touched: the test runs with a fresh one of the same settings.

    Args:
        stack: A built stack.
        samples: Training data, or a feed, whose states are carried; epochs are repeated as needed.
        objective: What is minimised.
        optimizer: Whose learning rate is looked for.
        order: Seed, batch size, shuffling; None for a feed, which has its own.
        sweep: How the gradient of a step is found; at once by default.
        first: The smallest rate.
        last: The largest rate.
        steps: Number of rates.

    Raises:
        ArgumentError: The range is none, or the optimiser finds its step without a rate.
    """
    if not (0.0 < first < last < math.inf) or isinstance(steps, bool) or not isinstance(steps, int) or steps < 10:
        raise ArgumentError(
            "first must be positive and below last, and steps at least 10",
            got=f"first={first!r}, last={last!r}, steps={steps!r}",
            fix="Leave them out for 1e-6, 1 and 100.",
        )
    if optimizer.closures:
        raise ArgumentError(
            "the optimiser must be one whose steps follow its learning rate",
            got=type(optimizer).__name__,
            fix="It needs no search: its learning rate is 1.",
        )
    feed = as_feed(samples, order)
    sweep.check(stack)
    trial = optimizer.fresh_copy()
    trial.schedule = None
    flat = Flat(stack.parameters())
    trial.bind(flat)
    kept, training, noise = flat.copy(), stack.training, stack.noise.step
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    stack.train()
    try:
        mean = 0.0
        carried: States = ()
        pieces = (piece for epoch in count() for piece in feed.pieces(epoch))
        for step, piece in enumerate(islice(pieces, steps)):
            rate = first * (last / first) ** (step / (steps - 1))
            stack.noise.step, trial.learning_rate = step, rate
            found = sweep.gradient(stack, objective, piece, carried)
            value = found.loss
            if not math.isfinite(value):
                break
            mean = _SMOOTH * mean + (1.0 - _SMOOTH) * value
            rates.append(rate)
            losses.append(value)
            smoothed.append(mean / (1.0 - _SMOOTH ** (step + 1)))
            if smoothed[-1] > _TOO_HIGH * min(smoothed):
                break
            trial.step(flat)
            if feed.carries:
                carried = tuple(tuple(s.detach() for s in state) for state in found.states)
    finally:
        flat.restore(kept)
        flat.grad.zero_()
        stack.noise.step = noise
        stack.train(training)
    return RangeTest(rates, losses, smoothed, _suggest(rates, smoothed))


def _suggest(rates: list[float], smoothed: list[float]) -> float:
    """A tenth of the rate at the lowest point."""
    lowest = int(np.argmin(smoothed)) if smoothed else 0
    if lowest < 2:
        raise ArgumentError(
            "the loss must fall at some rate of the range",
            got="a loss that rose from the first rate on" if smoothed else "a loss that is not finite",
            fix="Pass a smaller first, or look at the data and the loss.",
        )
    return rates[lowest] / 10.0
