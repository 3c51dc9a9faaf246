from __future__ import annotations

import pytest

from ostinato.data import Cleaning, examples, read_panel
from ostinato.errors import ArgumentError


def test_airline() -> None:
    panel = read_panel(examples.path("airline"))
    values = panel["passengers"].values
    assert (len(panel), panel.total, str(panel.freq), panel.columns.time) == (1, 144, "MS", "month")
    assert values[:4].tolist() == [112, 118, 132, 129]
    assert (values[-1], values.max(), values.sum()) == (432, 622, 40363)


def test_co2() -> None:
    panel = read_panel(examples.path("co2"), cleaning=Cleaning(missing="mask"))
    series = panel["co2"]
    assert (panel.total, int((~series.observed).sum()), str(panel.freq)) == (2284, 59, "W")
    assert (series.values[0], series.values[-1]) == (316.1, 371.5)


def test_names() -> None:
    assert examples.names() == ("airline", "co2")
    with pytest.raises(ArgumentError, match="airline, co2"):
        examples.path("../co2")
