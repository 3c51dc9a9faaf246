"""Every saboteur is caught by a law, and every law catches a saboteur."""

from __future__ import annotations

import functools

import pytest
import torch
from tests.laws.recurrence import LAWS
from tests.saboteurs.wrong import HONEST, SABOTEURS, Saboteur


def caught_by(saboteur: Saboteur) -> frozenset[str]:
    """The laws that refuse the saboteur."""
    found = set()
    for name, law in LAWS.items():
        try:
            law(saboteur.kernel, saboteur.cell, torch.float32)
        except AssertionError:
            found.add(name)
    return frozenset(found)


@functools.cache
def everything() -> dict[str, frozenset[str]]:
    """All saboteurs with the laws that refuse them."""
    return {name: caught_by(saboteur) for name, saboteur in SABOTEURS.items()}


EXPECTED: dict[str, set[str]] = {
    "StatesSwapped": {"start", "chunked", "reference"},
    "FinalStatesSwapped": {"start", "chunked", "reference", "final"},
    "GatesPermuted": {"formula", "reference", "numpy_loop"},
    "BiasDropped": {"formula", "reference", "numpy_loop"},
    "LastWeightIsTheBias": {"reference", "numpy_loop"},
    "RecurrentTransposed": {"formula", "reference", "numpy_loop"},
    "LengthOffByOne": {"padding", "reference", "chunked"},
    "LastStepSkipped": {"final", "reference", "chunked"},
    "MaskIgnored": {"padding", "reference", "empty"},
    "MaskedOutputsLeftStanding": {"padding", "reference", "empty"},
    "StateMovesAtMaskedSteps": {"padding", "reference", "empty"},
    "ZeroLengthStepsOnce": {"empty"},
    "NaNAtZeroLength": {"empty"},
    "PaddingPoisonsGradients": {"empty"},
    "ReverseNotUndone": {"backwards", "reference", "chunked"},
    "ReverseIgnored": {"backwards", "reference", "chunked"},
    "ReverseTurnsPaddingToo": {"backwards", "reference"},
    "StartStateIgnored": {"start", "reference", "chunked"},
    "SecondStateIgnored": {"start", "reference", "chunked"},
    "StartStateDetached": {"reference", "slopes"},
    "RecurrentWeightsDetached": {"reference", "slopes"},
    "StaleTape": {"reference", "slopes"},
    "OneStepOfGradient": {"reference", "slopes"},
    "RowsMixed": {"batch", "reference", "chunked"},
    "StartStatesUnsorted": {"batch", "reference", "chunked"},
    "BatchNormalised": {"batch", "reference"},
    "NoiseIgnored": {"noise"},
    "NoiseOnTheState": {"noise"},
    "NoiseOfTheFirstRow": {"noise"},
    "HalfPrecisionInside": {"reference", "formula"},
    "CoarseTanh": {"reference", "formula"},
    "ResetAfterForBefore": {"formula"},
    "ZWeighsTheOldState": {"formula"},
    "ZWeighsTheNewState": {"formula"},
    "RecurrentBiasOutsideR": {"formula"},
    "ForgetAndInputSwapped": {"formula"},
    "OldCellInOutput": {"formula"},
    "NoNonlinearity": {"formula"},
    "StateShapedByBatch": {"batch", "padding"},
    "CutTape": {"slopes"},
    "SecondDerivativeLost": {"double"},
}
"""The laws that must refuse each saboteur, with every cell that it is tried on; others may as well."""

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own forward mode calls it


@pytest.mark.parametrize("name", SABOTEURS)
def test_saboteur_is_refused(name: str) -> None:
    caught = everything()[name]
    missed = EXPECTED[name.partition(" ")[0]] - caught
    assert not missed, f"{', '.join(missed)} let {name} pass; refused by: {', '.join(sorted(caught)) or 'nobody'}"


def test_every_law_refuses_some_saboteur() -> None:
    assert set().union(*everything().values()) == set(LAWS)


def test_the_honest_pass_every_law() -> None:
    for honest in HONEST:
        assert not caught_by(honest), honest
