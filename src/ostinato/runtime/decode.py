"""From scores of the next symbol to symbols: sampling and beam search."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.errors import ArgumentError

Floats = NDArray[np.float64]


def log_softmax(scores: NDArray[np.floating]) -> Floats:
    """Natural logarithms of the probabilities, along the last axis, in float64."""
    s = np.asarray(scores, np.float64)
    s = s - s.max(axis=-1, keepdims=True)
    return np.asarray(s - np.log(np.exp(s).sum(axis=-1, keepdims=True)))


@lean_dataclass(frozen=True)
class Sampling:
    """How the next symbol is drawn.

    Args:
        temperature: Scores are divided by it; 0 always takes the most probable symbol, 1 draws from the model as it is.
        top_k: Only the k most probable symbols; 0 for all.
        top_p: Only the most probable symbols that hold this share together (Holtzman et al. 2020); 1 for all.
        repetition_penalty: Scores of symbols that came before are divided by it if positive, else multiplied (Keskar
            et al. 2019); 1 changes nothing.
        seed: The same seed draws the same symbols; None draws others each time.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int | None = None

    def check(self) -> None:
        """Raise `ArgumentError` unless all values are in range."""
        self._number("temperature", 0.0, math.inf)
        self._number("top_p", 0.0, 1.0, least_excluded=True)
        self._number("repetition_penalty", 0.0, math.inf, least_excluded=True)
        for name in ("top_k", "seed"):
            value = getattr(self, name)
            if name == "seed" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
                raise ArgumentError(
                    f"{name} must be a whole number of at least 0", got=f"{value!r:.80}", fix="Pass one."
                )

    def _number(self, name: str, least: float, most: float, *, least_excluded: bool = False) -> None:
        value = getattr(self, name)
        fits = not isinstance(value, bool) and isinstance(value, (int, float, np.floating, np.integer))
        if not fits or not least <= value <= most or value == math.inf or (least_excluded and value == least):
            above = "above" if least_excluded else "of at least"
            upto = "" if most == math.inf else f" and at most {most:g}"
            raise ArgumentError(
                f"{name} must be a number {above} {least:g}{upto}", got=f"{value!r:.80}", fix="Pass, say, 1.0."
            )


class Sampler:
    """Draws symbols, one after the other.

    Args:
        sampling: How.
        n_symbols: Size of the vocabulary.
        banned: Symbols that are never drawn.
    """

    def __init__(self, sampling: Sampling, n_symbols: int, *, banned: Sequence[int] = ()) -> None:
        sampling.check()
        self.sampling = sampling
        self._banned = np.asarray(banned, np.int64)
        self._random = np.random.default_rng(sampling.seed)
        self._seen = np.zeros(n_symbols, bool)
        self._x, self._share = np.empty(n_symbols), np.empty(n_symbols)

    def saw(self, ids: Sequence[int] | NDArray[np.integer]) -> None:
        """Count these symbols as having come before, for the repetition penalty."""
        self._seen[np.asarray(ids, np.int64)] = True

    def draw(self, scores: NDArray[np.floating]) -> int:
        """The next symbol from its scores `[symbols]`."""
        s = self.sampling
        x = self._x
        x[:] = scores
        if s.repetition_penalty != 1.0:
            seen = x[self._seen]
            x[self._seen] = np.where(seen > 0.0, seen / s.repetition_penalty, seen * s.repetition_penalty)
        if len(self._banned):
            x[self._banned] = -np.inf
        if s.temperature == 0.0:
            symbol = int(x.argmax())
        else:
            symbol = self._pick(x)
        self._seen[symbol] = True
        return symbol

    def _pick(self, x: Floats) -> int:
        s = self.sampling
        x -= x.item(x.argmax())
        if s.temperature != 1.0:
            x /= s.temperature
        p = np.exp(x, x)
        if 0 < s.top_k < len(p) or s.top_p < 1.0:
            order = np.argsort(-p, kind="stable")
            kept = order[: s.top_k] if s.top_k else order
            share = np.cumsum(p[kept])
            if s.top_p < 1.0:
                kept = kept[: int(np.searchsorted(share, s.top_p * share[-1])) + 1]
            total = share[len(kept) - 1]
            return int(
                kept[min(int(np.searchsorted(share, self._random.random() * total, side="right")), len(kept) - 1)]
            )
        share = np.add.accumulate(p, out=self._share)
        symbol = bisect_right(share, self._random.random() * share[-1])
        return symbol if symbol < len(p) else int(np.flatnonzero(p)[-1])


class Beam(NamedTuple):
    """One of the most probable continuations.

    Args:
        ids: Its symbols, the end symbol included if it has one.
        log_probability: Natural logarithm of its probability.
    """

    ids: tuple[int, ...]
    log_probability: float


def beam_search(
    step: Callable[[NDArray[np.int64], NDArray[np.int64]], Floats],
    first: Floats,
    *,
    length: int,
    width: int,
    end: int | None = None,
    banned: Sequence[int] = (),
) -> list[Beam]:
    """The most probable continuations that a beam of `width` finds, best first.

    Args:
        step: `step(rows, ids)` goes on with these rows of the last call, each with its next symbol, and returns the log
            probabilities of the symbols after it, `[rows, symbols]`.
        first: `[symbols]`, log probabilities of the first symbol.
        length: Most symbols.
        width: Continuations that are kept at each step; as many are returned, if there are as many.
        end: The symbol that ends a continuation; None for none.
        banned: Symbols that are never taken.

    Returns:
        Finished and unfinished ones, by their mean log probability a symbol (else the shortest would always win).
    """
    done: list[Beam] = []
    ids: list[tuple[int, ...]] = [()]
    totals = np.zeros(1)
    after = first[None, :].copy()
    while True:
        after[:, list(banned)] = -np.inf
        total = totals[:, None] + after
        flat = total.reshape(-1)
        best = np.argsort(-flat, kind="stable")[: width + 1 if end is not None else width]
        best = best[np.isfinite(flat[best])]
        rows, symbols = np.divmod(best, after.shape[1])
        grown = [(*ids[r], int(s)) for r, s in zip(rows, symbols, strict=True)]
        ends = np.array([len(g) == length or (end is not None and g[-1] == end) for g in grown])
        done += [Beam(g, float(flat[b])) for g, b, e in zip(grown, best, ends, strict=True) if e]
        going = np.flatnonzero(~ends)[:width]
        if not len(going) or len(done) >= 4 * width:
            break
        ids = [grown[i] for i in going]
        totals = flat[best[going]]
        after = step(rows[going], symbols[going])
    done.sort(key=lambda b: -b.log_probability / len(b.ids))
    return done[:width]
