"""Streams that answer records: what `ostinato stream` reads and writes, whatever task the model is of."""

from __future__ import annotations

from typing import Any

from ostinato.errors import ArgumentError
from ostinato.runtime.forecaster import Forecaster
from ostinato.runtime.generator import Generator
from ostinato.runtime.models import Network
from ostinato.runtime.records.base import Record, Records
from ostinato.runtime.records.forecast import ForecastRecords
from ostinato.runtime.records.generate import GenerateRecords
from ostinato.runtime.records.network import NetworkRecords

__all__ = ["ForecastRecords", "GenerateRecords", "NetworkRecords", "Record", "Records", "records_of"]


def records_of(
    model: Network | Forecaster | Generator, *, nonfinite: str = "raise", name: str | None = None
) -> Records[Any]:
    """The records of a model.

    Args:
        model: As `ostinato.runtime.load` gives it.
        nonfinite: What its streams do about NaN and infinities; texts have none.
        name: The stream of records that name none.

    Raises:
        ArgumentError: A layer cannot run step by step, or there is no such policy.
        DataError: The model is one of music.
    """
    if isinstance(model, Network):
        return NetworkRecords(model, nonfinite=nonfinite, name=name)
    if isinstance(model, Forecaster):
        return ForecastRecords(model, nonfinite=nonfinite, name=name)
    if nonfinite != "raise":
        raise ArgumentError(
            "a policy for numbers must be for a model that reads numbers", got=f"nonfinite={nonfinite!r:.20} for text",
            fix="Leave it out.",
        )  # fmt: skip
    return GenerateRecords(model, name=name)
