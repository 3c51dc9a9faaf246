"""First values of weights as objects with Keras' names and arguments."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.random import Generator

from ostinato.errors import ArgumentError
from ostinato.layers.initialisers import RULES, Numbers, Rule
from ostinato.layers.seeds import check_seed


class Initializer:
    """A rule for first values; with a `seed` of its own it draws the same numbers whatever the model's seed."""

    seed: int | None = None

    def __post_init__(self) -> None:
        if self.seed is not None:
            check_seed(self.seed)

    def __call__(self, rng: Generator, shape: tuple[int, ...]) -> Numbers:
        """First values of `shape`."""
        return self.draw(rng if self.seed is None else np.random.default_rng(self.seed), shape)

    def draw(self, rng: Generator, shape: tuple[int, ...]) -> Numbers:
        """First values from `rng`; by default by the rule whose name is the class's."""
        return RULES[_snake(type(self).__name__)](rng, shape)


@dataclass(frozen=True)
class Seeded(Initializer):
    """A rule without settings.

    Args:
        seed: Draw the same numbers whatever the model's seed and the layer's place; None follows the model's seed.
    """

    seed: int | None = None


class Zeros(Seeded):
    """All 0."""


class Ones(Seeded):
    """All 1."""


class GlorotUniform(Seeded):
    """Uniform in ±sqrt(6 / (inputs + outputs))."""


class GlorotNormal(Seeded):
    """Normal with variance 2 / (inputs + outputs)."""


class HeUniform(Seeded):
    """Uniform with variance 2 / inputs."""


class HeNormal(Seeded):
    """Normal with variance 2 / inputs."""


class LecunUniform(Seeded):
    """Uniform with variance 1 / inputs."""


class LecunNormal(Seeded):
    """Normal with variance 1 / inputs."""


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """Rows or columns at right angles, of length `gain`."""

    gain: float = 1.0
    seed: int | None = None

    def draw(self, rng: Generator, shape: tuple[int, ...]) -> Numbers:
        return self.gain * RULES["orthogonal"](rng, shape)


@dataclass(frozen=True)
class RandomNormal(Initializer):
    """Normal with a mean and a standard deviation."""

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def draw(self, rng: Generator, shape: tuple[int, ...]) -> Numbers:
        return rng.normal(self.mean, self.stddev, shape)


@dataclass(frozen=True)
class RandomUniform(Initializer):
    """Uniform between two bounds."""

    minval: float = -0.05
    maxval: float = 0.05
    seed: int | None = None

    def draw(self, rng: Generator, shape: tuple[int, ...]) -> Numbers:
        return rng.uniform(self.minval, self.maxval, shape)


@dataclass(frozen=True)
class Constant(Initializer):
    """All the same number, or the numbers of an array of the weight's own shape."""

    value: Any = 0.0

    def draw(self, rng: Generator, shape: tuple[int, ...]) -> Numbers:
        given = np.asarray(self.value)
        if given.dtype.kind not in "fiub" or given.shape not in ((), shape) or not np.isfinite(given).all():
            raise ArgumentError(
                f"a constant must be a finite number, or an array of the weight's shape {shape}",
                got=f"{given.dtype} of shape {given.shape}",
                fix="Pass one of them; nothing is broadcast.",
            )
        return np.full(shape, given, dtype=np.float64)


@dataclass(frozen=True)
class ForgetOne(Initializer):
    """An LSTM's bias by another rule, but 1 in the forget gate.

    Args:
        rule: The rule of the other gates.
    """

    rule: str | Rule = "zeros"

    def draw(self, rng: Generator, shape: tuple[int, ...]) -> Numbers:
        rule = RULES[self.rule] if isinstance(self.rule, str) else self.rule
        b = rule(rng, shape).reshape(4, -1).copy()
        b[1] = 1.0
        return b.reshape(shape)


def _snake(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))


OBJECTS = (
    Zeros, Ones, GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, Orthogonal, RandomNormal,
    RandomUniform,
)  # fmt: skip

BY_NAME = MappingProxyType({_snake(cls.__name__): cls() for cls in OBJECTS} | {cls.__name__: cls() for cls in OBJECTS})
"""Initialisers by both spellings that Keras has."""


def initialiser(argument: str, choice: object) -> str | Rule | None:
    """The rule that a layer's argument names; None, or the default's name, leaves the layer's own.

    Raises:
        ArgumentError: It is neither a known name nor an initialiser.
    """
    if choice is None or isinstance(choice, Initializer):
        return choice
    if isinstance(choice, str) and choice in BY_NAME:
        return BY_NAME[choice]
    if isinstance(choice, type) and issubclass(choice, Initializer):
        return choice()
    raise ArgumentError(
        f"{argument} must be one of {', '.join(k for k in BY_NAME if k.islower())}, or an object of these classes",
        got=repr(choice),
        fix="Choose a name from the list.",
    )
