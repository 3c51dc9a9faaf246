"""Recurrent layers off the CPU: torch's fused loops where there are some, else the plain formula, on the same device.

Without a GPU the "meta" device stands for one: it has shapes but no numbers, and mixes with nothing.
"""

from __future__ import annotations

import pytest
import torch
from tests.laws.problems import RAGGED, begin, problem
from tests.laws.tolerance import as_good_as
from torch import Tensor

import ostinato.nn
from ostinato.cells import CELLS
from ostinato.kernels import KERNELS
from ostinato.kernels.base import Call, Kernel
from ostinato.kernels.choose import choose

FUSED = {"lstm", "gru_reset_after", "simple_rnn"}
"""What cuDNN computes."""
GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"))


def on(device: str, call: Call) -> Call:
    """The call with leaves on another device."""

    def leaf(x: Tensor) -> Tensor:
        return x.detach().to(device).requires_grad_()

    w = {name: leaf(value) for name, value in call.w.items()}
    state = begin(call.cell, w, tuple(leaf(s) for s in call.state))
    return call._replace(w=w, x=leaf(call.x), state=state, mask=None if call.mask is None else call.mask.to(device))


@pytest.mark.parametrize("device", ["meta", GPU])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_chosen_and_computed_where_the_numbers_are(name: str, reverse: bool, device: str) -> None:
    call = on(device, problem(CELLS[name](4)).call(torch.float32, reverse=reverse))
    chosen, reasons = choose(call)
    assert chosen == ("aten" if name in FUSED else "reference")
    assert "native" in reasons
    y, state = KERNELS[chosen].forward(call)
    assert {y.device.type, *(s.device.type for s in state)} == {device}
    assert y.shape == (*call.x.shape[:2], 4)
    names = [key for key in call.w if not key.startswith("start_")]
    grads = torch.autograd.grad(y.sum() + sum(s.sum() for s in state), [call.x, *(call.w[key] for key in names)])
    assert [g.shape for g in grads] == [call.x.shape, *(call.w[key].shape for key in names)]


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("device", ["meta", GPU])
def test_drop_ins_move_to_a_device(name: str, device: str) -> None:
    layer = getattr(ostinato.nn, name)(3, 4, num_layers=2, bidirectional=True, batch_first=True).to(device)
    y, _ = layer(torch.zeros(2, 5, 3, device=device))
    y.sum().backward()
    assert (y.device.type, tuple(y.shape)) == (device, (2, 5, 8))
    assert all(p.grad is not None and p.grad.device.type == device for p in layer.parameters())


@pytest.mark.parametrize("device", [GPU])
@pytest.mark.parametrize("mask", [None, RAGGED], ids=["whole", "ragged"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_the_same_numbers_as_the_formula(name: str, reverse: bool, mask: Tensor | None, device: str) -> None:
    given = problem(CELLS[name](4))
    call = on(device, given.call(torch.float32, reverse=reverse, mask=mask))
    torch.backends.cuda.matmul.fp32_precision = torch.backends.cudnn.rnn.fp32_precision = "ieee"
    y, _ = KERNELS[choose(call).kernel].forward(call)
    truth, _ = Kernel().forward(given.call(torch.float64, reverse=reverse, mask=mask))
    peer, _ = Kernel().forward(on(device, call))
    as_good_as(y, truth, peer, what=f"{name} on {device}")
