"""Any option of a cell, layer, loss, optimiser, schedule or callback is taken, or refused in words."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from tests.laws.examples import EXAMPLES

from ostinato import layers, losses, train
from ostinato.cells import CELLS
from ostinato.cells.lstm import LSTM
from ostinato.errors import ArgumentError, OstinatoError
from ostinato.losses import named
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

VALUES = (
    None, True, -1, 0, 0.5, 1.5, math.nan, math.inf, 2**70, -(2**70), "nonsense", "", [], (), {}, object(), b"x", 1j,
)  # fmt: skip
PARTS = [*(cell(3) for cell in CELLS.values()), *{type(part): part for part, _ in EXAMPLES}.values(),
         Recurrent(LSTM(3)), Bidirectional(Recurrent(LSTM(3)))]  # fmt: skip
FITS: dict[str, Callable[[Any], bool]] = {
    "bool": lambda v: isinstance(v, bool),
    "int": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "float": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v),
    "str": lambda v: isinstance(v, str),
}
"""What the type of a field lets through."""

INNER = {"Layer", "Stack", "StepModule"}
"""Classes that are made by others, which check for them."""
NEEDED = {
    "activation": "tanh", "boundaries": [3], "filename": "log.csv", "filepath": "m", "layer": layers.LSTM(3),
    "cell": LSTM(3), "quantiles": (0.1, 0.9), "rate": 0.5, "schedule": lambda epoch: 0.1, "target_shape": (2, 2),
    "values": [0.1, 0.01],
}  # fmt: skip
"""Arguments without a default for which 2 does not do."""

SPECIAL = {
    layers.Input: {"shape": (3,)}, layers.InputLayer: {"input_shape": (3,)},
    layers.TimeDistributed: {"layer": layers.Dense(3)},
}  # fmt: skip


def _makers() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for module in (layers, losses, train):
        for name in module.__all__:
            cls = getattr(module, name)
            if inspect.isclass(cls) and name not in INNER and not inspect.isabstract(cls) and _needed(cls) is not None:
                found[f"{module.__name__}.{name}"] = cls
    named_losses = {name: make for name, make in vars(named).items() if inspect.isfunction(make) and name[0].isupper()}
    return found | {f"ostinato.losses.{name}": make for name, make in named_losses.items()}


def _arguments(make: Callable[..., Any]) -> list[inspect.Parameter]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p for p in inspect.signature(make).parameters.values() if p.kind in named]


def _needed(make: Callable[..., Any]) -> dict[str, Any] | None:
    """Arguments with which it can be made, None if these do not do."""
    given = SPECIAL.get(make) or {p.name: NEEDED.get(p.name, 2) for p in _arguments(make) if p.default is p.empty}
    try:
        make(**given)
    except Exception:
        return None
    return given


def refused(make: Callable[[], object], what: str) -> bool:
    """Whether it is refused by an error that has all its parts; any other error fails."""
    found: Exception | None = None
    try:
        make()
    except Exception as error:
        found = error
    if found is None:
        return False
    assert isinstance(found, OstinatoError), f"{what}: {type(found).__name__}: {found}"
    assert found.rule, what
    assert found.got, what
    assert found.fix.endswith("."), what
    return True


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_parts_take_what_fits_the_type_of_a_field_and_nothing_else(part):
    for field in fields(part):
        fits = FITS.get(str(field.type))
        for value in VALUES:
            what = f"{field.name}={value!r}"
            no = refused(lambda: replace(part, **{field.name: value}), what)  # noqa: B023 (called at once)
            assert no or fits is None or fits(value), what
    assert replace(part) == part


@pytest.mark.parametrize("make", _makers().values(), ids=_makers())
def test_they_are_made_or_refused_in_words(make):
    given = _needed(make)
    for argument in _arguments(make):
        for value in VALUES:
            what = f"{argument.name}={value!r}"
            refused(lambda: make(**{**given, argument.name: value}), what)  # noqa: B023


def test_most_of_them_are_tried():
    found = _makers()
    assert len(found) > 50
    for name in (
        "layers.LSTM",
        "layers.Reshape",
        "losses.Huber",
        "losses.Quantile",
        "train.Adam",
        "train.EarlyStopping",
        "train.CSVLogger",
    ):
        assert f"ostinato.{name}" in found


@pytest.mark.parametrize("value", ["nonsense", None, math.nan, -1])
def test_a_callback_refuses_numbers_that_training_would_stumble_over(value):
    for make in (
        lambda: train.EarlyStopping(patience=value),
        lambda: train.EarlyStopping(start_from_epoch=value),
        lambda: train.ReduceLROnPlateau(factor=value),
        lambda: train.ReduceLROnPlateau(cooldown=value),
        lambda: train.ReduceLROnPlateau(min_lr=value),
        lambda: train.EarlyStopping(monitor=value if value is None else 3),
        lambda: train.CSVLogger("log.csv", separator=value),
    ):
        with pytest.raises(ArgumentError):
            make()
