"""What a lower precision costs, on the user's own data."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.errors import ArgumentError
from ostinato.runtime.forecaster import Forecaster
from ostinato.runtime.generator import Generator
from ostinato.runtime.models import Network


class Cost(NamedTuple):
    """Differences of outputs to exact ones, in standard deviations of the latter.

    They are infinite if outputs differ though all exact ones are the same number.

    Args:
        largest: The largest one.
        root_mean_square: Over all outputs.
    """

    largest: float
    root_mean_square: float

    def __str__(self) -> str:
        return self.beside("float32")

    def beside(self, exact: str) -> str:
        """The cost in words; `exact` says what was compared with."""
        return (
            f"largest difference to {exact} {self.largest:.2g}, root mean square {self.root_mean_square:.2g} "
            "(1 = the standard deviation of the network's outputs)"
        )


def precision_cost(
    model: Network | Forecaster | Generator, data: Any = None, *, mask: ArrayLike | None = None, precision: str = "bf16"
) -> Cost:
    """How far the outputs of `model` in `precision` are from those in float32. Computes both.

    Args:
        model: As `load` gives it, in any precision.
        data: The inputs of a `Network`; histories for a `Forecaster`, None for those of training; a text or tune for a
            `Generator`. A forecaster's outputs are compared in the unit of each series, so that all series count the
            same, and a generator's are the nats that each symbol costs.
        mask: For a `Network`, as in its `predict`.
        precision: What to compare with float32.

    Raises:
        KernelError: This processor or a layer's cell has no such products.
        ArgumentError: There are no outputs to compare, or no such precision.
    """
    if isinstance(model, Forecaster):
        x = seen(model, data)
        return compare(model.at("float32").answer(x), model.at(precision).answer(x))
    if isinstance(model, Generator):
        ids = model.ids(data)[1:]
        return compare(model.at("float32").surprise(ids), model.at(precision).surprise(ids))
    return compare(model.at("float32").predict(data, mask=mask), model.at(precision).predict(data, mask=mask))


def compare(exact: NDArray[Any], rough: NDArray[Any]) -> Cost:
    """The cost of `rough` beside `exact`, arrays of one shape."""
    if not exact.size:
        raise ArgumentError("there must be outputs to compare", got="none", fix="Pass at least one sample.")
    wide = exact.astype(np.float64)
    off, spread = np.abs(rough - wide), float(wide.std())
    sizes = float(off.max()), float(np.sqrt(np.mean(off * off)))
    return Cost(*(size / spread if spread > 0.0 else float("inf" if size else 0.0) for size in sizes))


def seen(model: Forecaster, data: Any) -> NDArray[np.float32]:
    """What the networks see of these histories `[windows, length, 1]`; of those of training if `data` is None."""
    if data is None:
        return model.frame(model.known.tails, model.known.spreads).x
    panel = model.read(data)
    return model.frame(np.stack([model.window(one) for one in panel.series]), model.spreads(panel)).x
