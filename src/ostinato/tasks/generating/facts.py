"""The facts of a fitted generator, as the report wants them."""

from __future__ import annotations

import platform
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ostinato.data.vocabularies._text import TextVocabulary
from ostinato.data.vocabularies.midi import Midi
from ostinato.layers.module import Layer
from ostinato.layers.stack import Stack
from ostinato.report.generate import GenerateReport
from ostinato.report.health import health_section
from ostinato.runtime.decode import Sampling
from ostinato.runtime.generator import Generator
from ostinato.tasks.generating.evaluation import Evaluation
from ostinato.tasks.generating.fitting import Fitted
from ostinato.tasks.generating.reading import Corpus
from ostinato.tasks.learning.ending import ended
from ostinato.tasks.learning.networks import layer_rows
from ostinato.tasks.training import Training
from ostinato.train.health import Health, gradient_health
from ostinato.version import __version__

TEMPERATURES = (0.5, 0.8, 1.0)
STRETCHES, STRETCH = 8, 100
"""How many stretches of the training part show how far back gradients reach, and how long they are."""

SHOWN, WRITTEN, ITEMS = 1200, 600, 12
"""Symbols of the coloured passage, and of each sample; items of a sample."""


class FittedTask(Protocol):
    """What the report reads of a fitted `Generate`."""

    training: Training
    generator_: Generator
    evaluation_: Evaluation | None

    def explain_choices(self) -> list[dict[str, str]]:
        """Rows of "what", "chosen" and "why"."""


def facts(task: FittedTask, corpus: Corpus, fitted: Fitted, *, command: str) -> GenerateReport:
    """Everything that the report of `task` shows.

    Args:
        task: A fitted task.
        corpus: What it learned from.
        fitted: Its network and how it was trained.
        command: How to make the same model again.
    """
    found = task.evaluation_
    assert found is not None
    losses = fitted.trained.history.history
    epochs = len(fitted.trained.history.epoch)
    seconds = f"{fitted.seconds:.{1 if fitted.seconds < 9.95 else 0}f}"
    speed = fitted.symbols * epochs / max(fitted.seconds, 1e-9)
    report: GenerateReport = {
        "title": f"Generator from {corpus.source}",
        "verdict": found.verdict,
        "made_with": {
            "versions": {
                "ostinato": __version__,
                "Python": platform.python_version(),
                "torch": str(torch.__version__),
                "numpy": np.__version__,
            },
            "seed": task.training.seed,
            "command": command,
        },
        "scores": [{"name": s.name, "nats": s.nats, "perplexity": s.perplexity, "bits": s.bits} for s in found.scores],
        "symbols": found.symbols,
        "training": {
            "epochs": epochs,
            "train_loss": losses["loss"],
            "valid_loss": losses["val_loss"],
            "ended": ended([fitted.trained], task.training),
            "best_epoch": fitted.trained.epochs,
        },
        "pace": f"{seconds} s in all, " + f"{speed:,.0f} symbols a second.".replace(",", "\u202f"),
        "data": _data(corpus),
        "treatments": corpus.treatments,
        "model": layer_rows(fitted.parts, (None,)),
        "choices": [{"what": c["what"], "chosen": c["chosen"], "why": c["why"]} for c in task.explain_choices()],
        "notes": _notes(corpus),
    }
    report["further"] = [health_section(_health(corpus, fitted).facts())]
    generator, vocabulary = task.generator_, corpus.vocabulary
    if isinstance(vocabulary, TextVocabulary):
        report["samples"] = [_sample(generator, t, seed) for seed, t in enumerate(TEMPERATURES)]
        report["surprise"] = _passage(generator, vocabulary, corpus, found)
    elif isinstance(vocabulary, Midi):
        report["rolls"] = [_roll(generator, vocabulary, t, seed) for seed, t in enumerate(TEMPERATURES)]
    return report


