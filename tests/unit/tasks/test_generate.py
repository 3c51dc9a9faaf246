"""Generating: what is learnt, how it is measured, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.unit.runtime.generators import TUNES

from ostinato import Generate
from ostinato.data.inputs import Texts, write_tune
from ostinato.errors import ArgumentError, CheckpointMismatch, DataError, NotFittedError
from ostinato.metrics.ngram import NGram
from ostinato.runtime import load
from ostinato.runtime.decode import Sampling
from ostinato.tasks.generating.fitting import built, cross_entropy, streams
from ostinato.tasks.generating.network import Network
from ostinato.tasks.generating.reading import Reading, opening
from ostinato.tasks.training import Training
from ostinato.train import Objective, measure

QUICK = Training(epochs=1, bptt=16, batch_size=4)
RAIN = "the rain falls on the sea,\nand the wind blows.\n" * 12
CHINESE = "雨落在海上，风吹过山。\n我们今天看书。\n" * 20
NAMES = tuple(f"{a}{b}{c}" for a in ("An", "Ma", "Jo", "El") for b in ("na", "li", "ro") for c in ("", "ka", "be"))
TUNE_LIST = [*TUNES, *(replace(t, tempo=400_000) for t in TUNES)]


def quick(**options):
    return Generate(**{"units": 8, "training": QUICK} | options)


DATA = {
    "characters": (Texts((RAIN,), stream=True), {}),
    "chinese": (Texts((CHINESE,), stream=True), {}),
    "names": (Texts(NAMES, stream=False), {}),
    "bytes": (Texts((CHINESE,), stream=True), {"symbols": "bytes"}),
    "words": (Texts((RAIN,), stream=True), {"symbols": "words"}),
    "subwords": (Texts((RAIN,), stream=True), {"symbols": "subwords", "reading": Reading(size=300)}),
    "music": (TUNE_LIST, {}),
}
each = pytest.mark.parametrize("name", DATA)


@pytest.fixture(scope="module")
def fitted():
    made = {}

    def fit(name):
        if name not in made:
            if name == "subwords":
                pytest.importorskip("tokenizers")
            data, options = DATA[name]
            made[name] = quick(**options).fit(data)
        return made[name]

    return fit


@each
def test_what_is_saved_writes_the_same(name, fitted, tmp_path):
    model = fitted(name)
    model.save(tmp_path / "m")
    assert load(tmp_path / "m").predict() == Generate.load(tmp_path / "m").predict() == model.predict()
    want = model.generate(length=40, seed=3)
    assert Generate.load(tmp_path / "m").generate(length=40, seed=3) == want
    assert load(tmp_path / "m").generate(length=40, sampling=Sampling(seed=3)) == want


@each
def test_the_runtime_measures_what_training_measured(name, fitted):
    """The loss on the training side, in windows with carried states, against the runtime's, one row in float64."""
    model = fitted(name)
    corpus, network = model.fit_.corpus, model.fit_.fitted
    before = None if corpus.vocabulary.items else opening(corpus)
    feed = streams(corpus.valid, before, replace(QUICK, batch_size=1))
    stack = built(model.network, network.parts, seed=1)
    with torch.no_grad():
        for layer, weights in zip(stack.layers, network.trained.weights, strict=True):
            for key, p in layer.named_parameters():
                p.copy_(torch.from_numpy(weights[key.rpartition(".")[2]].copy()))
    want = measure(stack, feed, Objective(cross_entropy))["loss"]
    found = model.evaluation_.scores[0].nats
    assert math.isclose(found, want, abs_tol=1e-5)
    assert math.isclose(min(network.trained.history.history["val_loss"]), want, abs_tol=1e-5)


@each
def test_score_and_evaluate_and_report_say_the_same(name, fitted):
    model = fitted(name)
    found = model.evaluation_
    assert model.score() == -found.scores[0].nats
    assert found.scores[0].nats == pytest.approx(found.nats.mean())
    assert found.symbols == len(found.nats)
    assert math.isclose(found.scores[-1].perplexity, model.generator_.vocabulary.size, rel_tol=1e-9)
    texts = model.fit_.corpus.texts
    if texts is not None:
        assert math.isclose(model.score(texts[1]), model.score(), rel_tol=1e-6)
        again = model.generator_.evaluate(texts[1])
        assert again.bits == pytest.approx(found.scores[0].bits)
    for words in (model.summary(), model.report()):
        assert found.verdict.partition(":")[0] in words


