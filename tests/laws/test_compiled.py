"""Under torch.compile the compiled kernels are one operation of the graph: nothing breaks, and no bit changes."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

import ostinato.nn
from ostinato.cells import CELLS
from ostinato.kernels import choose, force, graph, scan
from ostinato.kernels.base import Call
from ostinato.layers.module import Layer
from ostinato.layers.stack import Stack
from ostinato.maps.dense import Dense
from ostinato.runtime import native
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

pytestmark = [
    pytest.mark.skipif(native.available() is not None, reason=str(native.available())),
    pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated"),  # inductor and torch's forward mode call it
]

KINDS = sorted(name for name, cls in CELLS.items() if not isinstance(native.key(cls(1)), str))
DROP_INS = {"RNN": ostinato.nn.RNN, "LSTM": ostinato.nn.LSTM, "GRU": ostinato.nn.GRU}
HOLES = torch.tensor([[1, 1, 0, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0]]).bool()
PADDED = torch.arange(7)[None] < torch.tensor([[7], [3], [0]])


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def stack(kind: str) -> Stack:
    """One direction with learned start states, two directions, and a map behind them."""
    cell = CELLS[kind](5)
    layers = [
        Layer(Recurrent(cell, return_sequences=True, start="learned")),
        Layer(Bidirectional(Recurrent(cell, return_sequences=True))),
        Layer(Recurrent(cell, reverse=True)),
        Layer(Dense(2)),
    ]
    made = Stack(layers, seed=1)
    made.build((None, 3))
    return made


def numbers(n: int, time: int = 7) -> Tensor:
    """An input that wants its gradient."""
    return torch.randn(n, time, 3, generator=torch.Generator().manual_seed(n)).requires_grad_()


def results(f: Callable[..., Tensor], weights: nn.Module, x: Tensor, *rest: Tensor) -> list[Tensor]:
    """Outputs and all gradients."""
    y = f(x, *rest)
    return [y.detach(), *torch.autograd.grad(y.square().sum(), [x, *weights.parameters()])]


def identical(a: list[Tensor], b: list[Tensor]) -> None:
    """Raise AssertionError unless all have the same bits."""
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert torch.equal(one, other)


class Count:
    """A backend that counts graphs and our operations in them."""

    def __init__(self) -> None:
        self.graphs = self.scans = 0

    def __call__(self, module: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        self.graphs += 1
        self.scans = sum("ostinato.scan" in str(node.target) for node in module.graph.nodes)
        return module.forward


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_layers(kind, training, backend):
    m = stack(kind).train(training)
    f = torch.compile(m, fullgraph=True, backend=backend)
    x = numbers(3)
    identical(results(f, m, x), results(m, m, x))
    for mask in (HOLES, PADDED, torch.ones_like(HOLES)):
        identical(results(f, m, x, mask), results(m, m, x, mask))
    with torch.no_grad():
        assert torch.equal(f(x), m(x))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("kind", DROP_INS)
def test_drop_ins(kind, backend):
    m = DROP_INS[kind](3, 5, num_layers=2, bidirectional=True)
    f = torch.compile(m, fullgraph=True, backend=backend)
    for x in (numbers(3), numbers(4)[0].detach().requires_grad_()):
        identical(results(lambda x: f(x)[0], m, x), results(lambda x: m(x)[0], m, x))
        with torch.no_grad():
            assert torch.equal(f(x)[0], m(x)[0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_layers_by_inductor(kind):
    m = stack(kind)
    f = torch.compile(m, fullgraph=True, backend="inductor")
    for mask in ((), (HOLES,)):
        for one, other in zip(results(f, m, numbers(3), *mask), results(m, m, numbers(3), *mask), strict=True):
            torch.testing.assert_close(one, other)  # the map behind the layers is inductor's own code
    cell = m.layers[0].part.cell
    part = Recurrent(cell, return_sequences=True)
    w = {name: value.detach() for name, value in m.layers[0].tensors().items()}
    start = tuple(torch.zeros(3, 5) for _ in cell.states)
    with torch.no_grad():
        y = torch.compile(lambda x: scan(part.cell, w, x, start)[0], fullgraph=True)(numbers(3))
        assert torch.equal(y, scan(cell, w, numbers(3), start)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_one_graph_serves_all_sizes(kind):
    m, count = stack(kind), Count()
    f = torch.compile(m, fullgraph=True, backend=count, dynamic=True)
    g = torch.compile(m, fullgraph=True, backend="aot_eager", dynamic=True)
    for n, time in ((2, 7), (3, 9), (5, 4), (4, 30)):
        x = numbers(n, time)
        identical(results(f, m, x), results(m, m, x))
        mask = torch.rand(n, time, generator=torch.Generator().manual_seed(n)) < 0.6
        identical(results(g, m, x, mask), results(m, m, x, mask))
    assert count.graphs == 1
    assert count.scans == 4


def test_the_choice_is_the_same_and_a_forced_one_is_obeyed():
    m, count, x = stack("gru"), Count(), numbers(3)
    first = m.layers[0]
    call = Call(first.part.cell, first.tensors(), x, (torch.zeros(3, 5),))
    chosen = torch.compile(lambda: x + (1 if choose(call).kernel == "native" else 0), fullgraph=True, backend="eager")()
    assert torch.equal(chosen, x + 1)
    assert first.choices(x)["GRU"].kernel == "native"
    f = torch.compile(m, fullgraph=True, backend=count)
    f(x)
    assert (count.graphs, count.scans) == (1, 4)
    with force("reference"):
        f(x)
    assert (count.graphs, count.scans) == (2, 0)
    f(x)
    assert count.graphs == 2


def test_a_second_backward_pass_and_a_lost_tape():
    m, x = stack("lstm"), numbers(3)
    parts = [x, *m.parameters()]
    for lose in (False, True):
        f = torch.compile(m, fullgraph=True, backend="aot_eager")
        total = f(x).square().sum()
        assert graph._TAPES
        if lose:
            graph._TAPES.clear()
        first = torch.autograd.grad(total, parts, retain_graph=True)
        identical(list(torch.autograd.grad(total, parts)), list(first))
        identical(list(first), results(m, m, x)[1:])


def test_tapes_go_with_their_graphs():
    m, x = stack("gru"), numbers(3)
    gc.collect()
    before = len(graph._TAPES)
    f = torch.compile(m, fullgraph=True, backend="aot_eager")
    y = f(x)
    assert len(graph._TAPES) == before + 4
    del y
    gc.collect()
    assert len(graph._TAPES) == before
    with torch.no_grad():
        f(x)
    assert len(graph._TAPES) == before


@pytest.mark.parametrize("freeze", ["x", "weights"])
def test_only_some_gradients_are_wanted(freeze):
    m, x = stack("gru_reset_after"), numbers(3)
    f = torch.compile(m, fullgraph=True, backend="aot_eager")
    if freeze == "x":
        parts, x = list(m.parameters()), x.detach()
    else:
        parts = [x]
        m.layers[0].requires_grad_(False)
        m.layers[1].requires_grad_(False)
    found = [torch.autograd.grad(g(x).square().sum(), parts) for g in (f, m)]
    identical(*(list(one) for one in found))


def test_transforms_go_to_the_formula():
    cell = CELLS["gru"](5)
    w = {name: torch.randn(v.shape) for name, v in cell.weights(3).items()}
    x, start = numbers(2).detach(), (torch.zeros(2, 5),)

    def f(x: Tensor) -> Tensor:
        return scan(cell, w, x, start)[0].square().sum()

    def dual(f: Callable[[Tensor], Tensor]) -> Tensor:
        with forward_ad.dual_level():
            return forward_ad.unpack_dual(f(forward_ad.make_dual(x, torch.ones_like(x)))).tangent

    c = torch.compile(f, backend="eager")
    c(x)
    for transform in (
        dual,
        lambda f: torch.func.grad(f)(x),
        lambda f: torch.func.jvp(f, (x,), (torch.ones_like(x),))[1],
        lambda f: torch.func.vmap(f)(torch.stack([x, x])),
    ):
        with force("reference"):
            expected = transform(f)
        torch.testing.assert_close(transform(c), expected)
        torch.testing.assert_close(torch.compile(lambda t=transform: t(f), backend="aot_eager")(), expected)


def test_second_derivatives_are_those_of_the_formula():
    m, x = stack("lstm"), numbers(3)

    def curvature(f: Callable[..., Tensor]) -> Tensor:
        (g,) = torch.autograd.grad(f(x, HOLES).square().sum(), x, create_graph=True)
        return torch.autograd.grad(g.square().sum(), x)[0]

    torch.testing.assert_close(curvature(torch.compile(m, fullgraph=True, backend="eager")), curvature(m))
