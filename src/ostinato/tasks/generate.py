"""Generating: the next symbols of texts, names and tunes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from ostinato._optional import check_installed
from ostinato.cells import Cell
from ostinato.data.inputs import Texts
from ostinato.errors import ArgumentError
from ostinato.report import generate_report, write
from ostinato.runtime.bundle import Bundle
from ostinato.runtime.decode import Sampling
from ostinato.runtime.generator import Continuation, Generator
from ostinato.runtime.generator_file import from_bundle, most_bytes, to_bundle
from ostinato.runtime.room import Room
from ostinato.runtime.writing import Prime
from ostinato.tasks.base import Task
from ostinato.tasks.checks import check_cells, check_choice, check_kind
from ostinato.tasks.generating.evaluation import Evaluation, evaluate
from ostinato.tasks.generating.network import Network
from ostinato.tasks.generating.reading import SYMBOLS, Corpus, Reading, opening, read_corpus
from ostinato.tasks.training import Training
from ostinato.version import __version__

if TYPE_CHECKING:
    from ostinato.kernels.choose import Choice as KernelChoice
    from ostinato.tasks.generating.fitting import Fitted
    from ostinato.train.range_test import RangeTest


class Fit(NamedTuple):
    """What `Generate.fit` leaves behind for the report.

    Args:
        corpus: The data.
        fitted: The network, with its history.
        kernels: The kernel of each cell.
    """

    corpus: Corpus
    fitted: Fitted
    kernels: dict[str, KernelChoice]


@dataclass(eq=False)
class Generate(Task):
    """Learns from texts or tunes how they go on, and writes more of them.

    `fit` keeps the last tenth of a continuous text (or a tenth of the items) for validation, trains with truncated
    backpropagation and carried states, and evaluates on all of the validation part in one stream beside n-grams and a
    compressor. The saved model is the one that was evaluated.

    Args:
        symbols: "characters", "bytes", "words", "subwords" or "midi"; "auto" takes characters, and events for music.
        cell: Name of the recurrence ("lstm", "gru", "gru_reset_after", "simple_rnn", …). In Python also a cell, whose
            other options are kept while `units` sets its size.
        units: Size of the recurrent layer; several numbers for several layers.
        network: Embedding and regularisation.
        reading: How files become symbols.
        training: How the network is trained.

    Example:
        >>> from ostinato.data.inputs import Texts
        >>> text = Texts(("abcd" * 200,), stream=True)
        >>> model = Generate(units=16, training=Training(epochs=30, learning_rate=0.03, bptt=20)).fit(text)
        >>> model.generate("ab", length=6, temperature=0.0)
        'abcdabcd'
    """

    symbols: str = "auto"
    cell: str | Cell = "lstm"
    units: int | Sequence[int] = 256
    network: Network = Network()  # noqa: RUF009 (frozen)
    reading: Reading = Reading()  # noqa: RUF009 (frozen)
    training: Training = Training(epochs=50, learning_rate=2e-3, patience=3, bptt=128)  # noqa: RUF009 (frozen)

    several_files: ClassVar[bool] = True
    reads = "DATA are texts in UTF-8, MIDI files (.mid), or folders of them."
    example = "poems.txt"

    @classmethod
    def sample(cls) -> Texts:
        """A made-up text of 3,000 characters."""
        rng = np.random.default_rng(0)
        words = ["the", "rain", "wind", "falls", "blows", "on", "over", "sea", "hill", "all", "day", "night"]
        lines = [" ".join(rng.choice(words, 6)) + "." for _ in range(90)]
        return Texts(("\n".join(lines)[:3000],), stream=True)

    def fit(self, data: Any, *, verbose: int = 0, room: Room | None = None) -> Self:
        """Learn from texts or tunes.

        Args:
            data: Paths of text or MIDI files, or folders of them; or `ostinato.data.inputs.Texts`, or a list of `Tune`.
            verbose: 0 nothing; on standard error, 1 a progress bar, or lines ten seconds apart where that is no
                terminal, 2 a line an epoch.
            room: Of the file that `save` will write: held before the training, which is not begun if there is none.

        Raises:
            DataError: The files break a rule, or are too short.
            ArgumentError: An option is out of range.
            NonFiniteLoss: Training diverged.
            CheckpointMismatch: `training.checkpoint` holds a run with other options or data.
            CheckpointDamaged: What it holds is not whole.
            WriteError: There is no room for the model.
            Interrupted: Ctrl-C, with a checkpoint: the state is saved, and the same call goes on from there.
        """
        cells = self._check()
        corpus, before = self._read(data)
        size = corpus.vocabulary.size
        if room is not None:
            room.hold(most_bytes(self.network.parts(cells, size), corpus.vocabulary))
        from ostinato.tasks.generating.fitting import built, fit_network, kernels, streams
        from ostinato.tasks.learning.runs import saved_run

        settings = self._settings() | {"data": [np.concatenate(corpus.train), np.concatenate(corpus.valid)]}
        with saved_run(self.training, settings) as run:
            fitted = fit_network(
                cells, self.network, size,
                train_on=streams(corpus.train, before, self.training),
                valid=streams(corpus.valid, before, replace(self.training, batch_size=1)),
                training=self.training, verbose=verbose, run=run,
            )  # fmt: skip
        generator = Generator(fitted.parts, fitted.trained.weights, corpus.vocabulary, before or 0)
        label = type(cells[0]).__name__
        self.generator_ = generator
        self.evaluation_: Evaluation | None = evaluate(generator, corpus, label=label)
        self.fit_ = Fit(corpus, fitted, kernels(built(self.network, fitted.parts, seed=0)))
        return self

    def find_learning_rate(self, data: Any, **limits: Any) -> RangeTest:
        cells = self._check()
        corpus, before = self._read(data)
        from ostinato.tasks.generating.fitting import range_test, streams

        feed = streams(corpus.train, before, self.training)
        return range_test(cells, self.network, corpus.vocabulary.size, feed, training=self.training, **limits)

    def _read(self, data: Any) -> tuple[Corpus, int | None]:
        """The corpus, and the id that a continuous text comes after; torch is loaded when all that is right."""
        check_installed("torch", purpose="to train a model")
        corpus = read_corpus(data, symbols=self.symbols, reading=self.reading, seed=self.training.seed)
        return corpus, None if corpus.vocabulary.items else opening(corpus)

    def predict(self, data: Any = None) -> Any:
        """The most probable continuations of up to 500 symbols.

        Args:
            data: A prime, whose continuation is returned; or several, or `Texts`: then a dict with "prime" and "text",
                one row each. None begins from nothing.
        """
        generator: Generator = self._fitted("generator_")
        return generator.predict("" if data is None else data)

    def generate(
        self, prime: Prime = "", *, length: int = 500, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0,
        repetition_penalty: float = 1.0, seed: int | None = None,
    ) -> Any:  # fmt: skip
        """The prime and what follows it: a text, or the bytes of a MIDI file.

        Args:
            prime: A text; for music a tune, its file's path, or its bytes.
            length: Most symbols.
            temperature: 0 takes the most probable symbol, 1 draws as the model says; see `Sampling` for all of these.
            top_k: Draw among the k most probable symbols; 0 for all.
            top_p: Draw among the most probable that hold this share together; 1 for all.
            repetition_penalty: Above 1: symbols that came before come less often.
            seed: The same seed draws the same symbols.

        Raises:
            DataError: `unknown_symbol`, the training text did not have a symbol of the prime.
        """
        generator: Generator = self._fitted("generator_")
        sampling = Sampling(temperature, top_k, top_p, repetition_penalty, seed)
        return generator.generate(prime, length=length, sampling=sampling)

    def stream(self, prime: str = "", *, length: int = 500, sampling: Sampling | None = None) -> Iterator[str]:
        """What follows the prime, piece by piece, as it is drawn."""
        generator: Generator = self._fitted("generator_")
        return generator.pieces(prime, length=length, sampling=sampling)

    def beams(self, prime: Prime = "", *, length: int = 100, width: int = 4) -> list[Continuation]:
        """The most probable ways to go on that a beam of this width finds, best first."""
        generator: Generator = self._fitted("generator_")
        return generator.beams(prime, length=length, width=width)

    def log_probability(self, source: Prime) -> float:
        """Natural logarithm of the probability of a whole text, item or tune."""
        generator: Generator = self._fitted("generator_")
        return generator.log_probability(source)

    def score(self, data: Any = None) -> float:
        """Minus the mean nats a symbol of `data` (as for `fit`), or of what `fit` held out; 0 is perfect."""
        generator: Generator = self._fitted("generator_")
        if data is not None:
            return -float(generator.evaluate(data).nats)
        if self._fitted("evaluation_") is None:
            raise ArgumentError("score() must get data", got="none", fix="Pass a text.")
        return -float(self._fitted("evaluation_").scores[0].nats)

    def summary(self) -> str:
        """The verdict and the scores, in a few lines for a terminal."""
        fit: Fit = self._fitted("fit_")
        from ostinato.tasks.learning.ending import ending

        found: Evaluation = self._fitted("evaluation_")
        return f"{found.text()}\n\n{ending([fit.fitted.trained], self.training)}"

    def explain_choices(self) -> list[dict[str, str]]:
        """What was chosen and why."""
        fit: Fit = self._fitted("fit_")
        corpus, trained = fit.corpus, fit.fitted.trained
        why = "as asked" if self.symbols != "auto" else "music" if corpus.texts is None else "text, nothing else asked"
        rows = [
            ("symbols", f"{corpus.kind}, {corpus.vocabulary.size}", why),
            ("validation", f"{sum(map(len, corpus.valid))} symbols",
             "drawn items" if corpus.vocabulary.items else "the end of the text, so that nothing of it is seen before"),
            ("gradient", f"through {self.training.bptt} symbols" if self.training.bptt else "through whole texts",
             "states are carried further" if self.training.bptt else "bptt is 0"),
            ("epochs", str(trained.epochs), f"best on the validation part, of {len(trained.history.epoch)} "
             f"(at most {self.training.epochs}, patience {self.training.patience})"),
        ]  # fmt: skip
        for name, seen in fit.kernels.items():
            reasons = "; ".join(f"{k}: {reason}" for k, reason in seen.reasons.items())
            rows.append((f"kernel of {name}", seen.kernel, reasons or "the fastest for this cell"))
        return [{"what": what, "chosen": chosen, "why": reason} for what, chosen, reason in rows]

    def report(self, path: str | os.PathLike[str] | None = None, *, command: str = "") -> str:
        """The report as one self-contained HTML page; also written to `path`, if given.

        Args:
            path: File to write.
            command: What the page says about how to make the same model again.
        """
        fit: Fit = self._fitted("fit_")
        from ostinato.tasks.generating.facts import facts

        html: str = generate_report(facts(self, fit.corpus, fit.fitted, command=command or repr(self)))
        if path is not None:
            write(path, html)
        return html

    def to_bundle(self) -> Bundle:
        """The fitted task as data, for `save`."""
        return to_bundle(self._fitted("generator_"), version=__version__)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """The task that `to_bundle` described, ready to generate; options of its training are not kept."""
        task = cls()
        task.generator_ = from_bundle(bundle)
        task.evaluation_ = None
        return task

    def _settings(self) -> dict[str, Any]:
        """What makes a run of `fit` what it is, beside its data."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        groups = [own.pop(name) for name in ("network", "reading", "training")]
        nested = {f.name: getattr(group, f.name) for group in groups for f in fields(group)}
        nested.pop("checkpoint")
        nested.pop("every")
        return own | {"cell": repr(self.cell)} | nested

    def _check(self) -> list[Cell]:
        for name, kind in (("network", Network), ("reading", Reading), ("training", Training)):
            check_kind(name, getattr(self, name), kind)
        check_choice("symbols", self.symbols, SYMBOLS)
        cells = check_cells(self.cell, self.units)
        self.network.check()
        self.reading.check()
        self.training.check()
        if self.training.members > 1:
            raise ArgumentError(
                "members must be 0 or 1, since a generator is one network",
                got=str(self.training.members),
                fix="Leave it out.",
            )
        return cells
