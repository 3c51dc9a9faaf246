"""Weights that are kept in the order of the compiled loops are never stale, however they were written to."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ostinato.nn
from ostinato.kernels import force, kept
from ostinato.runtime import native
from ostinato.train.flat import Flat
from ostinato.train.optimisers import SGD, Adam

pytestmark = pytest.mark.skipif(native.available() is not None, reason=str(native.available()))

KINDS = {"RNN": ostinato.nn.RNN, "LSTM": ostinato.nn.LSTM, "GRU": ostinato.nn.GRU}
X = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _nothing_kept():
    kept._ENTRIES.clear()


def module(kind: str = "LSTM", *, features: int = 4, **options: object) -> nn.Module:
    """A drop-in in evaluation mode."""
    torch.manual_seed(1)
    return KINDS[kind](features, 6, batch_first=True, **options).eval()


def outputs(m: nn.Module) -> Tensor:
    """What the module gives, by the compiled loops."""
    with torch.no_grad(), force("native"):
        return m(X)[0]


def truth(m: nn.Module) -> Tensor:
    """What it must give: a twin at another place has nothing kept."""
    before = dict(kept._ENTRIES)
    try:
        return outputs(copy.deepcopy(m))
    finally:
        kept._ENTRIES.clear()
        kept._ENTRIES.update(before)


def in_use() -> int:
    """How many packed weights there are."""
    return sum(entry.packed is not None for entry in kept._ENTRIES.values())


def _first(m: nn.Module, name: str) -> nn.Parameter:
    return getattr(m, name)


def _under_no_grad(m: nn.Module, name: str) -> None:
    with torch.no_grad():
        _first(m, name).add_(0.25)


def _through_data(m: nn.Module, name: str) -> None:
    _first(m, name).data.add_(0.25)


def _one_number(m: nn.Module, name: str) -> None:
    _first(m, name).data.view(-1)[-1] += 0.25


def _copy(m: nn.Module, name: str) -> None:
    with torch.no_grad():
        _first(m, name).copy_(torch.randn_like(_first(m, name)))


def _other_data(m: nn.Module, name: str) -> None:
    _first(m, name).data = _first(m, name).data + 0.25


def _state_dict(m: nn.Module, name: str) -> None:
    m.load_state_dict({**m.state_dict(), name: torch.randn_like(_first(m, name))})


def _assigned(m: nn.Module, name: str) -> None:
    m.load_state_dict({**m.state_dict(), name: torch.randn_like(_first(m, name))}, assign=True)


def _numpy(m: nn.Module, name: str) -> None:
    array = _first(m, name).detach().numpy()
    array += np.float32(0.25)


def _optimiser(step: Callable[[Flat], None]) -> Callable[[nn.Module, str], None]:
    def write(m: nn.Module, name: str) -> None:
        flat = Flat(m.parameters())
        outputs(m), outputs(m), outputs(m)
        assert in_use()
        getattr(m, name).grad.fill_(1.0)
        step(flat)

    return write


def _torch_optimiser(m: nn.Module, name: str) -> None:
    _first(m, name).grad = torch.ones_like(_first(m, name))
    torch.optim.SGD([_first(m, name)], lr=0.5).step()


WRITES = {
    f.__name__[1:]: f
    for f in (
        _under_no_grad, _through_data, _one_number, _copy, _other_data, _state_dict, _assigned, _numpy,
        _torch_optimiser,
    )
} | {
    "flat_sgd": _optimiser(SGD(0.5).step),
    "flat_adam": _optimiser(lambda flat: (optimiser := Adam(0.1)).bind(flat) or optimiser.step(flat)),
    "flat_restore": _optimiser(lambda flat: flat.restore(flat.copy() + 0.25)),
}  # fmt: skip
"""Every way to write into a weight."""


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"])
@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_write_goes_unseen(kind, write, name):
    m = module(kind)
    before = [outputs(m) for _ in range(4)]
    assert in_use(), "the law could not fail"
    assert all(torch.equal(y, before[0]) for y in before)
    WRITES[write](m, name)
    for _ in range(4):
        assert torch.equal(outputs(m), truth(m))
    assert not torch.equal(outputs(m), before[0])
    assert in_use()


def test_what_is_kept_is_used(monkeypatch):
    calls = []
    real = native.packed
    monkeypatch.setattr(native, "packed", lambda *a, **k: (calls.append(0), real(*a, **k))[1])
    m = module(num_layers=2, bidirectional=True)
    for _ in range(6):
        outputs(m)
    assert len(calls) == 2 * 4
    for _ in range(3):
        m(X)[0].sum().backward()  # weights that learn are packed anew
    assert len(calls) == 2 * 4 + 3 * 8


def test_weights_that_go_take_what_was_kept_with_them():
    m = module(num_layers=2)
    for _ in range(3):
        outputs(m)
    assert in_use() == 2
    del m
    gc.collect()
    assert not kept._ENTRIES


def test_weights_in_a_place_that_others_had():
    for seed in range(20):  # the allocator gives the same places again
        torch.manual_seed(seed)
        m = ostinato.nn.GRU(4, 6, batch_first=True)
        for _ in range(3):
            assert torch.equal(outputs(m), truth(m))


def test_one_place_with_two_meanings():
    torch.manual_seed(0)
    m, other = module("RNN"), ostinato.nn.RNN(4, 6, batch_first=True, nonlinearity="relu").eval()
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        setattr(other, name, getattr(m, name))
    for _ in range(3):
        assert torch.equal(outputs(m), truth(m))
        assert torch.equal(outputs(other), truth(other))


def test_another_instruction_set(monkeypatch):
    m = module()
    for _ in range(3):
        for isa in native.module().engines():
            monkeypatch.setenv("OSTINATO_ISA", isa)
            assert torch.equal(outputs(m), truth(m))


def test_there_is_an_end_to_what_is_kept(monkeypatch):
    monkeypatch.setattr(kept, "_MOST", 3)
    m = module(num_layers=5)
    for _ in range(4):
        outputs(m)
        assert len(kept._ENTRIES) <= 3
    assert torch.equal(outputs(m), truth(m))


def test_without_gradients_there_is_no_tape(monkeypatch):
    tapes = []
    real = native.module().Run

    class Compiled:
        @staticmethod
        def Run(*args, **options):
            tapes.append(args[12])
            return real(*args, **options)

        Packed, Copy, share_openmp = native.module().Packed, native.module().Copy, native.module().share_openmp

    monkeypatch.setattr(native, "module", lambda: Compiled)
    m = module()
    outputs(m)
    m.requires_grad_(False)
    m(X)
    assert tapes == [False, False]
    m.requires_grad_(True)
    m(X)
    assert tapes == [False, False, True]