@each
def test_nothing_of_the_validation_part_is_learnt(name, fitted):
    corpus = fitted(name).fit_.corpus
    rows = len(corpus.train) + len(corpus.valid)
    if corpus.vocabulary.items:
        assert rows == len(DATA[name][0].items if name != "music" else TUNE_LIST)
        return
    whole = corpus.vocabulary.decode(np.concatenate([*corpus.train, *corpus.valid]))
    if not corpus.vocabulary.has_unknown:
        assert whole == DATA[name][0].items[0]
    assert 0.05 < len(corpus.texts[1].items[0]) / len(DATA[name][0].items[0]) < 0.15


def test_no_two_samples_of_the_report_have_the_same_seed(fitted, monkeypatch):
    model, seeds = fitted("names"), []
    monkeypatch.setattr(
        type(model.generator_), "generate", lambda self, **how: seeds.append(how["sampling"].seed) or ""
    )
    page = model.report()
    assert sorted(seeds) == list(range(36))
    assert "seeds 12 to 23" in page


def test_the_ngram_rival_sees_the_same_symbols(fitted):
    model = fitted("names")
    corpus, size = model.fit_.corpus, model.generator_.vocabulary.size
    rival = NGram.fit(np.concatenate(corpus.train), size=size, order=7, lengths=list(map(len, corpus.train)))
    nats = np.concatenate([rival.surprise(row)[1:] for row in corpus.valid])
    assert model.evaluation_.scores[1].nats == pytest.approx(nats.mean())
    assert len(nats) == model.evaluation_.symbols


def test_it_learns():
    long = replace(QUICK, epochs=60, learning_rate=0.02)
    model = quick(units=24, training=long).fit(Texts(("abcd" * 150,), stream=True))
    assert model.evaluation_.scores[0].nats < 0.1
    assert model.generate("ab", length=6, temperature=0.0) == "abcdabcd"
    assert model.beams("ab", length=6, width=3)[0].text == "abcdabcd"
    assert model.log_probability("abcdabcd") > model.log_probability("abcdabca")


@pytest.mark.parametrize(
    "network",
    [Network(tied=True), Network(dropout=0.3, weight_drop=0.2, alpha=1.0, beta=1.0), Network(zoneout=0.1, embedding=5)],
    ids=["tied", "dropout", "zoneout"],
)
def test_networks_are_saved_as_they_were_measured(network, tmp_path):
    model = quick(network=network, units=(6, 7)).fit(DATA["characters"][0])
    model.save(tmp_path / "m")
    assert load(tmp_path / "m").evaluate(model.fit_.corpus.texts[1]).nats == pytest.approx(-model.score(), rel=1e-6)


def test_files_folders_and_several(tmp_path):
    (tmp_path / "a.txt").write_text(RAIN, "utf-8")
    (tmp_path / "b.txt").write_text(RAIN, "utf-8")
    one = quick().fit(tmp_path)
    several = quick().fit([tmp_path / "a.txt", str(tmp_path / "b.txt")])
    assert one.predict("the") == several.predict("the")
    assert one.fit_.corpus.source == "2 files"
    lines = quick(reading=Reading(items="lines")).fit(tmp_path / "a.txt")
    assert len(lines.fit_.corpus.train) + len(lines.fit_.corpus.valid) == 24


def test_midi_files(tmp_path):
    for i, tune in enumerate(TUNE_LIST):
        (tmp_path / f"{i}.mid").write_bytes(write_tune(tune))
    model = quick().fit(tmp_path)
    assert model.generate(tmp_path / "0.mid", length=20, seed=0).startswith(b"MThd")
    assert model.predict(tmp_path / "0.mid") == quick().fit(TUNE_LIST).predict(TUNE_LIST[0])
    assert model.generator_.evaluate(tmp_path).bits is None
    (tmp_path / "5.mid").write_bytes(b"MThd" + bytes(30))
    with pytest.raises(DataError, match=r"5\.mid"):
        quick().fit(tmp_path)


