"""First values of weights, drawn with NumPy from (seed, key), so that they do not depend on what was drawn before."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from ostinato.errors import ArgumentError

Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Rule = Callable[[Generator, tuple[int, ...]], Numbers]


def _fans(shape: tuple[int, ...]) -> tuple[float, float]:
    """Numbers of inputs and outputs of one unit; axes before the last two count as positions (convolutions)."""
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    positions = math.prod(shape[:-2])
    return shape[-2] * positions, shape[-1] * positions


def zeros(rng: Generator, shape: tuple[int, ...]) -> Numbers:
    """All 0."""
    return np.zeros(shape)


def ones(rng: Generator, shape: tuple[int, ...]) -> Numbers:
    """All 1."""
    return np.ones(shape)


def forget_one(rng: Generator, shape: tuple[int, ...]) -> Numbers:
    """An LSTM's bias: 1 in the forget gate, 0 elsewhere (Jozefowicz et al. 2015)."""
    b = np.zeros((4, shape[0] // 4))
    b[1] = 1.0
    return b.reshape(shape)


def uniform(rng: Generator, shape: tuple[int, ...]) -> Numbers:
    """Uniform in ±0.05."""
    return rng.uniform(-0.05, 0.05, shape)


def normal(rng: Generator, shape: tuple[int, ...]) -> Numbers:
    """Normal with deviation 0.05."""
    return rng.normal(0.0, 0.05, shape)


def glorot_uniform(rng: Generator, shape: tuple[int, ...]) -> Numbers:
    """Uniform in ±sqrt(6 / (inputs + outputs)) (Glorot & Bengio 2010, eq. 16)."""
    bound = math.sqrt(6.0 / max(sum(_fans(shape)), 1.0))
    return rng.uniform(-bound, bound, shape)


def glorot_normal(rng: Generator, shape: tuple[int, ...]) -> Numbers:
    """Normal with variance 2 / (inputs + outputs) (Glorot & Bengio 2010)."""
    return rng.normal(0.0, math.sqrt(2.0 / max(sum(_fans(shape)), 1.0)), shape)


def he_uniform(rng: Generator, shape: tuple[int, ...]) -> Numbers:
    """Uniform with variance 2 / inputs (He et al. 2015)."""
    bound = math.sqrt(6.0 / max(_fans(shape)[0], 1.0))
    return rng.uniform(-bound, bound, shape)


def he_normal(rng: Generator, shape: tuple[int, ...]) -> Numbers:
    """Normal with variance 2 / inputs (He et al. 2015)."""
    return rng.normal(0.0, math.sqrt(2.0 / max(_fans(shape)[0], 1.0)), shape)


def lecun_uniform(rng: Generator, shape: tuple[int, ...]) -> Numbers:
    """Uniform with variance 1 / inputs (LeCun et al. 1998)."""
    bound = math.sqrt(3.0 / max(_fans(shape)[0], 1.0))
    return rng.uniform(-bound, bound, shape)


def lecun_normal(rng: Generator, shape: tuple[int, ...]) -> Numbers:
    """Normal with variance 1 / inputs (LeCun et al. 1998)."""
    return rng.normal(0.0, math.sqrt(1.0 / max(_fans(shape)[0], 1.0)), shape)


def orthogonal(rng: Generator, shape: tuple[int, ...]) -> Numbers:
    """Rows or columns of unit length at right angles (Saxe et al. 2014), so that products keep lengths."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return (q if rows >= columns else q.T).reshape(shape)


RULES: MappingProxyType[str, Rule] = MappingProxyType(
    {
        f.__name__: f
        for f in (
            zeros, ones, forget_one, uniform, normal, glorot_uniform, glorot_normal, he_uniform, he_normal,
            lecun_uniform, lecun_normal, orthogonal,
        )
    }
)  # fmt: skip


def draw(rule: str | Rule, shape: tuple[int, ...], *, seed: int, key: str) -> Numbers:
    """First values by a rule or by the rule of that name; the same (seed, key) gives the same numbers on every machine.

    Raises:
        ArgumentError: There is no such rule.
    """
    if isinstance(rule, str):
        if rule not in RULES:
            raise ArgumentError(
                f"an initializer must be one of {', '.join(RULES)}", got=repr(rule), fix="Choose a name from the list."
            )
        rule = RULES[rule]
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return rule(np.random.default_rng([seed, int.from_bytes(digest, "little")]), shape)
