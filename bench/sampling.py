"""How many symbols a second does sampling one text give, beside a plain torch loop with the same weights?

Ours is `Generator.sample` of a model that `load` gives: NumPy and the compiled kernels. torch's loop carries the states
of an LSTM, and draws with softmax and multinomial, under `inference_mode`; `torch.nn.LSTM` and `LSTMCell` are both
tried, and the faster one is kept. First both write greedily: the symbols must be the same. Each side is timed on one
thread and on all, in turns, and the better one counts; all our ways write the same text.
Where the processor can, our model is also timed in bf16, whose text is another one.

    python bench/sampling.py
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import torch

from ostinato.cells.lstm import LSTM
from ostinato.data.vocabularies.characters import Characters
from ostinato.maps.base import Part
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.runtime import native
from ostinato.runtime.decode import Sampling
from ostinato.runtime.generator import Generator
from ostinato.runtime.machine import expected
from ostinato.scans.recurrent import Recurrent
from ostinato.version import __version__

SYMBOLS, WIDTH, LENGTH, ROUNDS, GREEDY = 65, 64, 400, 11, 300
WAIT = 0.05
"""Seconds before each turn: threads of OpenMP spin for a while after a call, and take a core from who comes next."""

OURS, ROUGH = "ours", "ours in bf16"
CASES: dict[str, tuple[int, ...]] = {"LSTM 1 x 128": (128,), "LSTM 1 x 512": (512,), "LSTM 2 x 256": (256, 256)}


def generator(sizes: tuple[int, ...]) -> Generator:
    """A generator with random weights, large enough that its text is no constant."""
    cells = [Recurrent(LSTM(units), return_sequences=True) for units in sizes]
    parts: list[Part] = [Embedding(SYMBOLS, WIDTH), *cells, Dense(SYMBOLS)]
    rng = np.random.default_rng(0)
    weights = []
    for part, needed in zip(parts, expected(parts, (None,)), strict=True):
        scale = 1.0 if isinstance(part, Embedding) else 2.0
        draw = {n: rng.normal(0, scale / np.sqrt(w.shape[0]), w.shape).astype(np.float32) for n, w in needed.items()}
        weights.append(draw)
    weights[0]["table"] = rng.normal(size=(SYMBOLS, WIDTH)).astype(np.float32)
    symbols = "".join(chr(33 + i) for i in range(SYMBOLS))
    return Generator(tuple(parts), weights, Characters(symbols), 0)


class Loop:
    """The same network in torch, sampled step by step."""

    def __init__(self, model: Generator, sizes: tuple[int, ...], *, cells: bool) -> None:
        self.table, self.head = torch.nn.Embedding(SYMBOLS, WIDTH), torch.nn.Linear(sizes[-1], SYMBOLS)
        widths = (WIDTH, *sizes)
        self.cells = [torch.nn.LSTMCell(a, b) for a, b in zip(widths, sizes, strict=False)] if cells else []
        self.lstm = None if cells else torch.nn.LSTM(WIDTH, sizes[0], len(sizes))
        own = [dict(w) for w in model.weights]
        with torch.no_grad():
            self.table.weight.copy_(torch.from_numpy(own[0]["table"]))
            self.head.weight.copy_(torch.from_numpy(own[-1]["W"].T.copy()))
            self.head.bias.copy_(torch.from_numpy(own[-1]["b"]))
            for layer, w in enumerate(own[1:-1]):
                for kind, value in (("weight_ih", w["W"].T), ("weight_hh", w["U"].T), ("bias_ih", w["b"])):
                    self._weight(kind, layer).copy_(torch.from_numpy(np.ascontiguousarray(value)))
                self._weight("bias_hh", layer).zero_()

    def _weight(self, kind: str, layer: int) -> torch.Tensor:
        found = getattr(self.lstm, f"{kind}_l{layer}") if self.lstm is not None else getattr(self.cells[layer], kind)
        assert isinstance(found, torch.Tensor)
        return found

    @torch.inference_mode()
    def sample(self, first: int, length: int, *, greedy: bool) -> list[int]:
        """Symbols after `first`."""
        symbol, found = torch.tensor([first]), []
        state = None
        states: list[tuple[torch.Tensor, torch.Tensor] | None] = [None] * len(self.cells)
        for _ in range(length):
            x = self.table(symbol)
            if self.lstm is not None:
                x, state = self.lstm(x, state) if state is not None else self.lstm(x)
            for i, cell in enumerate(self.cells):
                states[i] = h, _c = cell(x, states[i])
                x = h
            scores = self.head(x)[0]
            symbol = scores.argmax()[None] if greedy else torch.multinomial(torch.softmax(scores, -1), 1)
            found.append(int(symbol))
        return found


def seconds(call: Callable[[], object], threads: int) -> float:
    """Time of one call on so many threads."""
    os.environ["OSTINATO_THREADS"] = str(threads)
    torch.set_num_threads(threads)
    time.sleep(WAIT)
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def ways(model: Generator, sizes: tuple[int, ...], name: str) -> dict[str, Callable[[], object]]:
    """What is timed; torch's loops only after they wrote the same text."""
    want = list(model.sample(length=GREEDY, sampling=Sampling(temperature=0.0)))
    calls: dict[str, Callable[[], object]] = {OURS: lambda: list(model.sample(length=LENGTH))}
    if native.without_bf16() is None:
        rough = model.at("bf16")
        calls[ROUGH] = lambda: list(rough.sample(length=LENGTH))
    for rival, cells in (("torch.nn.LSTM", False), ("torch.nn.LSTMCell", True)):
        loop = Loop(model, sizes, cells=cells)
        if loop.sample(model.first, GREEDY, greedy=True) != want:
            raise SystemExit(f"{name}: {rival} writes another text")
        calls[rival] = lambda loop=loop: loop.sample(model.first, LENGTH, greedy=False)  # type: ignore[misc]
    return calls