WRONG = [
    {"symbols": "letters"}, {"symbols": 3}, {"cell": "attention"}, {"units": 0}, {"units": ()}, {"units": (3, 0)},
    {"network": Network(embedding=-1)}, {"network": Network(dropout=1.0)}, {"network": Network(dropout=-0.1)},
    {"network": Network(weight_drop=1.0)}, {"network": Network(zoneout=math.nan)}, {"network": Network(tied=1)},
    {"network": Network(alpha=-1.0)}, {"network": Network(beta=math.inf)}, {"network": Network(tied=True, embedding=5)},
    {"network": None}, {"reading": Reading(items="words")}, {"reading": Reading(valid=0.0)},
    {"reading": Reading(valid=1.0)}, {"reading": Reading(errors="ignore")}, {"reading": Reading(size=10)},
    {"reading": Reading(least=0)}, {"reading": "lines"}, {"training": replace(QUICK, members=2)},
    {"training": replace(QUICK, bptt=-1)}, {"training": replace(QUICK, epochs=0)}, {"training": None},
]  # fmt: skip


@pytest.mark.parametrize("options", WRONG, ids=map(str, WRONG))
def test_options_out_of_range(options):
    with pytest.raises(ArgumentError) as caught:
        quick(**options).fit(DATA["characters"][0])
    assert caught.value.fix


def test_music_as_lines_is_refused():
    with pytest.raises(ArgumentError, match="items"):
        quick(reading=Reading(items="lines")).fit(TUNE_LIST)


FILES = {
    "utf8": (b"abc\n\nd\xff\xfe e" * 30, "encoding", r"byte 6 \(line 3\)"),
    "utf16": (b"\xff\xfe" + b"a\0b\0" * 90, "encoding", "UTF-16"),
    "empty": (b"", "empty", "empty file"),
    "blank": (b" \n\n ", "empty", "white space"),
    "one": (b"a", "short", "split"),
    "few": (b"abc", "short", "batch_size=2"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_cannot_be_learnt(name, tmp_path):
    data, code, words = FILES[name]
    path = tmp_path / f"{name}.txt"
    path.write_bytes(data)
    with pytest.raises(DataError, match=words) as caught:
        quick().fit(path)
    assert caught.value.code == code
    assert caught.value.fix


def test_what_is_no_text(tmp_path):
    (tmp_path / "a.md").write_text("text")
    for data, code in ((tmp_path, "empty"), (tmp_path / "no.txt", "file"), ([], "empty"), ([3], "type"),
                       ([tmp_path / "a.md"] * 2, "duplicate")):  # fmt: skip
        with pytest.raises(DataError) as caught:
            quick().fit(data)
        assert caught.value.code == code
    with pytest.raises(DataError, match="at least two"):
        quick().fit(TUNE_LIST[:1])
    with pytest.raises(DataError):
        quick().fit(Texts(("one",), stream=False))


def test_a_text_that_is_shorter_than_a_window_is_learnt_in_shorter_ones():
    model = quick(training=replace(QUICK, bptt=1000, batch_size=32)).fit(Texts(("abc" * 20,), stream=True))
    assert np.isfinite(model.score())


def test_a_checkpoint_of_other_options_or_data(tmp_path):
    kept = replace(QUICK, checkpoint=tmp_path / "run", every=0.0)
    first = quick(training=kept).fit(DATA["characters"][0])
    assert quick(training=kept).fit(DATA["characters"][0]).predict("the") == first.predict("the")
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    for options, data, word in (
        ({"units": 9}, "characters", "units"), ({"symbols": "bytes"}, "characters", "symbols"),
        ({"training": replace(kept, bptt=8)}, "characters", "bptt"), ({}, "chinese", "data"),
        ({"network": Network(dropout=0.1)}, "characters", "dropout"),
    ):  # fmt: skip
        with pytest.raises(CheckpointMismatch, match=word):
            quick(**{"training": kept} | options).fit(DATA[data][0])
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before


def test_a_model_from_a_file_says_what_it_cannot_do(fitted, tmp_path):
    fitted("characters").save(tmp_path / "m")
    model = Generate.load(tmp_path / "m")
    for use in (model.report, model.summary, model.explain_choices):
        with pytest.raises(NotFittedError):
            use()
    assert model.score(DATA["characters"][0]) < 0
