"""A trained generator: it goes on with a text or a tune, and says how probable one is. NumPy only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.data.inputs import Items, Texts, list_files, read_texts
from ostinato.data.vocabularies._text import TextVocabulary
from ostinato.data.vocabularies.base import Ids, Vocabulary
from ostinato.errors import ArgumentError
from ostinato.maps.base import Part, Weights
from ostinato.metrics.text import bits_per_character, perplexity, surprise
from ostinato.runtime import native
from ostinato.runtime.decode import Beam, Sampler, Sampling, beam_search, log_softmax
from ostinato.runtime.generator_pool import GeneratorPool
from ostinato.runtime.generator_stream import GeneratorStream
from ostinato.runtime.machine import Machine
from ostinato.runtime.plain_steps import PlainSteps
from ostinato.runtime.rows import Rows
from ostinato.runtime.seats import Seats
from ostinato.runtime.snapshot import fingerprint
from ostinato.runtime.stepping import Stepping
from ostinato.runtime.writing import Prime, banned, check_length, drawn, encoded, shown, text_vocabulary

_STEPS = 4096
"""Steps that are computed at once when a given text is read."""

_AT_ONCE = 1 << 22
"""Most scores that are held at once."""


class Continuation(NamedTuple):
    """One of the most probable ways to go on.

    Args:
        text: The prime and what follows it; the bytes of a MIDI file for music.
        log_probability: Natural logarithm of the probability of what follows, given the prime.
    """

    text: Any
    log_probability: float


class Figures(NamedTuple):
    """How well a model knows a text.

    Args:
        symbols: How many symbols were predicted.
        nats: Mean surprise of a symbol.
        perplexity: Its exponential.
        bits: Bits a character; None for music.
        unknown: How many of the symbols are the unknown one.
    """

    symbols: int
    nats: float
    perplexity: float
    bits: float | None
    unknown: int = 0


@lean_dataclass(frozen=True, eq=False)
class Generator:
    """Everything that generating needs.

    Args:
        parts: The layers: from ids `(batch, time)` to a score for each symbol, `(batch, time, symbols)`.
        weights: Their weights.
        vocabulary: Symbols to ids and back. One with `items` knows where an item begins and ends.
        opening: The id that a continuous text is taken to come after, if nothing else is given (a line end).
    """

    parts: tuple[Part, ...]
    weights: Sequence[Weights]
    vocabulary: Vocabulary
    opening: int

    @cached_property
    def _machine(self) -> Machine:
        return Machine(self.parts, self.weights)

    @cached_property
    def _stepping(self) -> Stepping:
        return Stepping(self._machine, (None,))

    @property
    def precision(self) -> str:
        """What recurrent layers multiply in: "float32" or "bf16"."""
        return self._machine.precision

    def at(self, precision: str) -> Generator:
        """The same model in another precision; `self` if it has it already.

        Raises:
            ArgumentError: There is no such precision.
            KernelError: This processor or a layer's cell has no such products.
        """
        if precision == self.precision:
            return self
        other = replace(self)
        other.__dict__["_machine"] = Machine(self.parts, self.weights, precision=precision)
        return other

    @property
    def first(self) -> int:
        """The id before the first symbol: the start of an item, or the opening of a continuous text."""
        start = self.vocabulary.start_id
        return self.opening if start is None else start

    def ids(self, prime: Prime = "") -> Ids:
        """The ids of a prime, the id before its first symbol included.

        Raises:
            DataError: `unknown_symbol`, the training text did not have a symbol of it, and those of the vocabulary.
        """
        empty = isinstance(prime, str) and not prime
        after = np.empty(0, np.int32) if empty else encoded(self.vocabulary, prime)
        return np.concatenate([np.array([self.first], np.int32), after])

    def sample(self, prime: Prime = "", *, length: int = 500, sampling: Sampling | None = None) -> Iterator[int]:
        """Ids one by one, as they are drawn; ends at `length`, or with the item's end, which is not given.

        Args:
            prime: What to go on with.
            length: Most ids.
            sampling: How they are drawn; as the model says, by default.
        """
        known = self.ids(prime)
        check_length(length)
        sampler = Sampler(sampling or Sampling(), self.vocabulary.size, banned=banned(self.vocabulary))
        sampler.saw(known[1:])
        return self._draw(known, length, sampler)

    def _draw(self, known: Ids, length: int, sampler: Sampler) -> Iterator[int]:
        stream = Rows(self._machine)
        scores = self._read(stream, known)
        return drawn(self._stepper(stream), scores, sampler, length=length, end=self.vocabulary.end_id)

    def _stepper(self, rows: Rows) -> Callable[[int], NDArray[np.float32]]:
        """From a symbol to the scores `[symbols]` of the next one, which the next call may overwrite.

        Goes on from where `rows`, of one sequence, stand. With a compiled step machine a symbol costs little more than
        the products themselves.
        """
        steps = self._stepping.steps(1, "propagate", threads=native.threads(os.cpu_count() or 1))
        if isinstance(steps, PlainSteps):
            return lambda symbol: rows.step(np.array([symbol]))[0]
        steps.write(0, 0, [*(s[0] for state in rows.states for s in state), np.zeros(0, np.float32)])
        quick, scores = steps.quick, np.empty(self.vocabulary.size, np.float32)
        return lambda symbol: quick(symbol, scores)

    def pieces(self, prime: str = "", *, length: int = 500, sampling: Sampling | None = None) -> Iterator[str]:
        """What follows the prime, in pieces of whole characters, as they are drawn; arguments as for `sample`."""
        vocabulary = text_vocabulary(self.vocabulary)
        return shown(self.sample(prime, length=length, sampling=sampling), vocabulary.stream())

    def generate(self, prime: Prime = "", *, length: int = 500, sampling: Sampling | None = None) -> Any:
        """The prime and what follows it: a text, or the bytes of a MIDI file. Arguments as for `sample`."""
        follows = list(self.sample(prime, length=length, sampling=sampling))
        return self._decoded(prime, follows)

    def predict(self, source: Prime | Sequence[Prime] | Texts = "") -> Any:
        """The most probable symbol again and again, up to 500, after a prime.

        Args:
            source: A prime, whose continuation is returned; or several, or `Texts`: then a dict with "prime" and
                "text", one row each.
        """
        greedy = Sampling(temperature=0.0)
        if isinstance(source, (list, tuple, Texts)):
            primes = list(source.items if isinstance(source, Texts) else source)
            return {"prime": primes, "text": [self.generate(prime, sampling=greedy) for prime in primes]}
        return self.generate(source, sampling=greedy)  # type: ignore[arg-type]

    def beams(self, prime: Prime = "", *, length: int = 100, width: int = 4) -> list[Continuation]:
        """The most probable ways to go on that a beam finds, best first by probability a symbol.

        Args:
            prime: What to go on with.
            length: Most ids.
            width: How many ways are followed at once, and returned.
        """
        known = self.ids(prime)
        check_length(length)
        if isinstance(width, bool) or not isinstance(width, int) or not 1 <= width <= 1024:
            raise ArgumentError("width must be a whole number from 1 to 1024", got=repr(width), fix="Pass, say, 4.")
        stream = Rows(self._machine)
        first = log_softmax(self._read(stream, known))

        def step(rows: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.float64]:
            stream.select(rows)
            return log_softmax(stream.step(ids))

        end = self.vocabulary.end_id
        found = beam_search(step, first, length=length, width=width, end=end, banned=banned(self.vocabulary))
        return [Continuation(self._decoded(prime, self._without_end(beam)), beam.log_probability) for beam in found]

    def stream(self, blob: bytes | None = None) -> GeneratorStream:
        """A text that goes on: what each symbol costs as it comes, what comes next, and what could follow.

        Args:
            blob: A snapshot to go on from; by default a text begins.

        Raises:
            SnapshotError: `blob` is damaged, or of another model or precision.
        """
        return self._stream(blob)

    def pool(self, capacity: int) -> GeneratorPool:
        """Up to `capacity` texts under ids, of which any are read on in one call; see `GeneratorPool`.

        Raises:
            ArgumentError: `capacity` is no whole number of at least 1.
        """
        return GeneratorPool(partial(self.stream_in, self.seats()), capacity)

    def seats(self) -> Seats:
        """Room for many streams, which `feed_together` moves on together."""
        return Seats(self._stepping, "raise")

    def stream_in(self, seats: Seats, blob: bytes | None = None) -> GeneratorStream:
        """As `stream`, in `seats` of this model; who ends it gives its seat back."""
        return self._stream(blob, seats)

    def _stream(self, blob: bytes | None, seats: Seats | None = None) -> GeneratorStream:
        return GeneratorStream(self._stepping, self.vocabulary, self.first, self.fingerprint, blob, seats=seats)

    @cached_property
    def fingerprint(self) -> str:
        """What the snapshots of its streams carry, so that those of another model or precision are refused."""
        return fingerprint(self.parts, self.weights, self.precision, self.vocabulary, self.first)

    def surprise(self, ids: ArrayLike, *, fresh: bool = True) -> NDArray[np.float64]:
        """Nats `[n]` that each id costs, given those before it; the states are carried over the whole row.

        Args:
            ids: `[n]`, one after the other; the start of an item within them starts the states anew.
            fresh: True: the first id comes after the start or the opening, and costs too. False: it is only read, and
                the result is `[n - 1]`.
        """
        row = self.vocabulary.checked(ids)
        if fresh and (self.vocabulary.start_id is None or len(row) == 0 or row[0] != self.first):
            row = np.concatenate([np.array([self.first], np.int32), row])
        begins = [0]
        if self.vocabulary.start_id is not None:
            begins = sorted({0, *np.flatnonzero(row == self.vocabulary.start_id).tolist()})
        found = [self._cost(row[a:b]) for a, b in zip(begins, [*begins[1:], len(row)], strict=True)]
        return np.concatenate([np.empty(0), *found])

    def log_probability(self, source: Prime) -> float:
        """Natural logarithm of the probability of a whole text, item or tune, the item's end included."""
        return -float(self._cost(self._whole(source)).sum())

    def evaluate(self, data: Any, *, errors: Literal["strict", "replace"] = "strict") -> Figures:
        """How well the model knows texts or tunes that it was not trained on.

        Args:
            data: Paths of files or folders, read as one text, or line by line if the model knows items; or `Texts`.
            errors: "strict" refuses files that are not UTF-8, "replace" reads such bytes as U+FFFD.

        Raises:
            DataError: The files cannot be read, or hold symbols that the model does not know.
        """
        vocabulary = self.vocabulary
        if not isinstance(vocabulary, TextVocabulary):
            rows = [self._whole(path) for path in list_files(data, endings=(".mid", ".midi"))]
        else:
            items: Items = "lines" if vocabulary.items else "stream"
            texts = data if isinstance(data, Texts) else read_texts(data, items=items, errors=errors)
            places = [f"text {i}" for i in range(1, len(texts.items) + 1)] if len(texts.items) > 1 else [""]
            rows = [self._whole(text, place) for text, place in zip(texts.items, places, strict=True)]
        nats = np.concatenate([self._cost(row) for row in rows])
        if not isinstance(vocabulary, TextVocabulary):
            return Figures(len(nats), float(nats.mean()), perplexity(nats), None)
        characters = sum(int(vocabulary.characters(row[1:]).sum()) for row in rows)
        unknown = sum(vocabulary.count_unknown(row) for row in rows)
        bits = bits_per_character(nats, characters)
        return Figures(len(nats), float(nats.mean()), perplexity(nats), bits, unknown)

    def _whole(self, source: Prime, place: str = "") -> Ids:
        """The ids of a text after the opening, or of an item between its start and its end."""
        ids = np.concatenate([np.array([self.first], np.int32), encoded(self.vocabulary, source, place)])
        end = self.vocabulary.end_id
        return ids if end is None else np.append(ids, np.int32(end))

    def _cost(self, row: Ids) -> NDArray[np.float64]:
        stream, nats = Rows(self._machine), []
        steps = max(min(_STEPS, _AT_ONCE // self.vocabulary.size), 1)
        for a in range(0, len(row) - 1, steps):
            given = row[a : min(a + steps, len(row) - 1)]
            nats.append(surprise(stream.run(given[None])[0], row[a + 1 : a + 1 + len(given)]))
        return np.concatenate([np.empty(0), *nats])

    def _read(self, stream: Rows, known: Ids) -> NDArray[np.float32]:
        """The scores after a prime `[symbols]`."""
        steps = max(min(_STEPS, _AT_ONCE // self.vocabulary.size), 1)
        scores: NDArray[np.float32] = np.empty(0, np.float32)
        for a in range(0, len(known), steps):
            scores = stream.run(known[None, a : a + steps])[0, -1]
        return scores

    def _without_end(self, beam: Beam) -> list[int]:
        return [i for i in beam.ids if i != self.vocabulary.end_id]

    def _decoded(self, prime: Prime, follows: list[int]) -> Any:
        if isinstance(prime, str) and isinstance(self.vocabulary, TextVocabulary):
            return prime + self.vocabulary.decode(np.array(follows, np.int32))
        return self.vocabulary.decode(np.concatenate([self.ids(prime)[1:], np.array(follows, np.int32)]))