def main() -> None:
    """Measure, print and keep the result."""
    rows = []
    several = os.cpu_count() or 1
    for name, sizes in CASES.items():
        calls = ways(generator(sizes), sizes, name)
        times: dict[tuple[str, int], list[float]] = {(k, n): [] for k in calls for n in sorted({1, several})}
        for turn in range(ROUNDS):
            order = list(times)
            for key in order[turn % len(order) :] + order[: turn % len(order)]:
                times[key].append(seconds(calls[key[0]], key[1]))
        speed = {key: LENGTH / statistics.median(found) for key, found in times.items()}
        own = {way: max(v for (k, _), v in speed.items() if k == way) for way in calls}
        best = max((way for way in own if way not in (OURS, ROUGH)), key=own.__getitem__)
        row: dict[str, object] = {"case": name, **{f"{k}, threads {n}": round(v) for (k, n), v in speed.items()}}
        row["times faster"] = own[OURS] / own[best]
        row["times faster, one thread each"] = speed[OURS, 1] / max(v for (k, n), v in speed.items()
                                                                    if n == 1 and k not in (OURS, ROUGH))  # fmt: skip
        if ROUGH in own:
            row["times faster in bf16"] = own[ROUGH] / own[best]
        rows.append(row)
        print(*(f"{k} {v:,.3g}" if isinstance(v, float) else str(v) if k == "case" else f"{k} {v:,}"
                for k, v in row.items()), sep="   ", flush=True)  # fmt: skip
    found = {
        "machine": f"{platform.processor() or platform.machine()}, {several} cores, Python {platform.python_version()}",
        "torch": str(torch.__version__),
        "ostinato": __version__,
        "unit": f"symbols a second, medians of {ROUNDS} interleaved rounds of {LENGTH} symbols",
        "rows": rows,
    }
    path = Path(__file__).parent / "results" / "sampling.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")


if __name__ == "__main__":
    main()
