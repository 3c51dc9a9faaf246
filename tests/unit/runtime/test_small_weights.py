"""Weights in fewer bits: what is stored is what was measured, files get smaller, and hostile ones are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from tests.attacks.build import manifest, model
from tests.unit.runtime.bundle_samples import bundle, stacks

from ostinato.cells import CELLS
from ostinato.errors import ArgumentError, ModelFileError
from ostinato.maps.dense import Dense
from ostinato.runtime import Network, native
from ostinato.runtime.bundle import Bundle, load, save
from ostinato.runtime.small_weights import STORES, packed, rounded
from ostinato.scans.recurrent import Recurrent

SMALL = ("bf16", "int8")


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("name", stacks())
def test_every_layer_is_stored_and_loaded(name, store, tmp_path):
    made = bundle(*stacks()[name])
    save(tmp_path / "m", made, store=store)
    again = load(tmp_path / "m")
    assert again.parts == made.parts
    for one, other in zip(made.weights, again.weights, strict=True):
        assert set(one) == set(other)
        for key, w in one.items():
            assert other[key].dtype == np.float32
            np.testing.assert_array_equal(other[key], rounded(w, store, members=1))
    save(tmp_path / "again", again, store=store)
    if store != "int8":  # whose scales follow from rounded numbers
        assert (tmp_path / "again").read_bytes() == (tmp_path / "m").read_bytes()


def test_bf16_is_that_of_torch():
    rng = np.random.default_rng(0)
    w = (rng.normal(size=(64, 64)) * 10.0 ** rng.integers(-38, 38, (64, 64))).astype(np.float32)
    w[0, :3] = 0.0, -0.0, 1.00390625  # a tie
    theirs = torch.from_numpy(w).to(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(rounded(w, "bf16", members=1), theirs)


@pytest.mark.parametrize("members", [1, 3])
def test_int8_is_within_half_a_step_of_each_column(members):
    rng = np.random.default_rng(0)
    w = rng.normal(size=(members, 5, 7, 4) if members > 1 else (5, 7, 4)).astype(np.float32) * [1e-6, 1.0, 1e6, 0.0]
    w = w.astype(np.float32)
    largest = np.abs(w).max(axis=(-3, -2), keepdims=True)
    assert (np.abs(rounded(w, "int8", members=members) - w) <= largest / 254 * 1.001).all()
    (_, q), (_, scale) = packed("w", w, "int8", members=members).values()
    assert q.dtype == np.int8
    assert scale.shape == ((3, 4) if members > 1 else (4,))
    assert np.abs(q).max() == 127


@pytest.mark.parametrize("store", SMALL)
def test_vectors_stay_exact(store):
    b = np.array([1.0000001, 3e-9], np.float32)
    for members, v in ((1, b), (2, np.stack([b, b]))):
        np.testing.assert_array_equal(rounded(v, store, members=members), v)


@pytest.mark.parametrize(("store", "times"), [("bf16", 1.9), ("int8", 3.6)])
def test_files_get_smaller(store, times, tmp_path):
    made = bundle(
        [Recurrent(CELLS["lstm"](96), return_sequences=True), Recurrent(CELLS["gru"](96)), Dense(8)], (None, 32)
    )
    for name in ("float32", store):
        save(tmp_path / name, made, store=name)
    assert (tmp_path / "float32").stat().st_size > times * (tmp_path / store).stat().st_size


def test_several_members(tmp_path):
    one = bundle([Dense(3)], (2,))
    weights = [{k: np.stack([v, 1000 * v]) for k, v in one.weights[0].items()}]
    made = Bundle(replace(one.manifest, members=2), one.parts, weights)
    for store in SMALL:
        save(tmp_path / store, made, store=store)
        for key, w in load(tmp_path / store).weights[0].items():
            np.testing.assert_array_equal(w, rounded(weights[0][key], store, members=2))
            np.testing.assert_allclose(w, weights[0][key], rtol=0.02, atol=np.abs(weights[0][key][0]).max() / 100)


@pytest.mark.parametrize("store", SMALL)
@pytest.mark.parametrize("bad", [np.nan, np.inf, 3.4e38])
def test_numbers_that_cannot_be_stored(store, bad, tmp_path):
    made = bundle([Dense(3)], (2,))
    made.weights[0]["W"][0, 0] = bad
    with pytest.raises(ModelFileError) as info:
        save(tmp_path / "m", made, store=store, allow_nonfinite=True)
    assert info.value.code == "nonfinite"
    assert not (tmp_path / "m").exists()


@pytest.mark.skipif(native.without_bf16() is not None, reason=str(native.without_bf16()))
def test_bf16_products_lose_nothing_more(tmp_path):
    made = bundle([Recurrent(CELLS["lstm"](16), return_sequences=True)], (None, 8))
    x = np.random.default_rng(0).normal(size=(2, 9, 8)).astype(np.float32)
    found = {}
    for store in ("float32", "bf16"):
        save(tmp_path / store, made, store=store)
        parts, weights = made.parts, load(tmp_path / store).weights
        found[store] = Network(parts, weights, (None, 8), "bf16").predict(x)
    np.testing.assert_array_equal(found["bf16"], found["float32"])
    assert not np.array_equal(found["bf16"], Network(made.parts, made.weights, (None, 8)).predict(x))


def test_an_unknown_store(tmp_path):
    with pytest.raises(ArgumentError, match="int8"):
        save(tmp_path / "m", bundle([Dense(3)], (2,)), store="int4")


# W [2, 3] in one byte a number needs its three scales; vectors and a task's tensors are never small.
Q, SCALE, B = (
    ("layers/0/W", "I8", [2, 3], 24, 30),
    ("layers/0/W/scale", "F32", [3], 0, 12),
    ("layers/0/b", "F32", [3], 12, 24),
)
ONES = np.ones(6, "<f4").tobytes()
DATA = ONES + bytes([1, 2, 3, 255, 128, 0])
HALF = ("layers/0/W", "BF16", [2, 3], 12, 24)
FILES = {
    "no_scale": ("tensors", (("layers/0/b", "F32", [3], 0, 12), ("layers/0/W", "I8", [2, 3], 12, 18)), DATA[:18]),
    "scales_of_rows": ("tensors", (("layers/0/W/scale", "F32", [2], 0, 8), ("layers/0/b", "F32", [3], 8, 20),
                                   ("layers/0/W", "I8", [2, 3], 20, 26)), DATA[:26]),
    "one_scale": ("tensors", (("layers/0/W/scale", "F32", [], 0, 4), ("layers/0/b", "F32", [3], 4, 16),
                              ("layers/0/W", "I8", [2, 3], 16, 22)), DATA[:22]),
    "scales_in_bf16": ("tensors", (("layers/0/b", "F32", [3], 0, 12), ("layers/0/W/scale", "BF16", [3], 12, 18),
                                   ("layers/0/W", "I8", [2, 3], 18, 24)), DATA[:24]),
    "scales_of_float32": ("tensors", (("layers/0/W", "F32", [2, 3], 0, 24), ("layers/0/b", "F32", [3], 24, 36),
                                      ("layers/0/W/scale", "F32", [3], 36, 48)), ONES * 2),
    "a_scale_of_a_scale": ("tensors", (SCALE, B, ("layers/0/W/scale/scale", "F32", [3], 24, 36),
                                       ("layers/0/W", "I8", [2, 3], 36, 42)), ONES + ONES[:18]),
    "a_small_vector": ("tensors", (("layers/0/W", "F32", [2, 3], 0, 24), ("layers/0/b", "BF16", [3], 24, 30)), DATA),
    "a_small_vector_of_int8": ("tensors", (("layers/0/W", "F32", [2, 3], 0, 24), ("layers/0/b", "I8", [3], 24, 27)),
                               DATA[:27]),
    "unsigned": ("tensors", (("layers/0/W", "U8", [2, 3], 24, 30), SCALE, B), DATA),
    "a_task_in_bf16": ("task_tensor", (("layers/0/W", "F32", [2, 3], 0, 24), ("layers/0/b", "F32", [3], 24, 36),
                                       ("task/x", "BF16", [1], 36, 38)), ONES + ONES[:12] + b"\0\0"),
    "a_task_in_int8": ("task_tensor", (("layers/0/W", "F32", [2, 3], 0, 24), ("layers/0/b", "F32", [3], 24, 36),
                                       ("task/x", "I8", [1], 36, 37)), ONES + ONES[:12] + b"\0"),
    "bytes_of_float32": ("offsets", (("layers/0/W", "BF16", [2, 3], 0, 24), ("layers/0/b", "F32", [3], 24, 36)),
                         ONES * 2),
    "half_a_number": ("offsets", (("layers/0/b", "F32", [3], 0, 12), ("layers/0/W", "BF16", [2, 3], 12, 23)), DATA),
    "not_finite": ("nonfinite", (("layers/0/b", "F32", [3], 0, 12), HALF), ONES[:12] + b"\x80\x7f" * 6),
    "too_large": ("nonfinite", (Q, SCALE, B), np.full(6, 3e38, "<f4").tobytes() + DATA[24:]),
    "scales_that_are_nan": ("nonfinite", (Q, SCALE, B), np.full(6, np.nan, "<f4").tobytes() + DATA[24:]),
}  # fmt: skip


def test_the_files_that_attacks_start_from_are_valid(tmp_path):
    (tmp_path / "m").write_bytes(model(manifest(DATA), (Q, SCALE, B), DATA))
    assert load(tmp_path / "m").weights[0]["W"].tolist() == [[1, 2, 3], [-1, -128, 0]]
    data = ONES[:12] + b"\x80\x3f" * 6
    (tmp_path / "m").write_bytes(model(manifest(data), (("layers/0/b", "F32", [3], 0, 12), HALF), data))
    assert load(tmp_path / "m").weights[0]["W"].tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize("name", FILES)
def test_hostile(name, tmp_path):
    code, tensors, data = FILES[name]
    (tmp_path / "m").write_bytes(model(manifest(data), tensors, data))
    with pytest.raises(ModelFileError) as info:
        load(tmp_path / "m")
    assert info.value.code == code
