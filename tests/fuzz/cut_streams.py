"""Cuts streams at random steps: a snapshot restored elsewhere must go on to the same bits.

    python -m tests.fuzz.cut_streams --cuts 100000 --seed 1

Each cut takes a snapshot after some steps and restores it in another stream, or in a pool beside others; a few steps
follow, to be compared with those of the whole sequence. A difference ends the command with its seed.
"""

from __future__ import annotations

import argparse
import time
from random import Random

import numpy as np
from tests.unit.runtime.networks import network

from ostinato.cells import CELLS
from ostinato.maps.base import Part
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.masking import Masking
from ostinato.runtime import Network
from ostinato.scans.recurrent import Recurrent

TIME = 400
MOST = 12
"""Steps after a cut that are compared, at most."""


def networks(random: Random) -> list[Network]:
    """One network a cell and kind of input, with options by chance."""
    made = []
    for name, cell in CELLS.items():
        for symbols in (False, True):
            first: list[Part] = [Embedding(7, 4, mask_zero=random.random() < 0.5)] if symbols else [Masking()]
            layers = [
                Recurrent(cell(random.randint(1, 40)), return_sequences=True, zoneout=random.choice((0.0, 0.3))),
                LayerNorm(),
                Recurrent(CELLS[random.choice(list(CELLS))](random.randint(1, 20)), start="learned"),
                Dense(random.randint(1, 5), random.choice(("linear", "softplus", "softmax"))),
            ]
            made.append(network([*(first if random.random() < 0.7 or symbols else []), *layers],
                                (None,) if symbols else (None, 3)))  # fmt: skip
            assert made[-1].stepping.plain is None, name
    return made


class Cut:
    """One network, a sequence, and what the whole of it gives."""

    def __init__(self, model: Network, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.model = model
        symbols = isinstance(model.parts[0], Embedding)
        self.x = rng.integers(0, 7, TIME) if symbols else rng.normal(size=(TIME, 3)).astype(np.float32)
        if not symbols:
            self.x[rng.random(TIME) < 0.1] = 0.0
        self.whole = model.stream().run(self.x)
        self.stream, self.at = model.stream(), 0
        self.pool = model.pool(5)
        for other in range(4):
            self.pool.open(other)

    def cut(self, random: Random) -> None:
        """Go on to a random step, cut, and compare what follows; the stream starts anew where the sequence ends."""
        if self.at + 2 * MOST > TIME:
            self.stream.reset()
            self.at = 0
        steps = random.randint(0, MOST)
        self.stream.run(self.x[self.at : self.at + steps])
        self.at += steps
        blob, more = self.stream.snapshot(), random.randint(1, MOST)
        rest = self.x[self.at : self.at + more]
        if random.random() < 0.5:
            self.stream = self.model.stream(blob)
            found = self.stream.fork().run(rest)
        else:
            self.pool.open("cut", blob)
            ids = random.sample([0, 1, 2, 3, "cut"], 5)
            others = [self.pool.step(ids, np.stack([one] * 5)) for one in rest]
            found = np.stack([y[ids.index("cut")] for y in others])
            self.pool.close("cut")
        want = self.whole[self.at : self.at + more]
        if not np.array_equal(found, want):
            raise AssertionError(f"{self.model.parts} differs behind a cut at step {self.at}")


def run(cuts: int, seed: int) -> int:
    """So many cuts; the number that was made.

    Raises:
        AssertionError: What follows a cut differs.
    """
    random = Random(seed)
    kinds = [Cut(model, seed) for model in networks(random)]
    for _ in range(cuts):
        random.choice(kinds).cut(random)
    return cuts


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began = time.perf_counter()
    made = run(asked.cuts, asked.seed)
    print(f"{made} cuts, no difference, {time.perf_counter() - began:.0f} seconds")


if __name__ == "__main__":
    main()