def _health(corpus: Corpus, fitted: Fitted) -> Health:
    """How far back the loss reaches, on some stretches of the training part."""
    stack = Stack([Layer(part, name=f"layer {i}") for i, part in enumerate(fitted.parts, 1)])
    stack.build((None,))
    with torch.no_grad():
        for layer, weights in zip(stack.layers, fitted.trained.weights, strict=True):
            for key, p in layer.weights.items():  # type: ignore[operator, union-attr]
                p.copy_(torch.from_numpy(np.array(weights[key])))
    ids = torch.from_numpy(np.concatenate(corpus.train).astype(np.int64))
    steps = min(STRETCH, len(ids) - 1)
    begins = torch.linspace(0, len(ids) - 1 - steps, min(STRETCHES, len(ids) - steps)).long()
    x = torch.stack([ids[b : b + steps] for b in begins])
    y = torch.stack([ids[b + 1 : b + 1 + steps] for b in begins])
    return gradient_health(stack, x, y, loss=_surprise, watched=fitted.trained.watched, rows=len(x))


def _surprise(y: Tensor, target: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(y, target, reduction="none")


def _sample(generator: Generator, temperature: float, seed: int) -> Any:
    if generator.vocabulary.items:  # each with a seed that no other has, or all temperatures would write much the same
        seeds = range(ITEMS * seed, ITEMS * (seed + 1))
        label = f"seeds {seeds[0]} to {seeds[-1]}"
    else:
        seeds, label = range(seed, seed + 1), f"seed {seed}"
    written = [generator.generate(length=WRITTEN, sampling=Sampling(temperature, seed=s)) for s in seeds]
    return {"label": f"Temperature {temperature:g}, {label}", "prime": "", "text": "\n".join(written)}


def _roll(generator: Generator, vocabulary: Midi, temperature: float, seed: int) -> Any:
    ids = list(generator.sample(length=WRITTEN, sampling=Sampling(temperature=temperature, seed=seed)))
    tune = vocabulary.decode_tune(np.array(ids, np.int32))
    beat = vocabulary.steps_per_beat
    notes = [(note.start / beat, note.end / beat, note.pitch) for note in tune.notes]
    return {"label": f"Temperature {temperature:g}, seed {seed}", "notes": notes}


def _passage(generator: Generator, vocabulary: TextVocabulary, corpus: Corpus, found: Evaluation) -> Any:
    """The beginning of the validation part; symbols that share a character are one piece."""
    rows = [row[1:] if vocabulary.items else row for row in corpus.valid]
    ids = np.concatenate(rows)[:SHOWN]
    spans = vocabulary.spans(ids)
    nats = np.bincount(spans.owners, weights=found.nats[: len(ids)], minlength=len(spans.texts))
    texts = list(spans.texts)
    if vocabulary.items:  # the end of an item shows as a line end
        ends = spans.owners[ids == vocabulary.end_id]
        texts = [("\n" if i in set(ends.tolist()) else "") + text for i, text in enumerate(texts)]
    return {"pieces": texts, "nats": nats.tolist()}


def _data(corpus: Corpus) -> dict[str, str]:
    train, valid = (sum(map(len, rows)) for rows in (corpus.train, corpus.valid))
    rows = {"From": corpus.source, "Symbols": f"{corpus.kind}, {corpus.vocabulary.size} different ones"}
    if corpus.vocabulary.items:
        rows["Items"] = f"{len(corpus.train):,} to learn, {len(corpus.valid):,} to test"
    rows["Length"] = f"{train:,} symbols to learn, {valid:,} to test"
    if corpus.texts is not None:
        rows["Characters"] = f"{corpus.texts[0].characters:,} to learn, {corpus.texts[1].characters:,} to test"
    return {name: value.replace(",", "\u202f") if name != "From" else value for name, value in rows.items()}


def _notes(corpus: Corpus) -> list[str]:
    notes = ["The model that is saved is the one that was evaluated: it never saw the validation part."]
    if corpus.kind == "characters":
        notes.append("The list of characters comes from the whole text; nothing else of the validation part was used.")
    if not corpus.vocabulary.items:
        notes.append("The validation part was read in one stream with its states carried from end to end.")
    unknown = sum(corpus.vocabulary.count_unknown(row) for row in corpus.valid)
    if unknown:
        notes.append(
            f"{unknown} symbols of the validation part are unknown to the vocabulary, and count as one symbol."
        )
    return notes
