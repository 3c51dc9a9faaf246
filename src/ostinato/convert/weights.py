"""A model with its weights in fewer bits, and what that costs on the user's own data."""

from __future__ import annotations

import os
from typing import NamedTuple

from ostinato.convert import cost
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
        cost: What the fewer bits did, in lines for a person: to the figures of `ostinato evaluate` where there is
            truth, and to the outputs.
    """

    size: int
    cost: list[str]


def save_smaller(
    path: str | os.PathLike[str],
    bundle: Bundle,
    store: str,
    data: str | os.PathLike[str] | None = None,
    targets: str | os.PathLike[str] | None = None,
) -> Smaller:
    """Write a model file whose matrices are stored as `store`, after measuring what that costs.

    Args:
        path: Where to.
        bundle: The model.
        store: "bf16" or "int8".
        data: What to measure on: for a forecaster a table, of which the last steps are held out (None: the histories
            of training, which leave only a difference of outputs), for a generator a text or music that it was not
            trained on, for a `Sequential` a .npy file of inputs.
        targets: For a `Sequential`, a .npy file: the cost is then its loss and metrics; needs torch.

    Raises:
        ArgumentError: There is no data to measure on, or there are targets for another model.
        DataError: It cannot be read.
        MissingDependency, NotBuiltError: There are targets, and torch is not installed, or there is no loss.
        ModelFileError: The file cannot be written, or a weight is not finite.
    """
    members = bundle.manifest.members
    weights = [{name: rounded(v, store, members=members) for name, v in w.items()} for w in bundle.weights]
    found = _cost(bundle, Bundle(bundle.manifest, bundle.parts, weights, bundle.extra), data, targets)
    save(path, bundle, store=store)
    return Smaller(os.path.getsize(path), found)


def _cost(
    exact: Bundle, rough: Bundle, data: str | os.PathLike[str] | None, targets: str | os.PathLike[str] | None
) -> list[str]:
    one, two = from_bundle(exact), from_bundle(rough)
    if targets is not None and (data is None or not isinstance(one, Network)):
        raise ArgumentError(
            "targets must only be given for a Sequential, beside its inputs",
            got="no data" if isinstance(one, Network) else "a model whose data hold them",
            fix="Pass the inputs with --data." if isinstance(one, Network) else "Leave them out.",
        )
    if isinstance(one, Forecaster) and isinstance(two, Forecaster):
        return _of_forecasters(exact, rough, one, two, data)
    if data is None:
        raise ArgumentError(
            "data must be given, so that the cost can be measured on it",
            got="none",
            fix="Pass a text for a generator, a .npy file of inputs for a Sequential, with --data.",
        )
    if isinstance(one, Generator) and isinstance(two, Generator):
        before, after = (model.evaluate([os.fspath(data)]) for model in (one, two))
        return [
            f"{after.nats:.4f} nats a symbol instead of {before.nats:.4f}, perplexity {after.perplexity:.3f} instead "
            f"of {before.perplexity:.3f} ({before.symbols} symbols)"
        ]
    assert isinstance(one, Network), "a model is one of three kinds"
    assert isinstance(two, Network), "both are of one kind"
    x = read_array(data)
    difference = compare(one.predict(x), two.predict(x)).beside(_BEFORE)
    if targets is None:
        return cost.without_truth(difference, "pass targets, too, for loss and metrics")
    return cost.of_network(exact, rough, x, read_array(targets), difference)


def _of_forecasters(
    exact: Bundle, rough: Bundle, one: Forecaster, two: Forecaster, data: str | os.PathLike[str] | None
) -> list[str]:
    panel = None if data is None else one.read(os.fspath(data))
    x = seen(one, panel)
    difference = compare(one.answer(x), two.answer(x)).beside(_BEFORE)
    if panel is None:
        return cost.without_truth(difference, cost.NO_VALUES)
    from ostinato.tasks.forecast import Forecast

    return cost.of_forecasts(Forecast.from_bundle(exact), Forecast.from_bundle(rough), panel, difference)
