"""What fewer bits cost: the figures of `ostinato evaluate` with and without them, where the user's data hold the truth.

Where they do not there is only a difference of outputs, which says nothing about right or wrong.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ostinato._optional import require
from ostinato.errors import DataError, DataWarning

if TYPE_CHECKING:
    from ostinato.data import Panel
    from ostinato.runtime.bundle import Bundle
    from ostinato.tasks.forecast import Forecast


NO_VALUES = "pass a table, whose last steps are held out, for scores"
"""Why there are no scores of a forecaster that was given nothing."""


def without_truth(difference: str, why: str) -> list[str]:
    """The lines of a cost that is known by the `difference` of outputs alone, and `why`."""
    return [f"{difference}; a difference of outputs, not an error: {why}"]


def of_forecasts(exact: Forecast, rough: Forecast, panel: Panel, difference: str) -> list[str]:
    """The cost in lines: scores on the last steps of each series, as `Forecast.evaluate` holds them out.

    Args:
        exact, rough: The model in all its bits, and in fewer.
        panel: Series; some may be too short to be evaluated, or unknown in all those steps: then this is said.
        difference: That of the outputs, in words.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* were not in training", DataWarning)  # said with the difference
            before = exact.evaluate(panel)
    except DataError as error:
        where = f" ({error.where[0]})" if error.where else ""
        return without_truth(difference, f"{error.rule}, got {error.got}{where}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # said already
        after = rough.evaluate(panel)
    figures = beside(*({name: float(e.table[name][0]) for name in e.table.columns[1:]} for e in (before, after)))
    return [f"{figures} ({before.windows} forecasts of the held-out steps)", f"{difference}; a difference of outputs"]


def of_network(exact: Bundle, rough: Bundle, x: Any, y: Any, difference: str) -> list[str]:
    """The cost in lines: the loss and the metrics that a `Sequential` was compiled with, for inputs `x`, targets `y`.

    Raises:
        MissingDependency: torch is not installed.
        NotBuiltError: The model was not compiled.
        ShapeError, DataError: As for `Sequential.evaluate`.
    """
    require("torch", purpose="to evaluate a Sequential")
    from ostinato.models.loading import from_bundle

    figures = beside(*(from_bundle(bundle).evaluate(x, y, return_dict=True) for bundle in (exact, rough)))
    return [f"{figures} ({len(x)} samples)", f"{difference}; a difference of outputs"]


def beside(exact: Mapping[str, float], rough: Mapping[str, float]) -> str:
    """Figures side by side; those that the data do not define (NaN) are left out."""
    return ", ".join(
        f"{name} {rough[name]:.5g} instead of {value:.5g}" for name, value in exact.items() if not math.isnan(value)
    )
