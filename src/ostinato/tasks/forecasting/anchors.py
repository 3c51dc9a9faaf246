"""Which anchor suits the data best: the one after which a simple learner forecasts best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ostinato.data.framing import Floats, Framing

_SERIES = 500
_WINDOWS = 4000
_LEAST_WINDOWS = 8
_TRAINED = 0.7
_NEAR = 1.05
_PENALTIES = (10.0, 1.0, 0.1, 0.01)


class Chosen(NamedTuple):
    """The name of the best anchor, and why."""

    name: str
    why: str


def best_anchor(parts: Sequence[Floats], framings: Mapping[str, Framing]) -> Chosen:
    """Compare anchors by what can be learned after them, not by their own error.

    An anchor of few values carries their noise into every target, and one that leaves the season to the network errs a
    lot by itself. So a ridge regression stands for the network: it learns, on the first seven tenths of the training
    part, what is left after the anchor, and forecasts the rest of that part; the best of a few penalties counts, and
    the anchor alone is one of them. Of anchors within a twentieth of the best, the one with the smallest own error is
    taken: it leaves least to learn. Where the series are too short for a regression, own errors alone decide.

    Args:
        parts: The training part of each series `[time]`; of more than 500 series, 500 evenly spread ones count.
        framings: What is compared, by the name of the anchor.
    """
    chosen = np.unique(np.linspace(0, len(parts) - 1, min(len(parts), _SERIES)).astype(np.int64))
    moving = [parts[i] for i in chosen if np.ptp(parts[i]) > 0.0]
    reach = max(framing.reach for framing in framings.values())
    horizon = next(iter(framings.values())).horizon
    whole = [values for values in moving if len(values) >= reach + horizon]
    cuts = [reach + int(_TRAINED * (len(values) - horizon + 1 - reach)) for values in whole]
    if sum(max(0, cut - horizon + 1 - reach) for cut in cuts) < _LEAST_WINDOWS:
        own = {name: float(np.mean([_own(framing, v) for v in moving] or [0.0])) for name, framing in framings.items()}
        return Chosen(min(own, key=own.__getitem__), f"smallest own error on the training part, {_listed(own)}")
    errors, own = {}, {}
    for name, framing in framings.items():
        before = [range(framing.reach, cut - horizon + 1) for cut in cuts]
        after = [range(cut, len(values) - horizon + 1) for values, cut in zip(whole, cuts, strict=True)]
        check = _pairs(framing, whole, after)
        own[name] = float(np.abs(check.target).mean())
        errors[name] = min([own[name], *_ridge(_pairs(framing, whole, before), check)])
    near = [name for name, error in errors.items() if error <= min(errors.values()) * _NEAR]
    best = min(near, key=own.__getitem__)
    why = f"a linear forecast after it errs least at the end of the training part, {_listed(errors)}"
    if len(near) > 1:
        why += f"; of those near the best it errs least by itself, {_listed({name: own[name] for name in near})}"
    return Chosen(best, why)


def _listed(errors: Mapping[str, float]) -> str:
    ranked = sorted(errors.items(), key=lambda item: item[1])
    return "in mean steps: " + ", ".join(f"{name} {error:.3g}" for name, error in ranked)


class _Pairs(NamedTuple):
    """What is seen `[windows, length]` and what is to be answered `[windows, horizon]`."""

    x: Floats
    target: Floats


def _pairs(framing: Framing, parts: Sequence[Floats], spans: Sequence[range]) -> _Pairs:
    stride = max(1, sum(map(len, spans)) // _WINDOWS)
    xs, targets = [], []
    for raw, span in zip(parts, spans, strict=True):
        values, origins = framing.into(raw), np.array(span[::-1][::stride], dtype=np.int64)
        windows = values[origins[:, None] + np.arange(-framing.reach, 0)]
        frame = framing.frame(windows, np.full(len(origins), _step(values)))
        future = values[origins[:, None] + np.arange(framing.horizon)]
        xs.append(frame.x[:, :, 0].astype(np.float64))
        targets.append(framing.target(frame, future).astype(np.float64))
    return _Pairs(np.concatenate(xs), np.concatenate(targets))


def _ridge(past: _Pairs, future: _Pairs) -> list[float]:
    """Mean absolute errors on `future` of ridge regressions on `past`, by penalty; none if nothing moves in `past`."""
    found = []
    gram, size = past.x.T @ past.x, float((past.x * past.x).sum() / past.x.shape[1])
    for penalty in _PENALTIES if size > 0.0 else ():
        weights = np.linalg.solve(gram + penalty * size * np.eye(len(gram)), past.x.T @ past.target)
        found.append(float(np.abs(future.target - future.x @ weights).mean()))
    return found


def _own(framing: Framing, raw: Floats) -> float:
    values = framing.into(raw)
    errors = framing.errors(values)
    return float(np.abs(errors).mean()) / _step(values) if len(errors) else 0.0


def _step(values: Floats) -> float:
    return float(np.abs(np.diff(values)).mean())
