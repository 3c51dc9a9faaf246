"""Windows along time: what they must not change, for every cell."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.tolerance import exact
from tests.unit.train_loop.long import CELLS, OBJECTIVE, sequences, tagger

from ostinato.cells.gru import GRU
from ostinato.layers import Layer, Stack
from ostinato.maps.dense import Dense
from ostinato.scans.recurrent import Recurrent
from ostinato.train import Adam, Arrays, Order, Streams, Whole, Windowed, course, measure, train

each_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
PENALTY = 1e-3


def fitted(cell, samples, *, rate=0.0, order=None, sweep=None, objective=OBJECTIVE, epochs=3, **options):
    """Weights and history after some epochs."""
    model = tagger(cell, rate=rate, **options)

    def penalty():
        return PENALTY * sum(p.square().sum() for p in model.parameters())

    history = train(
        model,
        samples,
        objective=objective._replace(penalty=penalty),
        optimizer=Adam(0.01, global_clipnorm=1.0),
        order=order,
        epochs=range(epochs),
        sweep=sweep or Whole(),
    )
    return model.get_weights(), history.history


def identical(one, other):
    for a, b in zip(one[0], other[0], strict=True):
        exact(a, b, what="weights")
    assert one[1] == other[1]


def near(one, other, *, rel=2e-4):
    for a, b in zip(one[0], other[0], strict=True):
        assert np.abs(a - b).max() <= rel * max(1.0, np.abs(b).max())
    assert one[1] == {name: pytest.approx(values, rel=1e-4) for name, values in other[1].items()}


def _samples(n=7, time=11, *, ragged=True, last=True):
    x, y = sequences(*[time] * n)
    mask = torch.arange(time) < torch.tensor([[time - 3 * (i % 3)] for i in range(n)]) if ragged else None
    target = torch.stack(y) if last else torch.stack([v.cumsum(0)[-1] for v in x]) / 5.0
    return Arrays(torch.stack(x), target, None, mask)


@each_cell
@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("last", [True, False], ids=["tags", "one output"])
def test_recomputed_windows_have_the_bits_of_stored_ones(cell, rate, last):
    samples, order = _samples(last=last), Order(1, 3)
    stored, again = (
        fitted(cell, samples, rate=rate, order=order, sweep=Windowed(4, recompute=r), last=last) for r in (False, True)
    )
    identical(stored, again)


@each_cell
@pytest.mark.parametrize("last", [True, False], ids=["tags", "one output"])
def test_windows_give_the_whole_gradient(cell, last):
    samples, order = _samples(last=last), Order(1, 3)
    whole = fitted(cell, samples, order=order, last=last)
    for bptt in (1, 4, 10):
        near(fitted(cell, samples, order=order, sweep=Windowed(bptt, recompute=True), last=last), whole)


@each_cell
def test_noise_that_a_sequence_shares_is_one_noise_in_all_windows(cell):
    def shared(sweep):
        model = tagger(cell, rate=0.4)
        model.layers[1].part = replace(model.layers[1].part, over_time=True)
        history = train(model, _samples(), objective=OBJECTIVE, optimizer=Adam(0.01), order=Order(1, 3),
                        epochs=range(2), sweep=sweep)  # fmt: skip
        return model.get_weights(), history.history

    near(shared(Windowed(4, recompute=True)), shared(Whole()))


@each_cell
@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("memory", ["truncate", "store", "recompute"])
def test_a_window_as_long_as_the_sequence_is_full_backpropagation(cell, rate, memory):
    samples, order = _samples(), Order(1, 3)
    whole = fitted(cell, samples, rate=rate, order=order)
    for bptt in (11, 50):
        feed, sweep = course(tagger(cell), samples, order, bptt=bptt, memory=memory)
        identical(fitted(cell, feed, rate=rate, sweep=sweep), whole)


@each_cell
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_streams_of_whole_sequences_are_batches(cell, rate):
    x, y = sequences(*[9] * 7)
    batches = fitted(cell, Arrays(torch.stack(x), torch.stack(y)), rate=rate, order=Order(1, 3))
    for bptt in (None, 9, 30):
        identical(fitted(cell, Streams(x, y, 3, bptt=bptt, seed=1), rate=rate), batches)


@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("lengths", [(23,), (9, 4, 9, 1, 17)])
def test_streams_with_long_windows_are_streams_without(lengths, rate):
    x, y = sequences(*lengths)
    identical(*(fitted(CELLS["gru"], Streams(x, y, 2, bptt=b, seed=1), rate=rate) for b in (None, 23)))


@each_cell
@pytest.mark.parametrize("lengths", [(23,), (9, 4, 9, 1, 17)])
def test_measuring_in_windows_is_measuring_at_once(cell, lengths):
    x, y = sequences(*lengths)
    model = tagger(cell)
    with torch.no_grad():
        for p in model.parameters():
            p += torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())) / 3.0  # a start state, too
    found = [measure(model, Streams(x, y, rows, bptt=bptt), OBJECTIVE) for rows in (1, 3) for bptt in (2, 5, None)]
    if len(lengths) == 1:  # the parts of a single sequence begin without its past
        found = found[:3]
    total = [0.0, 0]
    for a, b in zip(x, y, strict=True):
        total[0] += float(((model(a[None])[0] - b) ** 2).detach().mean(-1).sum())
        total[1] += len(a)
    for one in found:
        assert one["loss"] == pytest.approx(total[0] / total[1], rel=1e-5)
        assert one == pytest.approx(found[0], rel=1e-5)


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=9),
    st.integers(1, 4),
    st.one_of(st.none(), st.integers(1, 13)),
    st.booleans(),
    st.integers(0, 3),
)
def test_an_epoch_of_streams_holds_every_step_once(lengths, rows, bptt, shuffle, epoch):
    if len(lengths) == 1:
        lengths = [max(lengths[0], rows)]
    first = np.cumsum([0, *lengths])
    data = [torch.arange(a, b) for a, b in pairwise(first)]
    streams = Streams(data, [d + 100 for d in data], rows, bptt=bptt, seed=3, shuffle=shuffle)
    pieces = list(streams.pieces(epoch))
    assert len(pieces) == streams.steps(epoch) <= streams.most()
    seen: list[int] = []
    lanes: list[list[int]] = []
    for piece in pieces:
        x, target, weight, mask = piece.batch
        assert weight is None
        assert x.shape == target.shape
        assert bptt is None or x.shape[1] <= bptt
        real = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
        assert mask is None or not mask.all()
        assert (real.int().diff(dim=1) <= 0).all()
        assert real[:, 0].all()
        assert torch.equal(target[real], x[real] + 100)
        fresh = [True] * len(x) if piece.fresh is None else piece.fresh.tolist()
        kept = lanes if piece.keep is None else [lanes[i] for i in piece.keep.tolist()]
        lanes = []
        for i, row in enumerate(x):
            steps = row[real[i]].tolist()
            assert steps == list(range(steps[0], steps[0] + len(steps)))
            number = int(piece.numbers[i])
            assert first[number] <= steps[0] <= steps[-1] < first[number + 1]
            if not fresh[i]:
                assert kept[i][-1] + 1 == steps[0]
            elif len(lengths) > 1:
                assert steps[0] == first[number]
            lanes.append(steps)
            seen += steps
    assert len(set(seen)) == len(seen)
    skipped = set(range(first[-1])) - set(seen)
    assert skipped == set(range(len(skipped)))  # a single sequence may begin a little later
    assert len(skipped) < (bptt or 1) if shuffle and len(lengths) == 1 else not skipped
    for k in range(len(pieces)):
        again = next(streams.pieces(epoch, k))
        assert torch.equal(again.batch.x, pieces[k].batch.x)
        assert (again.keep is None) == (pieces[k].keep is None)
        assert (again.fresh is None) == (pieces[k].fresh is None)


def test_epochs_differ_and_a_seed_fixes_them():
    x, y = sequences(*range(3, 12))
    for data in ((x, y), ([torch.cat(x)], [torch.cat(y)])):
        shapes = [[p.batch.x.sum().item() for p in Streams(*data, 2, bptt=4, seed=s).pieces(e)]
                  for s, e in ((0, 0), (0, 0), (0, 1), (1, 0))]  # fmt: skip
        assert shapes[0] == shapes[1]
        assert shapes[0] != shapes[2]
        assert shapes[0] != shapes[3]


def test_truncation_is_windows_one_by_one_with_the_state_carried():
    """Against a loop written by hand on one long sequence."""
    x, y = sequences(20)
    model, twin = tagger(start="zeros"), tagger(start="zeros")
    train(model, Streams(x, y, 2, bptt=4, shuffle=False), objective=OBJECTIVE, optimizer=Adam(0.05), epochs=range(2))
    optimizer = torch.optim.Adam(twin.parameters(), 0.05, eps=1e-7)
    rows, wanted = torch.stack([x[0][:10], x[0][10:]]), torch.stack([y[0][:10], y[0][10:]])
    for _ in range(2):
        states = ()
        for a in (0, 4, 8):
            out, _, states = twin.run(rows[:, a : a + 4], states=states)
            optimizer.zero_grad()
            ((out - wanted[:, a : a + 4]) ** 2).mean().backward()
            optimizer.step()
            states = tuple(tuple(s.detach() for s in state) for state in states)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        assert np.abs(a - b).max() < 1e-4


def test_a_carried_state_is_worth_something():
    """The target is what was seen two steps ago; without the state, it is unknown in half of each window."""
    bits = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (1200, 1)).astype(np.float32))
    late = torch.cat([torch.zeros(2, 1), bits])[:1200]
    losses = []
    for length in (1200, 4):
        x, y = ([*v.split(length)] for v in (bits, late))
        model = Stack([Layer(Recurrent(GRU(8), return_sequences=True)), Layer(Dense(1))])
        model.build((None, 1))
        streams = Streams(x, y, 4, bptt=4, seed=0)
        objective = OBJECTIVE._replace(metrics={})
        history = train(model, streams, objective=objective, optimizer=Adam(0.02), epochs=range(12))
        losses.append(history.history["loss"][-1])
    assert losses[0] < 0.5 * losses[1]
