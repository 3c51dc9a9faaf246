"""The drop-ins against torch's own modules: names, numbers, gradients, forms of sequences, errors."""

from __future__ import annotations

import copy
import inspect
import itertools
import pickle

import pytest
import torch
from tests.laws.tolerance import as_good_as, exact, same
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

import ostinato.nn as ours
from ostinato.errors import ArgumentError, OstinatoWarning, ShapeError
from ostinato.kernels import force

PAIRS = {
    "RNN": (ours.RNN, nn.RNN, {}),
    "RNN relu": (ours.RNN, nn.RNN, {"nonlinearity": "relu"}),
    "LSTM": (ours.LSTM, nn.LSTM, {}),
    "GRU": (ours.GRU, nn.GRU, {}),
}
each = pytest.mark.parametrize(("mine", "theirs", "options"), PAIRS.values(), ids=PAIRS)
FEATURES, UNITS, BATCH, TIME = 3, 4, 3, 5
LENGTHS = (3, 5, 2)


def _flat(result):
    y, state = result
    y = y.data if isinstance(y, PackedSequence) else y
    return (y, *state) if isinstance(state, tuple) else (y, state)


def _measure(module, x, hx):
    """Outputs, final states and the gradients of a sum in which each number counts differently, by name."""
    parts = _flat(module(x, hx))
    total = sum(
        (part * torch.linspace(-1.0, 1.5, part.numel(), dtype=part.dtype).view_as(part)).sum() for part in parts
    )
    inputs = x.data if isinstance(x, PackedSequence) else x
    starts = () if hx is None else hx if isinstance(hx, tuple) else (hx,)
    leaves = [inputs, *starts, *module.parameters()]
    names = ["x", *(f"start {k}" for k in range(len(starts))), *(name for name, _ in module.named_parameters())]
    slopes = torch.autograd.grad(total, leaves)
    return {f"result {k}": v for k, v in enumerate(parts)} | dict(zip(names, slopes, strict=True))


def _leaf(*shape, dtype, seed):
    values = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return values.to(dtype).requires_grad_()


def _input(form, *, batch_first, dtype):
    if form == "unbatched":
        return _leaf(TIME, FEATURES, dtype=dtype, seed=1)
    if form == "padded":
        return _leaf(*((BATCH, TIME) if batch_first else (TIME, BATCH)), FEATURES, dtype=dtype, seed=1)
    rows = [_leaf(n, FEATURES, dtype=dtype, seed=n) for n in LENGTHS]
    if form == "packed, sorted":
        rows = sorted(rows, key=len, reverse=True)
    packed = pack_sequence([r.detach() for r in rows], enforce_sorted=form == "packed, sorted")
    return packed._replace(data=packed.data.requires_grad_())


def _start(mine, form, layers, dtype):
    shape = (layers, UNITS) if form == "unbatched" else (layers, BATCH, UNITS)
    states = tuple(_leaf(*shape, dtype=dtype, seed=k) for k in (11, 12))
    return states if mine is ours.LSTM else states[0]


FORMS = ("padded", "unbatched", "packed", "packed, sorted")


@pytest.mark.parametrize("form", FORMS)
@each
def test_numbers_and_gradients_are_as_good_as_torch(mine, theirs, options, form):
    for layers, both, batch_first, bias, given in itertools.product((1, 2), *[(False, True)] * 4):
        arguments = {
            "num_layers": layers, "bidirectional": both, "batch_first": batch_first, "bias": bias, **options,
        }  # fmt: skip
        results = []
        for cls, dtype in ((mine, torch.float32), (theirs, torch.float64), (theirs, torch.float32)):
            torch.manual_seed(0)
            weights = theirs(FEATURES, UNITS, **arguments).state_dict()
            module = cls(FEATURES, UNITS, **arguments, dtype=dtype)
            module.load_state_dict(weights, strict=True)
            hx = _start(mine, form, layers * (1 + both), dtype) if given else None
            results.append(_measure(module, _input(form, batch_first=batch_first, dtype=dtype), hx))
        assert results[0].keys() == results[1].keys()
        for name in results[0]:
            as_good_as(*(r[name] for r in results), what=f"{name} with {arguments}")


