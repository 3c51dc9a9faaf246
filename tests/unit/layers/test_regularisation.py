"""What keeps recurrent networks from learning by heart, for every cell."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ostinato.cells import CELLS
from ostinato.errors import ArgumentError
from ostinato.kernels.base import TORCH
from ostinato.kernels.choose import force
from ostinato.layers import LSTM, ActivityPenalty, Dense, Layer, Stack
from ostinato.layers.noise import Noise
from ostinato.maps.activity_penalty import ActivityPenalty as Penalty
from ostinato.maps.embedding import Embedding
from ostinato.maps.unembedding import Unembedding
from ostinato.models import Sequential
from ostinato.scans.recurrent import Recurrent
from ostinato.train import Adam
from ostinato.train.batches import Batch
from ostinato.train.feeds import Piece
from ostinato.train.loop import Objective
from ostinato.train.sweeps import Whole, Windowed

each = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
X = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 7, 2)).astype(np.float32))


def layer(cell, **options):
    made = Layer(Recurrent(cell(5), return_sequences=True, **options), name="layer")
    made.build((7, 2), noise=Noise(3))
    with torch.no_grad():
        for p in made.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
    return made


@each
def test_weight_drop_zeroes_a_share_of_u_in_training_only(cell):
    plain, dropped = layer(cell), layer(cell, weight_drop=0.4)
    assert torch.equal(dropped.eval().run(X).y, plain.eval().run(X).y)
    dropped.train()
    seen = []

    def drop(x, rate, axes):
        seen.append((tuple(x.shape), rate, axes))
        return Noise(5).drop(x, rate, axes)

    part = dropped.part
    y = part.apply(_context(drop), dropped.tensors(), X).y
    u = dropped.tensors()["U"]
    by_hand = Noise(5).drop(u, 0.4, ())
    assert seen == [(tuple(u.shape), 0.4, ())]
    assert 0.2 < float((by_hand == 0).float().mean()) < 0.6
    with torch.no_grad():
        dropped.weights["U"].copy_(by_hand)
    assert torch.equal(y, dropped.eval().run(X).y)


def _context(drop):
    from ostinato.kernels.choose import scan
    from ostinato.maps.base import Context

    return Context(TORCH, scan, drop)


@each
def test_zoneout_keeps_old_numbers_in_training_and_moves_by_the_share_in_use(cell):
    zoned = layer(cell, zoneout=0.5)
    zoned.train()
    y = zoned.run(X).y
    old = torch.cat([torch.zeros(3, 1, 5), y[:, :-1]], dim=1)
    assert 0.3 < float((y == old).float().mean()) < 0.7
    mean = torch.zeros(())
    for step in range(400):
        zoned.noise.step = step
        mean = mean + zoned.run(X[:, :1]).y / 400
    assert float((mean - zoned.eval().run(X[:, :1]).y).detach().abs().max()) < 0.08


def test_zoneout_has_no_fast_kernel_and_says_so():
    choice = layer(CELLS["lstm"], zoneout=0.5).choices(X)["LSTM"]
    assert choice.kernel == "reference"
    assert all("zoneout" in reason for reason in choice.reasons.values())
    with force("reference"):
        layer(CELLS["lstm"], zoneout=0.5).run(X)


def test_prices_of_activity_are_the_formula():
    x = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    priced = Layer(Penalty(2.0, 3.0), name="priced")
    priced.build((5, 3), noise=Noise(0))
    priced.train()
    assert torch.equal(priced.run(x).y, x)
    expected = 2.0 * x.square().mean() + 3.0 * (x[:, 1:] - x[:, :-1]).square().mean()
    assert torch.allclose(priced.charges[0], expected)
    mask = torch.tensor([[True, True, True, False, False], [False, True, True, True, True]])
    x[~mask] = torch.nan
    priced.run(x, mask=mask)
    real = [x[0, :3], x[1, 1:]]
    size = sum(float(r.square().sum()) for r in real) / (7 * 3)
    change = sum(float((r[1:] - r[:-1]).square().sum()) for r in real) / (5 * 3)
    assert torch.allclose(priced.charges[0], torch.tensor(2.0 * size + 3.0 * change))
    assert len(priced.charges) == 1


def test_a_price_of_activity_is_paid_in_training():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 6, 2)).astype(np.float32), rng.normal(size=(32, 1)).astype(np.float32)
    sizes = []
    for alpha in (0.0, 50.0):
        model = Sequential(
            [LSTM(8, return_sequences=True, input_shape=(6, 2)), ActivityPenalty(alpha), LSTM(4), Dense(1)]
        )
        model.compile(Adam(0.02), "mse")
        history = model.fit(x, y, epochs=60, verbose=0)
        sizes.append(float(np.square(Sequential(model.layers[:1]).predict(x, verbose=0)).mean()))
        if alpha:
            assert history.history["loss"][0] > 0.1 + model.evaluate(x, y, verbose=0)
    assert sizes[1] < 0.2 * sizes[0]


def tied(width=4):
    embedding = Layer(Embedding(9, 4), name="embedding")
    out = Layer(Unembedding(9), tied={"table": (embedding, "table")}, name="out")
    return Stack([embedding, Layer(Recurrent(CELLS["gru"](width), return_sequences=True), name="gru"), out], seed=1)


def test_a_tied_weight_is_one_weight():
    stack = tied()
    stack.build((None,))
    assert stack.layers[0].weights["table"] is stack.layers[2].weights["table"]
    assert stack.count_params() == 9 * 4 + 2 * 3 * 4 * 4 + 3 * 4 + 9
    ids = torch.tensor([[1, 2, 3]])
    stack.run(ids)[0].sum().backward()
    both = stack.layers[0].weights["table"].grad.clone()
    assert (both.abs().sum(1) > 0).all()  # symbols that are not in the input get their gradient from the output


def test_a_tied_weight_of_another_shape_is_refused():
    with pytest.raises(ArgumentError, match="tied"):
        tied(width=5).build((None,))


def test_windows_charge_what_the_whole_charges():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(4, 12, 2)).astype(np.float32))
    batch = Batch(x, torch.zeros(4, 12, 5))
    found = {}
    for sweep in (Whole(), Windowed(4), Windowed(4, recompute=True)):
        stack = Stack([Layer(Recurrent(CELLS["lstm"](5), return_sequences=True)), Layer(Penalty(2.0, 0.0))], seed=2)
        stack.build((None, 2))
        objective = Objective(lambda y, batch, mask: ((0.0 * y).mean(), float(y[..., 0].numel())))
        value = sweep.gradient(stack, objective, Piece(batch, torch.arange(4)), ()).loss
        found[sweep] = (value, torch.cat([p.grad.reshape(-1) for p in stack.parameters()]))
    (whole, slope), *others = found.values()
    assert whole > 0.0
    for value, g in others:
        assert abs(value - whole) < 1e-6
        assert torch.allclose(g, slope, rtol=1e-4, atol=1e-6)
