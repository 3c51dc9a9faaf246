"""A model file of a generator: the same text after loading; refused if settings, vocabulary or network do not fit."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from tests.unit.runtime.generators import VOCABULARIES, generator, parts, source
from tests.unit.runtime.test_forecaster_file import QUIET, changed

from ostinato import Generate
from ostinato.cells import CELLS
from ostinato.data.vocabularies.characters import Characters
from ostinato.errors import ModelFileError
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.maps.flatten import Flatten
from ostinato.runtime import bundle as files
from ostinato.runtime import load
from ostinato.runtime.decode import Sampling
from ostinato.runtime.generator_file import to_bundle
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

each = pytest.mark.parametrize("name", VOCABULARIES)


@pytest.fixture(scope="module")
def of():
    return {name: to_bundle(generator(v), version="0.1.0") for name, v in VOCABULARIES.items()}.__getitem__


def refused(bundle, path, *codes):
    files.save(path, bundle)
    for read in (load, Generate.load):
        with pytest.raises(ModelFileError) as caught:
            read(path)
        error = caught.value
        assert error.code in (codes or ("task", "vocabulary"))
        assert error.rule
        assert error.got
        assert error.fix
        assert len(str(error)) < 1200
        assert str(error).isprintable()


@each
def test_what_was_loaded_writes_the_same_text(name, of, tmp_path):
    files.save(tmp_path / "m", of(name))
    model, again = generator(VOCABULARIES[name]), load(tmp_path / "m")
    assert again.vocabulary == model.vocabulary
    assert again.opening == model.opening
    for how in (Sampling(seed=1), Sampling(temperature=0.0)):
        want = model.generate(source(name), length=40, sampling=how)
        assert again.generate(source(name), length=40, sampling=how) == want
    assert again.log_probability(source(name)) == model.log_probability(source(name))
    task = Generate.load(tmp_path / "m")
    assert task.generate(source(name), length=40, temperature=0.0) == want
    files.save(tmp_path / "n", task.to_bundle())
    assert (tmp_path / "n").read_bytes() == (tmp_path / "m").read_bytes()


BAD = {
    "symbols": ("", "os", "letters", "Characters", 3, None, ["characters"]),
    "opening": (-1, 2**31, 2**40, 1.5, "0", None, True),
    "vocabulary_items": (0, 1, "yes", None),
    "vocabulary_unknown": ("", "guess", None, 3, True),
    "vocabulary_steps_per_beat": (0, -1, 481, 2**40, 1.5, "12", None, True),
    "vocabulary_longest": (0, -1, 10_001, 2**40, 1.5, None, True),
    "vocabulary_velocities": (-1, 128, 1.5, None, True),
    "vocabulary_tempo": (0, -1, 2**24, 1.5, None, True),
    "vocabulary_foo": (1,), "foo": (1,),
}  # fmt: skip


@each
def test_settings_out_of_range(name, of, tmp_path):
    bundle = of(name)
    assert set(bundle.manifest.options) <= set(BAD)
    for option in bundle.manifest.options.keys() | {"foo", "vocabulary_foo"}:
        for i, value in enumerate(BAD[option]):
            refused(changed(bundle, options={option: value}), tmp_path / f"{option}{i}")
    refused(changed(bundle, options={"opening": VOCABULARIES[name].size}), tmp_path / "opening")
    other = "bytes" if name != "bytes" else "midi"
    refused(changed(bundle, options={"symbols": other}), tmp_path / "symbols")


@each
def test_a_setting_that_is_absent(name, of, tmp_path):
    bundle = of(name)
    for option in bundle.manifest.options:
        options = {k: v for k, v in bundle.manifest.options.items() if k != option}
        made = msgspec.structs.replace(bundle.manifest, options=options)
        refused(replace(bundle, manifest=made), tmp_path / option)


def bad_tensors(extra):
    for name, value in extra.items():
        yield name, value[:-1]
        yield name, value[None]
        yield name, value.astype(np.float64)
        yield name, value.astype(np.int64 if value.dtype == np.uint8 else np.uint8)
        if value.dtype == np.int64:
            for number in (-1, 2**31, -(2**63), 0x110000, 0xD800):
                wrong = value.copy()
                wrong.reshape(-1)[-1] = number
                yield name, wrong
    if "vocabulary/codes" in extra:
        yield "vocabulary/codes", extra["vocabulary/codes"][::-1].copy()
        yield "vocabulary/codes", np.repeat(extra["vocabulary/codes"][:1], len(extra["vocabulary/codes"]))
    if "vocabulary/symbols" in extra:
        yield "vocabulary/symbols", np.full_like(extra["vocabulary/symbols"], 0xFF)
        yield "vocabulary/lengths", np.zeros_like(extra["vocabulary/lengths"])
    if "vocabulary/merges" in extra:
        yield "vocabulary/merges", np.repeat(extra["vocabulary/merges"][:1], 2, axis=0)
        yield "vocabulary/merges", np.array([[0, 0], [256, 256], *([257 + i, 257 + i] for i in range(30))])
    yield "vocabulary/more", np.zeros(1)
    yield "scale", np.zeros(1)


@each
def test_vocabularies_that_do_not_fit(name, of, tmp_path):
    bundle = of(name)
    for i, (key, value) in enumerate(bad_tensors(bundle.extra)):
        refused(changed(bundle, extra={key: value}), tmp_path / str(i))
    for key in bundle.extra:
        refused(replace(bundle, extra={k: v for k, v in bundle.extra.items() if k != key}), tmp_path / "none")


def test_networks_that_do_not_fit(of, tmp_path):
    vocabulary = VOCABULARIES["characters"]
    size, run = vocabulary.size, Recurrent(CELLS["lstm"](5), return_sequences=True)
    wrong = {
        "fewer symbols in": (Embedding(size - 1, 4), run, Dense(size)),
        "more symbols in": (Embedding(size + 1, 4), run, Dense(size)),
        "fewer scores": (Embedding(size, 4), run, Dense(size - 1)),
        "more scores": (Embedding(size, 4), run, Dense(size + 1)),
        "last step only": (Embedding(size, 4), Recurrent(CELLS["lstm"](5)), Dense(size)),
        "backwards": (Embedding(size, 4), replace(run, reverse=True), Dense(size)),
        "both ways": (Embedding(size, 4), Bidirectional(run), Dense(size)),
        "no embedding": (Dense(4), run, Dense(size)),
        "second": (Dense(1), Embedding(size, 4), Dense(size)),
        "flat": (Embedding(size, 4), Flatten(), Dense(size)),
    }
    good = of("characters")
    for name, layers in wrong.items():
        if name in ("no embedding", "second", "flat"):
            continue
        made = to_bundle(generator(vocabulary, layers), version="0.1.0")
        refused(made, tmp_path / name.replace(" ", "_"))
    for layers, shape in (((Dense(size),), (None, 3)), ((), (None,)), (wrong["flat"], (4,)), (parts(size), (7,))):
        from tests.unit.runtime.bundle_samples import bundle as random

        made = random(list(layers), shape)
        manifest = msgspec.structs.replace(made.manifest, task="generate", options=good.manifest.options)
        refused(replace(made, manifest=manifest, extra=good.extra), tmp_path / "n")


def test_several_members_are_refused(tmp_path):
    from ostinato.runtime.machine import stacked

    good = to_bundle(generator(Characters("ab")), version="0.1.0")  # as many symbols as members
    manifest = msgspec.structs.replace(good.manifest, members=2)
    refused(replace(good, manifest=manifest, weights=stacked([good.weights] * 2)), tmp_path / "m")


def test_other_tasks(of, tmp_path):
    files.save(tmp_path / "s", changed(of("bytes"), task="sequential"))
    with pytest.raises(ModelFileError, match="must be of task generate"):
        Generate.load(tmp_path / "s")
    refused(changed(of("bytes"), task="forecast"), tmp_path / "f", "task", "task_tensor")


@each
def test_loading_only_opens_its_file(name, of, tmp_path):
    files.save(tmp_path / "m", of(name))
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(tmp_path / "m")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
