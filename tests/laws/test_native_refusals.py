"""What the compiled kernels cannot compute: they say so beforehand, refuse it when asked, and nothing replaces them."""

from __future__ import annotations

import pytest
import torch
from tests.laws.problems import problem

from ostinato.cells import CELLS, Cell
from ostinato.cells.lstm import LSTM
from ostinato.errors import ArgumentError, KernelError
from ostinato.kernels import KERNELS, choose, force, scan
from ostinato.kernels.base import Call
from ostinato.runtime import native

pytestmark = pytest.mark.skipif(native.available() is not None, reason=str(native.available()))

NATIVE = KERNELS["native"]


def call(cell: Cell) -> Call:
    """Something that they can compute."""
    return problem(cell, batch=13, time=9, features=2).call(torch.float32)


def test_reasons():
    c = call(LSTM(4))
    assert choose(c).kernel == "native"
    for other, word in (
        (c._replace(x=c.x.double()), "float64"),
        (c._replace(noise=torch.ones(13, 4)), "dropout"),
        (c._replace(x=c.x[:0]), "empty"),
        (c._replace(cell=LSTM(4, activation="relu")), "activations"),
        (c._replace(w={k: v.double() for k, v in c.w.items()}), "float32"),
    ):
        reason = NATIVE.why_not(other)
        assert reason
        assert word in reason
    with force("native"), pytest.raises(KernelError, match="dropout"):
        scan(c.cell, c.w, c.x, c.state, noise=torch.ones(13, 4))


def test_the_environment_is_obeyed_or_refused(monkeypatch):
    monkeypatch.setenv("OSTINATO_ISA", "avx1024")
    assert "avx1024" in str(native.available())
    with pytest.raises(KernelError, match="avx1024"):
        native.engine()
    monkeypatch.delenv("OSTINATO_ISA")
    for text in ("0", "-1", "two", ""):
        monkeypatch.setenv("OSTINATO_THREADS", text)
        with pytest.raises(ArgumentError):
            native.threads(1)
    monkeypatch.setenv("OSTINATO_THREADS", "3")
    assert native.threads(1) == 3


def test_an_instruction_set_that_is_not_there_is_refused_not_replaced(monkeypatch):
    c = call(LSTM(4))
    monkeypatch.setenv("OSTINATO_ISA", "avx1024")
    with pytest.raises(KernelError, match="avx1024"):
        choose(c)
    with pytest.raises(KernelError, match="avx1024"):
        native.why_not(c.cell, c.x.detach().numpy())


@pytest.mark.parametrize("part", ["x", "state", "W", "U", "b", "b_rec"])
@pytest.mark.parametrize("grad", [True, False])
def test_what_why_not_refuses_is_refused_by_the_kernel_too(part, grad):
    cell = CELLS["gru_reset_after"](4)
    for wrong in (torch.float64, torch.float16, "meta"):
        c = call(cell)
        if part == "x":
            c = c._replace(x=c.x.to(wrong))
        elif part == "state":
            c = c._replace(state=tuple(s.to(wrong) for s in c.state))
        else:
            c = c._replace(w={**c.w, part: c.w[part].to(wrong)})
        assert NATIVE.why_not(c)
        with torch.set_grad_enabled(grad), pytest.raises(KernelError, match="float32 on the CPU"):
            NATIVE.forward(c)


def test_masks_and_noise_that_it_cannot_take_are_refused_by_the_kernel_too():
    c = call(LSTM(4))
    right = torch.ones(13, 9, dtype=torch.bool)
    for mask in (right.to(torch.uint8), right.float(), right[:, :8], right[:12], right.to("meta")):
        with pytest.raises(KernelError, match="bool mask"):
            NATIVE.forward(c._replace(mask=mask))
    with pytest.raises(KernelError, match="recurrent dropout"):
        NATIVE.forward(c._replace(noise=torch.ones(13, 4)))