@each
def test_packed_in_packed_out_with_the_same_order(mine, theirs, options):
    module = mine(FEATURES, UNITS, bidirectional=True, **options)
    x = torch.randn(BATCH, TIME, FEATURES)
    for lengths, enforce in (((3, 5, 2), False), ((5, 3, 2), True), ((5, 5, 5), True)):
        packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=enforce)
        y, _ = module(packed)
        assert isinstance(y, PackedSequence)
        assert torch.equal(y.batch_sizes, packed.batch_sizes)
        for one, other in ((y.sorted_indices, packed.sorted_indices), (y.unsorted_indices, packed.unsorted_indices)):
            assert (one is None and other is None) or torch.equal(one, other)


@each
def test_names_shapes_and_first_weights_are_those_of_torch(mine, theirs, options):
    for arguments in ({}, {"num_layers": 2, "bidirectional": True}, {"bias": False, "num_layers": 2}):
        torch.manual_seed(3)
        a = mine(FEATURES, UNITS, **arguments, **options)
        torch.manual_seed(3)
        b = theirs(FEATURES, UNITS, **arguments, **options)
        assert list(a.state_dict()) == list(b.state_dict())
        for name, value in b.state_dict().items():
            exact(a.state_dict()[name], value, what=name)
        b.load_state_dict(a.state_dict(), strict=True)
        assert [[tuple(w.shape) for w in row] for row in a.all_weights] == [
            [tuple(w.shape) for w in row] for row in b.all_weights
        ]
        extra = ", nonlinearity=relu" if options else ""
        assert a.extra_repr() == b.extra_repr() + extra
        assert a.mode == b.mode
        a.flatten_parameters()


def test_constructors_take_torch_arguments_by_position():
    for mine, theirs, arguments in (
        (ours.LSTM, nn.LSTM, (3, 4, 2, False, True, 0.25, True, 0, "cpu", torch.float64)),
        (ours.GRU, nn.GRU, (3, 4, 2, False, True, 0.25, True, 0, "cpu", torch.float64)),
        (ours.RNN, nn.RNN, (3, 4, 2, "relu", False, True, 0.25, True)),
    ):
        a, b = mine(*arguments), theirs(*arguments)
        assert a.extra_repr().replace(", nonlinearity=relu", "") == b.extra_repr()
        assert {n: (v.shape, v.dtype) for n, v in a.state_dict().items()} == {
            n: (v.shape, v.dtype) for n, v in b.state_dict().items()
        }
        assert {"device", "dtype"} <= set(inspect.signature(mine).parameters)


@pytest.mark.parametrize("form", FORMS)
@each
def test_dropout_between_layers_draws_the_noise_of_torch(mine, theirs, options, form):
    arguments = {"num_layers": 3, "dropout": 0.5, **options}
    torch.manual_seed(5)
    a, b = mine(FEATURES, UNITS, **arguments), theirs(FEATURES, UNITS, **arguments)
    a.load_state_dict(b.state_dict())
    x = _input(form, batch_first=False, dtype=torch.float32)
    results = []
    for module in (a, b):
        torch.manual_seed(6)
        results.append(_flat(module(x))[0])
    same(*results, what="outputs under dropout")
    assert not torch.equal(a(x)[0].data, a(x)[0].data)
    a.eval()
    b.eval()
    same(_flat(a(x))[0], _flat(b(x))[0], what="outputs in evaluation")


@each
def test_copies_and_pickles_compute_the_same(mine, theirs, options):
    module = mine(FEATURES, UNITS, num_layers=2, **options)
    x = torch.randn(TIME, BATCH, FEATURES)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        exact(other(x)[0], module(x)[0], what="outputs of a copy")


