"""PyTorch's fused loops: second derivatives, which cuDNN has not, weights in one block, which it wants, and refusals.

What only a GPU has stands in here: loops that can be derived once, and a block made by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from tests.laws.problems import RAGGED, compute, gradients, leaves, problem, weighted_sum
from tests.laws.tolerance import as_good_as, same
from torch import Tensor
from torch.autograd.function import once_differentiable

from ostinato.cells import CELLS, Cell
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.kernels import KERNELS, aten, scan
from ostinato.kernels.base import Kernel

ATEN, TRUTH = KERNELS["aten"], Kernel()
FUSED = [*(CELLS[name](4) for name in ("lstm", "gru_reset_after", "simple_rnn")), SimpleRNN(4, activation="relu")]
each = pytest.mark.parametrize("cell", FUSED, ids=lambda c: f"{type(c).__name__}-{c.activation}")
masks = pytest.mark.parametrize("mask", [None, RAGGED], ids=["dense", "masked"])


def once(loop: Callable[..., Any]) -> Callable[..., Any]:
    """One of torch's loops as cuDNN has it: with a first derivative only."""

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, call, *tensors):
            with torch.enable_grad():
                ctx.own = [t.detach().requires_grad_() for t in tensors]
                ctx.outputs = call(*ctx.own)
            return tuple(o.detach() for o in ctx.outputs)

        @staticmethod
        @once_differentiable
        def backward(ctx, *slopes):
            return None, *torch.autograd.grad(ctx.outputs, ctx.own, slopes)

    def run(x, *arguments):
        packed = isinstance(arguments[0], Tensor) and arguments[0].dtype is torch.int64
        sizes, (hx, weights, *rest) = arguments[:packed], arguments[packed:]
        states = [hx] if isinstance(hx, Tensor) else list(hx)
        n = len(states)

        def call(x, *tensors):
            return loop(x, *sizes, tensors[0] if n == 1 else list(tensors[:n]), list(tensors[n:]), *rest)

        return Once.apply(call, x, *states, *weights)

    return run


@each
@masks
def test_second_derivatives_are_those_of_the_formula(monkeypatch: pytest.MonkeyPatch, cell: Cell, mask: Tensor) -> None:
    monkeypatch.setattr(aten, "_FUNCTIONS", {key: once(loop) for key, loop in aten._FUNCTIONS.items()})

    def curvature(kernel: Kernel, dtype: torch.dtype) -> list[Tensor | None]:
        c = problem(cell).call(dtype, mask=mask)
        parts = list(leaves(c).values())
        slopes = torch.autograd.grad(weighted_sum(*compute(kernel, c)), parts, create_graph=True)
        return list(torch.autograd.grad(sum((g * g).sum() for g in slopes), parts, allow_unused=True))

    for dtype in (torch.float32, torch.float64):
        found = (curvature(ATEN, dtype), curvature(TRUTH, torch.float64), curvature(TRUTH, dtype))
        for got, truth, peer in zip(*found, strict=True):
            assert (got is None) == (truth is None)
            if got is not None:
                as_good_as(got, truth, peer, what="second derivative")


@each
@masks
def test_a_retained_graph_gives_the_same_gradients_again(cell: Cell, mask: Tensor) -> None:
    c = problem(cell).call(torch.float32, mask=mask)
    total = weighted_sum(*compute(ATEN, c))
    parts = list(leaves(c).values())
    first, second = torch.autograd.grad(total, parts, retain_graph=True), torch.autograd.grad(total, parts)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@each
@masks
def test_weights_are_one_block_for_cudnn(monkeypatch: pytest.MonkeyPatch, cell: Cell, mask: Tensor) -> None:
    c = problem(cell).call(torch.float64, mask=mask)
    before = {name: value.detach().clone() for name, value in leaves(c).items()}
    with torch.no_grad():
        expected = compute(ATEN, c)[0]
    truth = gradients(ATEN, c)
    made, used = [], []

    def flatten(weights, stride, features, mode, units, projection, layers, *, batch_first, bidirectional):
        """As `torch.nn.RNNBase.flatten_parameters` has it done: the tensors move into one block."""
        assert (stride, features, units, projection, layers, bidirectional) == (4, 2, 4, 0, 1, False)
        assert (mode, batch_first) == (aten._MODES[aten._key(cell)], True)
        block = torch.cat([w.reshape(-1) for w in weights])
        for w, piece in zip(weights, block.split([w.numel() for w in weights]), strict=True):
            w.set_(piece.view_as(w))
        made.append(block.data_ptr())

    def watch(loop):
        def run(x, *arguments):
            weights = next(a for a in arguments if isinstance(a, list) and len(a) == 4)
            used.append({w.untyped_storage().data_ptr() for w in weights})
            return loop(x, *arguments)

        return run

    monkeypatch.setattr(aten, "_FUNCTIONS", {key: watch(loop) for key, loop in aten._FUNCTIONS.items()})
    monkeypatch.setattr(torch.backends.cudnn.rnn, "get_cudnn_mode", lambda name: name)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.backends.cudnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cudnn, "is_acceptable", lambda x: True)
    monkeypatch.setattr(torch, "_cudnn_rnn_flatten_weight", flatten)
    with torch.no_grad():
        assert torch.equal(compute(ATEN, c)[0], expected)
    for name, g in gradients(ATEN, c).items():
        assert torch.equal(g, truth[name]), name
    assert used == [{at} for at in made]
    assert len(used) == 2
    assert all(torch.equal(value, before[name]) for name, value in leaves(c).items())


@each
def test_what_they_cannot_take_goes_elsewhere(cell: Cell) -> None:
    c = problem(cell).call(torch.float32)
    nothing = problem(cell, features=0).call(torch.float32)
    assert "empty" in str(ATEN.why_not(nothing))
    wide = tuple(s.double() for s in c.state)
    for other in (c._replace(state=wide), c._replace(w={**c.w, "U": c.w["U"].double()})):
        assert "must be torch.float32" in str(ATEN.why_not(other))


@each
@masks
def test_they_do_not_break_a_graph(cell: Cell, mask: Tensor) -> None:
    c = problem(cell).call(torch.float64, mask=mask)

    state = tuple(s.detach() for s in c.state)

    def run(x: Tensor) -> Tensor:
        return scan(cell, c.w, x, state, mask=mask)[0]

    torch._dynamo.reset()
    y = torch.compile(run, fullgraph=True, backend="aot_eager")(c.x)
    same(y, run(c.x), what="outputs")
    same(*(torch.autograd.grad(z.square().sum(), c.x)[0] for z in (y, run(c.x))), what="slopes")


@each
@masks
def test_slopes_in_bf16_are_as_exact_as_without_a_node_of_our_own(cell: Cell, mask: Tensor) -> None:
    """Autocast keeps the bf16 copy of a leaf; with it the slopes of all steps would be added up in bf16."""
    c = problem(cell, time=6).call(torch.float32, mask=mask)
    found = []
    for way in (ATEN.forward, lambda c: aten._compute(c, aten._weights(c))):
        with torch.autocast("cpu", torch.bfloat16):
            y, state = way(c)
        found.append(torch.autograd.grad(y.float().square().sum() + state[0].float().sum(), [c.x, c.w["W"], c.w["U"]]))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
