import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data.framing import ANCHORS, Framing
from ostinato.train.windows import WindowSamples

few = settings(max_examples=60)
CASES = st.fixed_dictionaries(
    {
        "horizon": st.integers(1, 5),
        "length": st.integers(2, 5),
        "anchor": st.sampled_from(ANCHORS),
        "lengths": st.lists(st.integers(12, 20), min_size=1, max_size=3),
        "seed": st.integers(0, 10**6),
    }
)


def made(case, *, stride=1):
    framing = Framing(case["horizon"], case["length"], 3, log=False, anchor=case["anchor"])
    rng = np.random.default_rng(case["seed"])
    values = [rng.normal(size=n) for n in case["lengths"]]
    observed = [rng.random(n) < 0.8 for n in case["lengths"]]
    spreads = np.exp(rng.normal(size=len(values)))
    spans = [range(framing.reach, n) for n in case["lengths"]]
    return (
        framing,
        values,
        observed,
        spreads,
        spans,
        WindowSamples(framing, values, observed, spreads, spans=spans, stride=stride),
    )


def everything(samples):
    return samples.batch(torch.arange(len(samples)))


@few
@given(case=CASES)
def test_each_window_is_cut_from_its_own_series(case):
    framing, values, observed, spreads, spans, samples = made(case)
    assert len(samples) == sum(map(len, spans))
    batch = everything(samples)
    assert batch.x.dtype == batch.target.dtype == batch.weight.dtype == torch.float32
    row = 0
    for v, o, unit, span in zip(values, observed, spreads, spans, strict=True):
        for origin in span:
            frame = framing.frame(v[None, origin - framing.reach : origin], np.array([unit]))
            assert (batch.x[row].numpy() == frame.x[0]).all()
            for step in range(framing.horizon):
                known = origin + step < len(v) and bool(o[origin + step])
                assert batch.weight[row, step] == float(known)
                want = (v[origin + step] - frame.base[0, step]) / unit if known else 0.0
                assert batch.target[row, step] == pytest.approx(want, rel=1e-5, abs=1e-6)
            row += 1


@few
@given(case=CASES, data=st.data())
def test_a_window_does_not_see_its_future(case, data):
    framing, values, observed, spreads, spans, samples = made(case)
    which = data.draw(st.integers(0, len(samples) - 1))
    series = int(np.searchsorted(np.cumsum([len(span) for span in spans]), which, side="right"))
    origin = spans[series][which - sum(len(span) for span in spans[:series])]
    changed = [v.copy() for v in values]
    changed[series][origin:] += 100.0
    for other in range(len(values)):
        if other != series:
            changed[other] += 100.0
    after = WindowSamples(framing, changed, observed, spreads, spans=spans)
    one, two = samples.batch(torch.tensor([which])), after.batch(torch.tensor([which]))
    assert torch.equal(one.x, two.x)


@few
@given(case=CASES)
def test_a_batch_is_its_windows_one_by_one(case):
    samples = made(case)[-1]
    order = torch.from_numpy(np.random.default_rng(case["seed"]).permutation(len(samples)))
    batch = samples.batch(order)
    for row, index in enumerate(order):
        one = samples.batch(index[None])
        for got, want in zip((batch.x, batch.target, batch.weight), (one.x, one.target, one.weight), strict=True):
            assert torch.equal(got[row], want[0])


@few
@given(case=CASES, stride=st.integers(1, 7))
def test_stride_takes_every_so_many(case, stride):
    every, some = everything(made(case)[-1]), everything(made(case, stride=stride)[-1])
    for all_, part in zip((every.x, every.target, every.weight), (some.x, some.target, some.weight), strict=True):
        assert torch.equal(all_[::stride], part)


def test_unobserved_values_do_not_reach_the_target():
    framing = Framing(2, 3, 1, log=False, anchor="last")
    values, seen = np.arange(8.0), np.ones(8, bool)
    seen[5] = False
    values[5] = 1e9
    batch = WindowSamples(framing, [values], [seen], np.ones(1), spans=[[4, 5]]).batch(torch.arange(2))
    assert batch.weight.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert batch.target.tolist() == [[1.0, 0.0], [0.0, 2.0]]
