"""A saved model says the same with torch and without: every layer, cell and way to run one."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.convert.samples import network, samples

import ostinato
from ostinato.cells import CELLS
from ostinato.maps import MAPS
from ostinato.maps.embedding import Embedding
from ostinato.runtime import bundle, load, native
from ostinato.runtime.sequential_file import Named, to_bundle
from ostinato.scans.recurrent import Recurrent

SAMPLES = {name: [s for s in samples() if s.name == name] for name in sorted({s.name for s in samples()})}
CLOSE = 1e-6


def test_every_layer_and_cell_is_met():
    assert SAMPLES.keys() >= {*MAPS, *CELLS, "bidirectional"}


def inputs(sample):
    """Two samples, one with steps that a mask skips."""
    rng, shape = np.random.default_rng(8), (2, *(6 if n is None else n for n in sample.shape))
    first = sample.parts[0]
    if isinstance(first, Embedding):
        return rng.integers(0, first.input_dim, shape)
    x = rng.normal(size=shape).astype(np.float32)
    x[1, -2:] = 0.0
    return x


@pytest.mark.parametrize("name", SAMPLES)
def test_the_runtime_says_what_the_training_side_says(name, tmp_path):
    for sample in SAMPLES[name]:
        model = network(sample)
        layers = [Named(f"l{i}", *one) for i, one in enumerate(zip(model.parts, model.weights, strict=True))]
        bundle.save(tmp_path / "m", to_bundle(layers, sample.shape, name="m"))
        x = inputs(sample)
        trained, alone = ostinato.load_model(tmp_path / "m").predict(x, verbose=0), load(tmp_path / "m").predict(x)
        assert trained.shape == alone.shape, sample
        assert np.abs(trained - alone).max() <= CLOSE * max(1.0, float(np.abs(trained).max())), sample
        loops = [
            isinstance(p, Recurrent) and isinstance(native.key(p.cell), int) and not p.zoneout for p in sample.parts
        ]
        if all(loops) and native.available() is None:
            assert np.array_equal(trained, alone), f"{sample}: the same kernel must give the same bits"
