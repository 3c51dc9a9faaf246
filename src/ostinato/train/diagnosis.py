"""Plain sentences about gradients: what is wrong by which rule, and what helps. The thresholds are reasoned in
`docs/why/gradient-health.md`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ostinato.train.exploding import ExplodingSteps
from ostinato.train.probes import Share

VANISHED = 1e-6
"""A gradient below this share of its first size counts as gone."""

WEAK = 0.01
"""Of a healthy layer it is said where the gradient falls below this share of its first size."""

GROWN = 100.0
"""A gradient above this many times its first size counts as exploding along time."""

SATURATED = 0.5
"""A layer of which more than this share of all gate values is saturated counts as saturated."""

AT_ENDS = 0.9
"""Likewise for states of cells without known nonlinearities (half of a relu's states are 0 in health)."""


class Finding(NamedTuple):
    """One sentence.

    Args:
        kind: "healthy", "vanishing", "exploding", "exploding steps", "saturated" or "cut off".
        text: What was found and what helps.
    """

    kind: str
    text: str


def lag_below(norms: Sequence[float], share: float) -> int | None:
    """The first lag from which on all gradients are below `share` of the one at lag 0; None if the last is not."""
    values = np.asarray(norms, dtype=np.float64)
    above = np.flatnonzero(values >= share * values[0]) if len(values) else np.zeros(0, int)
    return None if not len(values) or not values[0] > 0.0 or above[-1] == len(values) - 1 else int(above[-1]) + 1


def of_layer(name: str, norms: Sequence[float], shares: Sequence[Share], *, gates: int) -> list[Finding]:
    """What is wrong with one layer.

    - cut off: the gradient is 0 at every lag.
    - vanishing: from some lag on it is below `VANISHED` of its size at lag 0.
    - exploding: at some lag it is above `GROWN` times its size at lag 0.
    - saturated: the mean saturated share of all gates and candidates is above `SATURATED`; `AT_ENDS` for states.

    Args:
        name: The layer's.
        norms: Gradient by lag.
        shares: Saturated shares.
        gates: Number of the cell's gates; a cell with one has no gates that could keep a state.
    """
    found = []
    if len(norms) and not any(norms):
        text = f"{name}: no gradient reaches it. Treat: look for dead relu units, or weights of 0 in a later layer"
        found.append(Finding("cut off", text + "."))
    gone = lag_below(norms, VANISHED)
    if gone is not None:
        gated = (
            "a first bias that opens the forget gate (GRU: keeps the state)"
            if gates > 1
            else "LSTM or GRU, a forget gate bias of 1"
        )
        text = (
            f"{name}: gradients fall below 1e-6 of their first size after {_steps(gone)}: what lies "
            f"further back is not learned. Treat, if it matters: {gated}, shorter sequences (average 4 steps into "
            "one), layer normalisation."
        )
        found.append(Finding("vanishing", text))
    if len(norms) and norms[0] > 0.0 and max(norms) > GROWN * norms[0]:
        lag = int(np.argmax(norms))
        text = (
            f"{name}: gradients grow to {max(norms) / norms[0]:.3g} times their first size "
            f"{_steps(lag)} back. Treat: clip_norm=1, a lower learning rate, smaller first recurrent "
            "weights."
        )
        found.append(Finding("exploding", text))
    full = _saturated(shares)
    if full is not None:
        worst = max(shares, key=lambda share: share.both)
        text = (
            f"{name}: {full:.0%} of the values of its gates and candidates are saturated (most: {worst.name}, "
            f"{worst.both:.0%}) and hardly learn. Treat: scale the inputs, smaller first weights, layer normalisation."
            if worst.kind != "state"
            else f"{name}: {full:.0%} of the values of its states lie at the ends of their range. Treat: scale the "
            "inputs, smaller first weights."
        )
        found.append(Finding("saturated", text))
    return found


def of_steps(watched: ExplodingSteps) -> list[Finding]:
    """What is wrong with the steps of a training: any step above `watched.times` times the running median."""
    worst = watched.largest
    if worst is None:
        return []
    which = ", ".join(str(one.step) for one in watched.steps[:5]) + (", …" if watched.count > 5 else "")
    text = (
        f"{watched.count} of {watched.seen} training steps had gradients more than {watched.times:g} times as long as "
        f"usual (number {which}; at most {worst.times:.3g} times, in step {worst.step}). Treat: clip_norm=1, a lower "
        "learning rate."
    )
    return [Finding("exploding steps", text)]


def healthy(name: str, norms: Sequence[float]) -> Finding:
    """Said of a layer in which nothing was found wrong."""
    if len(norms) < 2:
        return Finding("healthy", f"{name}: healthy.")
    share, back, weak = norms[-1] / norms[0], len(norms) - 1, lag_below(norms, WEAK)
    size = f"{share:.2g} times" if share >= 1.0 else f"{share:.2g} of"
    text = f"{name}: healthy. {_steps(back)} back, the gradient has {size} its first size"
    return Finding("healthy", text + (f", below 1 % of it after {_steps(weak)}." if weak is not None else "."))


def _steps(n: int) -> str:
    return f"{n} step{'' if n == 1 else 's'}"


def _saturated(shares: Sequence[Share]) -> float | None:
    """The mean share, if it is above the limit; a mean, since a forget gate alone may well be open all the time."""
    if not shares:
        return None
    mean = sum(share.both for share in shares) / len(shares)
    return mean if mean > (AT_ENDS if shares[0].kind == "state" else SATURATED) else None
