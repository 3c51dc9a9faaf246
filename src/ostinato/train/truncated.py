"""From the options `bptt` and `memory` to what the loop does with long sequences."""

from __future__ import annotations

from typing import NamedTuple

from ostinato.errors import ArgumentError
from ostinato.layers.stack import Stack
from ostinato.train.batches import Order, Samples
from ostinato.train.feeds import Batches, Cut, Feed
from ostinato.train.streams import Streams
from ostinato.train.sweeps import Sweep, Tail, Whole, Windowed, last_recurrent

MEMORY = ("truncate", "store", "recompute")
"""What `memory` may be."""


class Course(NamedTuple):
    """What the steps see, and how the gradient of each is found."""

    feed: Feed
    sweep: Sweep


def course(stack: Stack, samples: Samples | Streams, order: Order | None, *, bptt: int, memory: str) -> Course:
    """How to train on long sequences.

    Args:
        stack: The model.
        samples: Sequences of one length (padded and masked if need be), or streams.
        order: Which sequences form a batch; None for streams.
        bptt: Steps of a window; 0 for whole sequences.
        memory: "truncate" cuts gradients where windows meet: one step a window; of a stack with one output a sequence,
            only the last window has a gradient. "store" and "recompute" follow the gradient through the whole sequence:
            one step a batch of sequences (of a single long one: one step an epoch).

    Raises:
        ArgumentError: A layer needs the whole sequence at once; or `memory` is none of the three.
    """
    if memory not in MEMORY:
        names = ", ".join(map(repr, MEMORY))
        raise ArgumentError(f"memory must be one of {names}", got=f"{memory!r:.80}", fix="Choose from the list.")
    if isinstance(samples, Feed):
        if memory == "truncate" or bptt == 0:
            return Course(samples.cut(bptt or None), Whole())
        return Course(samples.cut(None), Windowed(bptt, recompute=memory == "recompute"))
    if order is None:
        raise ArgumentError("order must be given for samples", got="None", fix="Pass order=Order(…).")
    if bptt == 0:
        return Course(Batches(samples, order), Whole())
    if memory != "truncate":
        return Course(Batches(samples, order), Windowed(bptt, recompute=memory == "recompute"))
    if last_recurrent(stack) is None:
        return Course(Cut(samples, order, bptt), Whole())
    return Course(Batches(samples, order), Tail(bptt))