@each
def test_weights_replaced_in_a_functional_call_are_used(mine, theirs, options):
    module, x = mine(FEATURES, UNITS, **options), torch.randn(TIME, BATCH, FEATURES)
    zeros = {name: torch.zeros_like(value) for name, value in module.named_parameters()}
    y, _ = torch.func.functional_call(module, zeros, (x,))
    exact(y, torch.zeros_like(y), what="outputs of zero weights")


@each
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_forward_mode_works_on_the_reference_kernel(mine, theirs, options):
    module = mine(FEATURES, UNITS, bidirectional=True, dtype=torch.float64, **options)
    x = torch.randn(TIME, BATCH, FEATURES, dtype=torch.float64)
    with force("reference"):
        torch.autograd.gradcheck(lambda v: module(v)[0], (x.requires_grad_(),), check_forward_ad=True, fast_mode=True)


@each
def test_length_zero_leaves_the_state(mine, theirs, options):
    module = mine(FEATURES, UNITS, **options)
    hx = _start(mine, "padded", 1, torch.float32)
    y, h, *_ = _flat(module(torch.zeros(0, BATCH, FEATURES), hx))
    assert y.shape == (0, BATCH, UNITS)
    exact(h, hx[0] if isinstance(hx, tuple) else hx, what="state")


@each
def test_wrong_shapes_and_types_have_typed_errors(mine, theirs, options):
    module = mine(FEATURES, UNITS, **options)
    x = torch.randn(TIME, BATCH, FEATURES)
    for wrong in (x[..., :2], x[0, 0], x[None], pack_sequence([x[:, 0, :2]])):
        with pytest.raises(ShapeError, match=f"{FEATURES}\\)"):
            module(wrong)
    for wrong in (x.double(), x.numpy(), None):
        with pytest.raises(ArgumentError):
            module(wrong)
    good = torch.zeros(1, BATCH, UNITS)
    for bad in (good[0], good[:, :2], good[..., :1], torch.zeros(2, BATCH, UNITS)):
        with pytest.raises(ShapeError, match="start state h"):
            module(x, (bad, good) if mine is ours.LSTM else bad)
    with pytest.raises(ShapeError, match="start state h"):
        module(x[:, 0], (good, good) if mine is ours.LSTM else good)
    with pytest.raises(ArgumentError, match="start state h"):
        module(x, (good.double(), good) if mine is ours.LSTM else good.double())


def test_lstm_says_that_it_wants_a_pair():
    module, x = ours.LSTM(FEATURES, UNITS), torch.randn(TIME, BATCH, FEATURES)
    for wrong in (torch.zeros(1, BATCH, UNITS), (torch.zeros(1, BATCH, UNITS),), 3):
        with pytest.raises(ArgumentError, match="pair"):
            module(x, wrong)
    with pytest.raises(ShapeError, match="start state c"):
        module(x, (torch.zeros(1, BATCH, UNITS), torch.zeros(1, BATCH, 1)))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"proj_size": 2}, "proj_size"),
        ({"dropout": 1.5}, "dropout"),
        ({"dropout": True}, "dropout"),
        ({"num_layers": 0}, "num_layers"),
        ({"bias": 1}, "bias"),
        ({"input_size": 0}, "input_size"),
        ({"hidden_size": 2.0}, "hidden_size"),
        ({"batch_first": "yes"}, "batch_first"),
    ],
)
@each
def test_bad_arguments_are_refused(mine, theirs, options, arguments, word):
    with pytest.raises(ArgumentError, match=word):
        mine(**({"input_size": FEATURES, "hidden_size": UNITS} | arguments), **options)


def test_unknown_nonlinearity_is_refused():
    with pytest.raises(ArgumentError, match="nonlinearity"):
        ours.RNN(3, 4, nonlinearity="sigmoid")


@each
def test_dropout_without_a_place_to_act_warns_at_the_caller(mine, theirs, options):
    with pytest.warns(OstinatoWarning, match="no effect") as seen:
        mine(FEATURES, UNITS, dropout=0.5, **options)
    assert seen[0].filename == __file__
