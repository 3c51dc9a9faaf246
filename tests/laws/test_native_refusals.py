"""What the compiled kernels cannot compute: they say so beforehand, refuse it when asked, and nothing replaces them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.laws.problems import problem

from ostinato.cells import CELLS, Cell
from ostinato.cells.lstm import LSTM
from ostinato.errors import ArgumentError, KernelError, ShapeError
from ostinato.kernels import KERNELS, choose, force, scan
from ostinato.kernels.base import Call
from ostinato.maps.dense import Dense
from ostinato.runtime import native
from ostinato.runtime.machine import Machine
from ostinato.scans.recurrent import Recurrent

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


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["x", "start h", "W", "U", "b", "b_rec"])
def test_what_lost_its_shape_before_the_backward_pass_is_refused(name, compiled):
    c = call(CELLS["gru_reset_after"](4))
    c = c._replace(state=tuple(s.detach().requires_grad_() for s in c.state))

    def run(x):
        return scan(c.cell, c.w, x, c.state)[0]

    torch._dynamo.reset()
    y = (torch.compile(run, fullgraph=True, backend="eager") if compiled else run)(c.x)
    changed = {**c.w, "x": c.x, "start h": c.state[0]}[name]
    changed.data = changed.data[:, :1] if name == "x" else changed.data[:1]
    with pytest.raises(ShapeError, match=r"must (be|keep)"):
        y.sum().backward()


def test_the_operation_of_the_graph_looks_at_shapes_itself():
    def empty(*shape):
        return torch.zeros(shape)

    with pytest.raises(ShapeError, match="the weight U"):
        torch.ops.ostinato.scan(
            empty(2, 3, 4), empty(2, 8), None, empty(4, 8), empty(1, 1), empty(8), None, None, 0, 8, False, False
        )


@pytest.mark.parametrize("name", ["W", "U", "b", "b_rec"])
@pytest.mark.parametrize("kind", CELLS)
def test_arrays_of_other_shapes_are_refused_below_torch(kind, name):
    cell = CELLS[kind](4)
    w = {key: np.zeros(weight.shape, np.float32) for key, weight in cell.weights(2).items()}
    x, state = np.zeros((3, 5, 2), np.float32), (np.zeros((3, 4), np.float32),) * len(cell.states)
    for key in w if name == "b_rec" else [name]:
        wrong = {**w, key: w[key][..., :-1]}
        with pytest.raises(ShapeError, match=f"the weight {key} of"):
            Machine([Recurrent(cell)], [wrong]).run(x, states=[state])
    missing = {key: value for key, value in w.items() if key != "b"}
    with pytest.raises(ShapeError, match="the weight b of"):
        Machine([Recurrent(cell)], [missing]).run(x, states=[state])


@pytest.mark.parametrize("wrong", [np.zeros(2, np.float32), np.zeros((1, 3), np.float32)])
def test_a_bias_of_another_shape_is_refused(wrong):
    w = {"W": np.zeros((2, 3), np.float32), "b": wrong}
    with pytest.raises(ShapeError, match="the weight b of Dense"):
        Machine([Dense(3)], [w]).run(np.zeros((4, 2), np.float32))
