"""ostinato's drop-ins, and the torch that is installed, against numbers that torch once gave (see make_torch.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.golden.make_torch import FEATURES, LENGTHS, MODULES, UNITS, measure
from tests.laws.tolerance import same

import ostinato.nn
from ostinato.kernels import KERNELS, force
from ostinato.runtime import native

GOLDEN = json.loads(Path(__file__).with_name("torch.json").read_text(encoding="utf-8"))
CASES = {case["name"]: case for case in GOLDEN["cases"]}


def _compare(cls, case, dtype=torch.float64):
    options = MODULES[case["name"]][1]
    module = cls(FEATURES, UNITS, num_layers=2, bidirectional=True, dtype=dtype, **options)
    weights = {name: torch.tensor(value, dtype=dtype) for name, value in case["weights"].items()}
    module.load_state_dict(weights, strict=True)
    states = [torch.tensor(s, dtype=dtype) for s in case["states"]]
    results = measure(module, torch.tensor(case["x"], dtype=dtype), states)
    assert results.keys() == case["results"].keys()
    for name, value in results.items():
        same(torch.tensor(value, dtype=dtype), case["results"][name], what=f"{name} of {case['name']}")


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_drop_ins_give_the_golden_numbers(case, kernel):
    if kernel == "native" and native.available() is not None:
        pytest.skip(str(native.available()))
    with force(kernel):
        dtype = torch.float32 if kernel == "native" else torch.float64
        _compare(getattr(ostinato.nn, case["name"].split()[0]), case, dtype)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_installed_torch_gives_the_golden_numbers(case):
    _compare(MODULES[case["name"]][0], case)


def test_the_golden_numbers_say_what_made_them():
    assert GOLDEN["made_by"]["torch"]
    assert GOLDEN["lengths"] == LENGTHS
    assert set(CASES) == set(MODULES)
