"""What must hold for every network that can be run step by step, whatever computes its steps.

One step, several steps in a call, any cut, a place in a pool, a snapshot, a fork and a reset give the same bits; and so
does `predict`, if the step machine computes the steps.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.laws.examples import EXAMPLES, SEQUENCE
from tests.laws.tolerance import different, exact, same
from tests.unit.runtime.networks import network

from ostinato.cells import CELLS
from ostinato.errors import ArgumentError, DataError
from ostinato.maps.activation import FUNCTIONS, Activation
from ostinato.maps.activity_penalty import ActivityPenalty
from ostinato.maps.dense import Dense
from ostinato.maps.dropout import Dropout
from ostinato.maps.embedding import Embedding
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.masking import Masking
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.maps.unembedding import Unembedding
from ostinato.runtime import Network, native
from ostinato.runtime.arrays import NUMPY
from ostinato.runtime.reading import POLICIES
from ostinato.scans.recurrent import Recurrent

TIME, ROWS = 9, 5
RNG = np.random.default_rng(2)
NUMBERS = RNG.normal(size=(ROWS, TIME, 3)).astype(np.float32)
NUMBERS[1, 3:5] = 0.0  # steps that a mask skips
SYMBOLS = RNG.integers(0, 7, (ROWS, TIME))


def recurrent(cell, units, **options):
    return Recurrent(CELLS[cell](units), return_sequences=True, **options)


STACKS = {
    "one layer": lambda c: [recurrent(c, 5), Dense(3)],
    "last output": lambda c: [recurrent(c, 33, start="learned"), Dropout(0.5), Recurrent(CELLS[c](17)), LayerNorm(),
                              Dense(4, "softmax")],
    "symbols": lambda c: [Embedding(7, 5), recurrent(c, 16), TimeDistributed(Dense(4, "silu", use_bias=False)),
                          ActivityPenalty(0.1), recurrent(c, 6), Activation("elu"), Dense(5), Unembedding(7)],
    "zoneout": lambda c: [recurrent(c, 4, zoneout=0.3), Dense(2)],
    "masked": lambda c: [Masking(), recurrent(c, 4), Recurrent(CELLS[c](3)), Dense(2)],
    "masked symbols": lambda c: [Embedding(7, 4, mask_zero=True), recurrent(c, 4), Dense(2)],
}  # fmt: skip


def make(parts, **options):
    return network(parts, (None,) if isinstance(parts[0], Embedding) else (None, 3), **options)


def inputs(model):
    return SYMBOLS if isinstance(model.parts[0], Embedding) else NUMBERS[..., : model.input_shape[-1]]


def in_python(model):
    """The same network with its steps computed layer after layer."""
    model.stepping.__dict__["plain"] = "a test asks for it"
    assert "a test asks for it" in model.stream().explain()
    return model


def predicted(model, x):
    """What predict says of each beginning of each sequence."""
    return np.stack([model.predict(x[:, : t + 1]) for t in range(TIME)], axis=1)


def check(model):
    """All laws of one network."""
    x = inputs(model)
    alone = [model.stream().run(row) for row in x]
    sequences = len(model.predict(x).shape) == 3
    whole = model.predict(x) if sequences else predicted(model, x)
    (exact if model.stepping.plain is None else same)(np.stack(alone), whole, what="stream and predict")
    different(alone[0], alone[1], what="two sequences")

    for row, want in zip(x, alone, strict=True):
        stream = model.stream()
        exact(np.stack([stream.step(one) for one in row]), want, what="step by step")
        stream.reset()
        exact(stream.run(row), want, what="after a reset")
        stream = model.stream()
        cut = [stream.run(row[:4]), stream.run(row[4:4]), stream.step(row[4])[None], stream.run(row[5:])]
        exact(np.concatenate(cut), want, what="in pieces")

    for t in range(TIME):
        stream = model.stream()
        stream.run(x[0, :t])
        blob, fork = stream.snapshot(), stream.fork()
        fork.run(x[1])
        exact(stream.run(x[0, t:]), alone[0][t:], what="beside a fork")
        again = model.stream(blob)
        assert again.snapshot() == blob
        assert again.steps == t
        exact(again.run(x[0, t:]), alone[0][t:], what="from a snapshot")

    pool, at = model.pool(ROWS + 2, threads=2), [0] * ROWS
    for _ in range(ROWS):
        pool.open()
    order = np.random.default_rng(3)
    while min(at) < TIME:
        chosen = [i for i in order.permutation(ROWS).tolist() if at[i] < TIME and order.random() < 0.6]
        y = pool.step(chosen, np.array([x[i, at[i]] for i in chosen], x.dtype).reshape(len(chosen), *x.shape[2:]))
        for i, one in zip(chosen, y, strict=True):
            exact(one, alone[i][at[i]], what="in a pool")
            at[i] += 1
            if at[i] == 5 and i % 2:  # moved to another place, by a snapshot
                blob = pool.snapshot(i)
                pool.close(i)
                pool.open("between")
                pool.open(i, blob)
                pool.close("between")


@pytest.mark.parametrize("way", ["as chosen", "in Python"])
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_and_stack(cell, stack, way):
    model = make(STACKS[stack](cell))
    compiled = native.available() is None
    assert (model.stepping.plain is None) == compiled, model.stream().explain()
    check(model if way == "as chosen" else in_python(model))


STEPWISE = [part for part, shape in EXAMPLES if part.stepwise() and shape in (SEQUENCE, (6,))]


@pytest.mark.parametrize("part", STEPWISE, ids=repr)
def test_every_map(part):
    parts = [part, recurrent("lstm", 4)] if isinstance(part, Embedding) else [recurrent("lstm", 4), part]
    check(network(parts, (None,) if isinstance(part, Embedding) else (None, 3)))


@pytest.mark.skipif(native.available() is not None, reason=str(native.available()))
@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled_activations_are_the_formulas(name):
    model = network([recurrent("gru", 19), Dense(37), Activation(name)])
    assert model.stepping.plain is None
    x = 30.0 * NUMBERS
    plain = network([recurrent("gru", 19), Dense(37)])
    truth = FUNCTIONS[name](NUMPY, plain.predict(x).astype(np.float64))
    same(model.predict(x), truth.astype(np.float32), what=name)


@pytest.mark.skipif(native.available() is not None, reason=str(native.available()))
@pytest.mark.parametrize("isa", native.module().engines() if native.available() is None else [])
@pytest.mark.parametrize("cell", CELLS)
def test_every_instruction_set(cell, isa, monkeypatch):
    monkeypatch.setenv("OSTINATO_ISA", isa)
    for stack in ("last output", "symbols"):
        model = make(STACKS[stack](cell))
        assert isa in model.stream().explain()
        check(model)


@pytest.mark.skipif(native.without_bf16() is not None, reason=str(native.without_bf16()))
@pytest.mark.parametrize("cell", [name for name, cls in CELLS.items() if isinstance(native.key(cls(1)), int)])
def test_bf16(cell):
    for stack in ("last output", "symbols"):
        model = make(STACKS[stack](cell), precision="bf16")
        assert "bf16" in model.stream().explain()
        check(model)


def test_a_pool_of_many_rows_on_several_threads():
    model = network([recurrent("lstm", 24), recurrent("gru", 16), Dense(2)], (None, 3))
    x = np.random.default_rng(4).normal(size=(301, 3, 3)).astype(np.float32)
    pool = model.pool(301, threads=3)
    ids = [pool.open() for _ in x][::-1]
    found = np.stack([pool.step(ids, x[:, t]) for t in range(3)], axis=1)
    exact(found, np.stack([model.stream().run(row) for row in x]), what="rows of a large pool")


@pytest.mark.parametrize("way", ["as chosen", "in Python"])
def test_numbers_that_are_not_finite_follow_the_policy_everywhere(way):
    x = NUMBERS[0].copy()
    x[2, 1], x[5, 0], x[6, 0] = np.nan, np.inf, -np.inf
    held = x.copy()
    held[2, 1], held[5, 0], held[6, 0] = x[1, 1], x[4, 0], x[4, 0]
    model = make(STACKS["one layer"]("lstm"))
    model = model if way == "as chosen" else in_python(model)
    want = model.stream().run(held)
    exact(model.stream(nonfinite="hold").run(x), want, what="run")
    pool, stream = model.pool(2, nonfinite="hold"), model.stream(nonfinite="hold")
    pool.open("a"), pool.open("b")
    for t, one in enumerate(x):
        exact(pool.step(["b"], one[None])[0], want[t], what="pool")
        exact(stream.step(one), want[t], what="step")
    loose = model.stream(nonfinite="propagate").run(x)
    exact(loose[:2], want[:2], what="before NaN")
    assert np.isnan(loose[2:]).all()


@pytest.mark.parametrize("first", POLICIES)
@pytest.mark.parametrize("way", ["as chosen", "in Python"])
def test_each_stream_of_a_pool_may_have_a_policy_of_its_own(way, first):
    model = make(STACKS["one layer"]("lstm"))
    model = model if way == "as chosen" else in_python(model)
    pool, x = model.pool(4, nonfinite=first), NUMBERS[:3, :4].copy()
    for policy in POLICIES:
        pool.open(policy, nonfinite=policy)
    x[1, 2, 1], x[2, 2, 0] = np.nan, np.inf
    alone = {policy: model.stream(nonfinite=policy).run(row) for policy, row in zip(POLICIES, x, strict=True)}
    for t in range(x.shape[1]):
        y = pool.step(POLICIES, x[:, t])
        for policy, one in zip(POLICIES, y, strict=True):
            np.testing.assert_array_equal(one, alone[policy][t], err_msg=policy)
    before = [pool.snapshot(policy) for policy in POLICIES]
    x[0, 0, 2], x[1, 0, 0] = np.inf, np.nan
    with pytest.raises(DataError, match=r"got inf at stream 'raise', step 5, feature 2\.") as found:
        pool.step(POLICIES, x[:, 0])
    assert found.value.count == 1, "the others do not refuse theirs"
    assert [pool.snapshot(policy) for policy in POLICIES] == before
    with pytest.raises(ArgumentError, match="raise, hold, propagate"):
        pool.open("d", nonfinite="ignore")
    pool.close("propagate")
    pool.open("propagate")  # in its place, with the pool's policy
    pool.reset("propagate")
    if first == "raise":
        with pytest.raises(DataError):
            pool.step(["propagate"], x[1:2, 0])
    else:
        assert np.isnan(pool.step(["propagate"], x[1:2, 0])).all() == (first == "propagate")


ANY = hnp.arrays(
    np.uint32, (3, 3), elements=st.integers(0, 2**32 - 1) | st.sampled_from([0x7F800000, 0x7FC00001, 1, 0])
)
"""The bits of three steps of three numbers: infinities, NaN and numbers below the smallest normal one among them."""


@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=60)
@given(bits=ANY)
def test_any_numbers_are_refused_or_computed(cell, bits):
    model = any_numbers(cell)
    x = bits.view(np.float32)
    fine = np.isfinite(x).all()
    with np.errstate(all="ignore"):
        for one in (model, in_python(any_numbers(cell))):
            stream = one.stream()
            begun = stream.snapshot()
            if fine:
                stream.run(x)
            else:
                with pytest.raises(DataError) as found:
                    stream.run(x)
                assert found.value.code == "nonfinite"
                assert stream.snapshot() == begun
            held, loose = one.stream(nonfinite="hold"), one.stream(nonfinite="propagate")
            assert held.run(x).shape == loose.run(x).shape == (3, 2)
            loose.reset()
            assert np.isfinite(loose.run(np.zeros_like(x))).all(), "what went before a reset is gone"
            filled = np.zeros(3, np.float32)
            for row in x:
                filled = np.where(np.isfinite(row), row, filled)
            np.testing.assert_array_equal(held.fork().step(np.full(3, np.nan, np.float32)), held.step(filled))


@cache
def any_numbers(cell):
    return make([recurrent(cell, 5), Dense(2)])


@pytest.mark.skipif(native.available() is not None, reason=str(native.available()))
@pytest.mark.parametrize("cell", CELLS)
def test_instruction_sets_differ_in_the_last_bits_only(cell, monkeypatch):
    x = np.random.default_rng(1).normal(size=(16, 200, 3)).astype(np.float32)
    found = {}
    for isa in native.module().engines():
        monkeypatch.setenv("OSTINATO_ISA", isa)
        model = make([recurrent(cell, 33), recurrent(cell, 17), Dense(5)])
        weights = [{n: w / 4 if w.ndim > 1 else w for n, w in layer.items()} for layer in model.weights]
        model = Network(model.parts, weights, model.input_shape)  # a network that forgets
        assert isa in model.stream().explain()
        found[isa] = model.predict(x)
    last = np.finfo(np.float32).eps * max(1.0, float(np.abs(found[isa]).max()))
    for one in found.values():
        assert np.abs(one - found[isa]).max() <= 8 * last
