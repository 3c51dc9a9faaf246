"""What a call of a kernel must look like: every shape that does not fit is refused, whichever kernel it would get."""

from __future__ import annotations

import pytest
import torch
from tests.laws.problems import BATCH, TIME, UNITS, problem

from ostinato.cells import CELLS
from ostinato.errors import ArgumentError, ShapeError
from ostinato.kernels import KERNELS, Call, force, scan

WRONG = {
    "two axes": lambda call: call._replace(x=call.x[0]),
    "other features": lambda call: call._replace(x=call.x[..., :-1]),
    "too few states": lambda call: call._replace(state=call.state[:-1]),
    "too many states": lambda call: call._replace(state=(*call.state, call.state[0])),
    "other units": lambda call: call._replace(state=tuple(s[:, :-1] for s in call.state)),
    "other rows": lambda call: call._replace(state=tuple(s[:-1] for s in call.state)),
    "mask of numbers": lambda call: call._replace(mask=torch.ones(BATCH, TIME)),
    "short mask": lambda call: call._replace(mask=torch.ones(BATCH, TIME - 1, dtype=torch.bool)),
    "narrow W": lambda call: call._replace(w={**call.w, "W": call.w["W"][:, :-1]}),
    "low U": lambda call: call._replace(w={**call.w, "U": call.w["U"][:-1]}),
    "narrow U": lambda call: call._replace(w={**call.w, "U": call.w["U"][:, :-1]}),
    "short b": lambda call: call._replace(w={**call.w, "b": call.w["b"][:-1]}),
    "short extra weights": lambda call: call._replace(w={**call.w, **{k: call.w[k][:-1] for k in call.cell.extra()}}),
}


def run(call: Call) -> None:
    scan(call.cell, call.w, call.x, call.state, mask=call.mask)


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("name", CELLS)
def test_what_does_not_fit_is_refused(name, change):
    call = problem(CELLS[name](UNITS)).call(torch.float32)
    run(call)
    if change is WRONG["short extra weights"] and not call.cell.extra():
        return
    with pytest.raises(ShapeError, match=r"must (be|get)") as caught:
        run(change(call))
    assert caught.value.got
    for kernel in KERNELS:
        if KERNELS[kernel].why_not(call) is None:
            with force(kernel), pytest.raises(ShapeError):
                run(change(call))


@pytest.mark.parametrize("part", ["x", "state", "mask", "U"])
@pytest.mark.parametrize("name", CELLS)
def test_one_call_is_on_one_device(name, part):
    call = problem(CELLS[name](UNITS)).call(torch.float32, mask=torch.ones(BATCH, TIME, dtype=torch.bool))
    away = {
        "x": call._replace(x=call.x.to("meta")),
        "state": call._replace(state=tuple(s.to("meta") for s in call.state)),
        "mask": call._replace(mask=call.mask.to("meta")),
        "U": call._replace(w={**call.w, "U": call.w["U"].to("meta")}),
    }[part]
    with pytest.raises(ArgumentError, match=r"one device.*cpu, meta"):
        run(away)


def test_there_is_no_other_kernel():
    with pytest.raises(ArgumentError, match=", ".join(KERNELS)), force("fast"):
        raise AssertionError
