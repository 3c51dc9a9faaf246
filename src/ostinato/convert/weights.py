"""A model with its weights in fewer bits, and what that costs on the user's own data."""

from __future__ import annotations

import os
from typing import NamedTuple

from ostinato.data import read_array
from ostinato.errors import ArgumentError
from ostinato.runtime import Forecaster, Generator, Network
from ostinato.runtime.bundle import Bundle, save
from ostinato.runtime.models import from_bundle
from ostinato.runtime.precision import compare, seen
from ostinato.runtime.small_weights import rounded

Model = Network | Forecaster | Generator

_BEFORE = "the model that was read"
"""What outputs are compared with: its weights may have been stored in fewer bits already."""


class Smaller(NamedTuple):
    """What was written.

    Args:
        size: Bytes of the file.
        cost: What the fewer bits did to the outputs, for a person.
    """

    size: int
    cost: str


def save_smaller(
    path: str | os.PathLike[str], bundle: Bundle, store: str, data: str | os.PathLike[str] | None = None
) -> Smaller:
    """Write a model file whose matrices are stored as `store`, after measuring what that costs.

    Args:
        path: Where to.
        bundle: The model.
        store: "bf16" or "int8".
        data: What to measure on: for a forecaster a table of histories (None: those of training), for a generator a
            text or music that it was not trained on, for a `Sequential` a .npy file of inputs.

    Raises:
        ArgumentError: There is no data to measure on.
        DataError: It cannot be read.
        ModelFileError: The file cannot be written, or a weight is not finite.
    """
    members = bundle.manifest.members
    weights = [{name: rounded(v, store, members=members) for name, v in w.items()} for w in bundle.weights]
    cost = _cost(from_bundle(bundle), from_bundle(Bundle(bundle.manifest, bundle.parts, weights, bundle.extra)), data)
    save(path, bundle, store=store)
    return Smaller(os.path.getsize(path), cost)


def _cost(
    exact: Network | Forecaster | Generator,
    rough: Network | Forecaster | Generator,
    data: str | os.PathLike[str] | None,
) -> str:
    if isinstance(exact, Forecaster) and isinstance(rough, Forecaster):
        x = seen(exact, None if data is None else os.fspath(data))
        return compare(exact.answer(x), rough.answer(x)).beside(_BEFORE)
    if data is None:
        raise ArgumentError(
            "data must be given, so that the cost can be measured on it",
            got="none",
            fix="Pass a text for a generator, a .npy file of inputs for a Sequential, with --data.",
        )
    if isinstance(exact, Generator) and isinstance(rough, Generator):
        one, two = (model.evaluate([os.fspath(data)]) for model in (exact, rough))
        return (
            f"{two.nats:.4f} nats a symbol instead of {one.nats:.4f}, perplexity {two.perplexity:.3f} instead of "
            f"{one.perplexity:.3f} ({one.symbols} symbols)"
        )
    assert isinstance(exact, Network), "a model is one of three kinds"
    assert isinstance(rough, Network), "both are of one kind"
    x = read_array(data)
    return compare(exact.predict(x), rough.predict(x)).beside(_BEFORE)
