"""A saved model in bf16: what is refused, what is packed once, and what its cost is."""

import pickle

import numpy as np
import pytest
from tests.unit.runtime.bundle_samples import bundle, small

from ostinato.cells import CELLS
from ostinato.errors import ArgumentError, KernelError
from ostinato.maps import MAPS
from ostinato.runtime import bundle as files
from ostinato.runtime import load, machine, native, precision_cost
from ostinato.runtime.machine import Machine
from ostinato.runtime.precision import compare
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

needs_bf16 = pytest.mark.skipif(native.without_bf16() is not None, reason=str(native.without_bf16()))
X = np.random.default_rng(0).normal(size=(5, 7, 2)).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    """A file of a small model with recurrent layers of two kinds, one of them in both directions."""
    path = tmp_path / "m.safetensors"
    files.save(path, small())
    return path


@needs_bf16
def test_a_model_loads_in_bf16_and_says_what_that_costs(path):
    plain, rough = load(path), load(path, precision="bf16")
    assert (plain.precision, rough.precision) == ("float32", "bf16")
    y, z = plain.predict(X), rough.predict(X)
    assert y.dtype == z.dtype == np.float32
    assert 0.0 < np.abs(y - z).max() < 0.1
    cost = precision_cost(plain, X)
    assert cost == precision_cost(rough, X)
    assert cost.largest == pytest.approx(np.abs(y - z).max() / y.std(dtype=np.float64), rel=1e-5)
    assert 0.0 < cost.root_mean_square < cost.largest
    assert f"{cost.largest:.2g}" in str(cost)
    mask = np.arange(7)[None] < np.array([7, 1, 3, 5, 2])[:, None]
    assert precision_cost(rough, X, mask=mask) != cost
    assert precision_cost(rough, X, precision="float32") == (0.0, 0.0)
    assert rough.at("bf16") is rough


@needs_bf16
def test_only_recurrent_layers_are_rounded(tmp_path):
    files.save(tmp_path / "m", bundle([MAPS["dense"](3), MAPS["layer_norm"]()], (None, 2)))
    plain, rough = (load(tmp_path / "m", precision=p).predict(X) for p in native.PRECISIONS)
    assert np.array_equal(plain, rough)


@needs_bf16
def test_weights_are_packed_once_and_a_copy_packs_its_own(path, monkeypatch):
    made = []

    def prepared(*arguments, **options):
        made.append(options["precision"])
        return native.Prepared(*arguments, **options)

    monkeypatch.setattr(machine, "Prepared", prepared)
    model = load(path, precision="bf16")
    first = model.predict(X)
    assert np.array_equal(model.predict(X), first)
    assert made == ["bf16"] * 3
    b = small()
    copy = pickle.loads(pickle.dumps(Machine(b.parts, b.weights, precision="bf16")))
    assert np.array_equal(copy.run(X)[0], first)


@needs_bf16
def test_what_has_no_bf16_is_refused_not_replaced(tmp_path):
    for part in (
        Recurrent(CELLS["lstm"](4, activation="relu")),
        Bidirectional(
            Recurrent(CELLS["lstm"](4)), backward=Recurrent(CELLS["gru"](4, activation="relu"), reverse=True)
        ),
    ):
        files.save(tmp_path / "m", bundle([part], (None, 2)))
        load(tmp_path / "m").predict(X)
        with pytest.raises(KernelError, match="activations"):
            load(tmp_path / "m", precision="bf16")
    b = small()
    with pytest.raises(KernelError, match="float64"):
        Machine(b.parts, b.weights, precision="bf16").run(X.astype(np.float64))


def test_a_processor_without_bf16_is_told_so(path, monkeypatch):
    if native.without_bf16() is None:
        monkeypatch.setattr(native.module(), "bf16_engine", lambda: "")
        reason = "bf16 products"
    else:
        reason = native.without_bf16()
    b = small()
    for ask in (
        lambda: load(path, precision="bf16"),
        lambda: load(path).at("bf16"),
        lambda: precision_cost(load(path), X),
        lambda: Machine(b.parts, b.weights, precision="bf16"),
        lambda: native.check_precision("bf16"),
    ):
        with pytest.raises(KernelError) as caught:
            ask()
        assert reason in caught.value.got
        assert "float32" in caught.value.fix
    load(path).predict(X)


@needs_bf16
def test_a_lesser_instruction_set_has_no_bf16(path, monkeypatch):
    monkeypatch.setenv("OSTINATO_ISA", "avx2")
    with pytest.raises(KernelError, match="OSTINATO_ISA=avx2 has no bf16"):
        load(path, precision="bf16")
    monkeypatch.setenv("OSTINATO_ISA", native.module().engines()[0])
    assert load(path, precision="bf16").precision == "bf16"


@pytest.mark.parametrize("name", ["int8", "", "BF16", "float64"])
def test_other_precisions_are_refused(path, name):
    with pytest.raises(ArgumentError, match="float32, bf16"):
        load(path, precision=name)


def test_cost_of_known_numbers():
    exact = np.array([1.0, -1.0, 1.0, -1.0])
    assert compare(exact, exact + np.array([0.0, 0.2, 0.0, 0.0])) == pytest.approx((0.2, 0.1))
    assert compare(np.ones(3), np.ones(3)) == (0.0, 0.0)
    assert compare(np.ones(3), np.zeros(3)) == (np.inf, np.inf)
    with pytest.raises(ArgumentError, match="outputs to compare"):
        compare(np.ones((0, 2)), np.ones((0, 2)))
