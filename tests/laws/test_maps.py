"""What must hold for every map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.laws.examples import EXAMPLES, SEQUENCE, values, weights
from tests.laws.tolerance import as_good_as, exact, same

from ostinato.cells import CELLS
from ostinato.kernels.base import TORCH
from ostinato.kernels.choose import scan
from ostinato.maps import MAPS, Context
from ostinato.maps.attention import Attention
from ostinato.maps.conv1d import Conv1D
from ostinato.maps.dropout import Dropout
from ostinato.maps.embedding import Embedding
from ostinato.maps.flatten import Flatten
from ostinato.maps.masking import Masking
from ostinato.maps.reshape import Reshape
from ostinato.runtime.arrays import CONTEXT
from ostinato.runtime.manifest import to_part, to_spec
from ostinato.scans import SCANS
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

TRAINING = Context(TORCH, scan)
each = pytest.mark.parametrize(("part", "shape"), EXAMPLES, ids=[repr(part) for part, _ in EXAMPLES])
MASK = np.array([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 0], [1, 0, 1, 1, 0, 0]], dtype=bool)


def _torch(arrays, dtype):
    return {name: torch.tensor(value, dtype=dtype, requires_grad=True) for name, value in arrays.items()}


def _masks(shape):
    return (None, MASK) if len(shape) == 2 or shape == (6,) else (None,)


def test_every_map_has_an_example():
    assert {type(part) for part, _ in EXAMPLES} == set(MAPS.values())


@each
def test_numpy_and_torch_agree(part, shape):
    x, w = values(part, shape), weights(part, shape)
    for mask in _masks(shape):
        given = None if mask is None else torch.tensor(mask)
        truth = part.apply(CONTEXT, w, x, mask=mask)
        single = part.apply(CONTEXT, {k: v.astype(np.float32) for k, v in w.items()}, x.astype(np.float32), mask=mask)
        for dtype, one in ((torch.float32, single), (torch.float64, truth)):
            other = part.apply(TRAINING, _torch(w, dtype), torch.tensor(x, dtype=dtype), mask=given)
            assert other.y.dtype == dtype
            assert one.y.dtype == (np.float32 if dtype is torch.float32 else np.float64)
            as_good_as(one.y, truth.y, other.y, what="NumPy against torch")
            as_good_as(other.y, truth.y, one.y, what="torch against NumPy")
            assert (one.mask is None) == (other.mask is None)
            if one.mask is not None:
                exact(other.mask, one.mask, what="mask")


@each
def test_the_shape_promised_is_the_shape_given(part, shape):
    x, w = values(part, shape), weights(part, shape)
    y = part.apply(CONTEXT, w, x).y
    assert y.shape == (len(x), *part.out_shape(shape))
    if len(shape) == 2 and not isinstance(part, (Flatten, Reshape)):
        open_shape = (None, *shape[1:])
        assert part.weights(open_shape) == part.weights(shape)
        promised = part.out_shape(open_shape)
        assert len(promised) == y.ndim - 1
        assert all(n is None or n == size for n, size in zip(promised, y.shape[1:], strict=True))
    for mask in _masks(shape)[1:]:
        out = part.apply(CONTEXT, w, x, mask=mask)
        assert out.mask is None or out.mask.shape == out.y.shape[:2]
        assert out.mask is None or out.mask.dtype == bool


class _Watched(dict):
    def __init__(self, values):
        super().__init__(values)
        self.read = set()

    def __getitem__(self, name):
        self.read.add(name)
        return super().__getitem__(name)


@each
def test_the_weights_named_are_the_weights_used(part, shape):
    w = _Watched(weights(part, shape))
    part.apply(CONTEXT, w, values(part, shape))
    assert w.read == set(part.weights(shape))


@each
def test_gradients_are_derivatives(part, shape):
    w = _torch(weights(part, shape), torch.float64)
    x = torch.tensor(values(part, shape), requires_grad=not isinstance(part, Embedding))
    leaves = tuple(v for v in (x, *w.values()) if v.requires_grad)
    if not leaves:
        return
    for mask in _masks(shape):
        given = None if mask is None else torch.tensor(mask)

        def function(*args, given=given):
            rest = dict(zip(w, args[len(args) - len(w) :], strict=True))
            return part.apply(TRAINING, rest, args[0] if x.requires_grad else x, mask=given).y

        torch.autograd.gradcheck(function, leaves)


@each
@pytest.mark.parametrize("garbage", [1e3, float("nan"), float("inf")])
def test_values_at_masked_steps_do_not_matter(part, shape, garbage):
    if len(shape) != 2:
        return  # no time axis
    x, w = values(part, shape), weights(part, shape)
    wrong = np.where(MASK[:, :, None], x, garbage)
    results = []
    for given in (x, wrong):
        with np.errstate(all="ignore"):
            results.append(part.apply(CONTEXT, w, given, mask=MASK))
    one, other = results
    if one.mask is not None:
        exact(one.mask, other.mask, what="mask")
        same(other.y[one.mask], one.y[one.mask], what="real steps")
    else:
        same(other.y, one.y, what="output")


@each
def test_gradients_are_finite_whatever_lies_at_masked_steps(part, shape):
    if len(shape) != 2:
        return
    x = torch.tensor(np.where(MASK[:, :, None], values(part, shape), np.nan))
    w = _torch(weights(part, shape), torch.float64)
    out = part.apply(TRAINING, w, x, mask=torch.tensor(MASK))
    y = out.y if out.mask is None else out.y[out.mask]
    if y.requires_grad:
        for g in torch.autograd.grad(y.sum(), list(w.values()), allow_unused=True):
            assert g is None or g.isfinite().all()


@each
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_row_gives_what_the_row_alone_gives(part, shape, side):
    out = (
        part.apply(CONTEXT, weights(part, SEQUENCE), values(part, SEQUENCE), mask=MASK).mask
        if shape == SEQUENCE
        else None
    )
    strides = getattr(part, "strides", getattr(part, "pool_size", 1))
    if out is None or (strides > 1 and (side == "left" or getattr(part, "padding", "") == "same")):
        return  # no time axis left; or windows that start from the first step of the padding
    x, w = values(part, SEQUENCE), weights(part, SEQUENCE)
    for n in (4, 5):
        row = x[:1, :n]
        rest = np.full((1, 6 - n, 4), 9.0)
        parts = (row, rest) if side == "right" else (rest, row)
        mask = np.concatenate([np.full(p.shape[:2], p is row) for p in parts], axis=1)
        padded = part.apply(CONTEXT, w, np.concatenate(parts, axis=1), mask=mask)
        alone = part.apply(CONTEXT, w, row).y
        same(padded.y[padded.mask], alone[0], what=f"a row padded on the {side}")


def test_a_convolution_that_is_causal_does_not_see_the_future():
    for part in (Conv1D(3, 3, padding="causal"), Conv1D(3, 2, padding="causal", dilation_rate=2)):
        x, w = values(part, (6, 4)), weights(part, (6, 4))
        y = part.apply(CONTEXT, w, x).y
        x[:, 4:] += 1.0
        exact(part.apply(CONTEXT, w, x).y[:, :4], y[:, :4], what="the past")


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize(("strides", "dilation"), [(1, 1), (2, 1), (3, 1), (1, 2)])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_convolution_is_that_of_torch(padding, strides, dilation, size):
    part = Conv1D(3, size, strides=strides, padding=padding, dilation_rate=dilation)
    x, w = values(part, (7, 4)), weights(part, (7, 4))
    y = part.apply(CONTEXT, w, x).y
    rows = torch.tensor(x).transpose(1, 2)
    span = (size - 1) * dilation
    if padding == "causal":
        rows = torch.nn.functional.pad(rows, (span, 0))
    elif padding == "same":
        missing = max((y.shape[1] - 1) * strides + span + 1 - 7, 0)  # Keras puts the larger half behind
        rows = torch.nn.functional.pad(rows, (missing // 2, missing - missing // 2))
    theirs = torch.nn.functional.conv1d(
        rows, torch.tensor(w["W"]).permute(2, 1, 0), torch.tensor(w["b"]), stride=strides, dilation=dilation
    )
    same(y, theirs.transpose(1, 2)[:, : y.shape[1]], what="convolution")
    assert y.shape[1] == part.out_shape((7, 4))[0] == theirs.shape[2]


@pytest.mark.parametrize("use_scale", [False, True])
def test_attention_is_that_of_torch(use_scale):
    x, scale = values(Attention(), (6, 4)), 0.7 if use_scale else 1.0
    t = torch.tensor(x)
    given = torch.tensor(MASK)[:, None, :]
    theirs = torch.nn.functional.scaled_dot_product_attention(t, t, t, attn_mask=given.expand(-1, 6, -1), scale=scale)
    w = {"scale": np.array([0.7]), "query": np.array([[0.3, -1.0, 0.5, 2.0]])}
    ours = Attention("self", use_scale).apply(CONTEXT, w, x, mask=MASK).y
    same(ours[MASK], theirs[torch.tensor(MASK)], what="a sequence over itself")
    query = torch.tensor(w["query"]).expand(3, 1, 4)
    theirs = torch.nn.functional.scaled_dot_product_attention(query, t, t, attn_mask=given, scale=scale)
    ours = Attention("learned", use_scale).apply(CONTEXT, w, x, mask=MASK).y
    same(ours, theirs[:, 0], what="a learned query")


def test_dropout_acts_in_training_only():
    x = torch.ones(3, 6, 4)
    drop = TRAINING._replace(drop=lambda v, rate, axes: v * 0.0 + rate + len(axes))
    for over_time in (False, True):
        part = Dropout(0.5, over_time=over_time)
        exact(part.apply(TRAINING, {}, x).y, x, what="outside training")
        exact(part.apply(drop, {}, x).y, torch.full_like(x, 0.5 + over_time), what="in training")


def test_masks_are_made_by_padding_values():
    x = np.array([[[0.0, 0.0], [0.0, 1.0], [2.0, 2.0]]])
    np.testing.assert_array_equal(Masking().apply(CONTEXT, {}, x).mask, [[False, True, True]])
    np.testing.assert_array_equal(Masking(2.0).apply(CONTEXT, {}, x).mask, [[True, True, False]])
    ids, table = np.array([[0.0, 3.0, 0.0]]), {"table": np.ones((4, 2))}
    np.testing.assert_array_equal(
        Embedding(4, 2, mask_zero=True).apply(CONTEXT, table, ids).mask, [[False, True, False]]
    )
    assert Embedding(4, 2).apply(CONTEXT, table, ids).mask is None


RUNS = [
    Recurrent(cls(3), return_sequences=True, reverse=True, start="learned", dropout=0.25, recurrent_dropout=0.5)
    for cls in CELLS.values()
]
SCANNED = [
    *RUNS,
    Bidirectional(Recurrent(RUNS[0].cell), merge_mode="sum"),
    Bidirectional(Recurrent(RUNS[0].cell, return_sequences=True), backward=RUNS[1]),
]


@pytest.mark.parametrize("part", [part for part, _ in EXAMPLES] + SCANNED, ids=repr)
def test_a_description_survives_the_model_file(part):
    again = to_part(to_spec("name", part))
    assert again == part
    assert type(again) is type(part)


def test_every_scan_is_described():
    assert {type(part) for part in SCANNED} == set(SCANS.values())


@each
def test_a_map_that_says_so_computes_each_step_by_itself(part, shape):
    if not part.stepwise():
        return
    time = 6
    whole = (time, *shape) if len(shape) < 2 and not isinstance(part, (Masking, Embedding)) else shape
    x, w = values(part, whole), weights(part, whole)
    apart = [part.apply(CONTEXT, w, x[:, t : t + 1]).y for t in range(x.shape[1])]
    same(np.concatenate(apart, axis=1), part.apply(CONTEXT, w, x).y, what="step by step")
