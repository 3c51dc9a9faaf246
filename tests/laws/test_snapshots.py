"""Whatever is done to a stream, in whatever order, what it gives depends on its steps alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule
from tests.fuzz import cut_streams
from tests.unit.runtime.networks import network

from ostinato.cells import CELLS
from ostinato.maps.dense import Dense
from ostinato.maps.masking import Masking
from ostinato.scans.recurrent import Recurrent

X = np.random.default_rng(6).normal(size=(120, 3)).astype(np.float32)
X[::7] = 0.0
MODELS = [
    network([Masking(), Recurrent(cell(6), return_sequences=True, zoneout=0.2), Recurrent(CELLS["lstm"](4)), Dense(2)])
    for cell in CELLS.values()
]
WHOLE = [model.stream().run(X) for model in MODELS]
MOST = 15


class Streams(RuleBasedStateMachine):
    """Streams, snapshots and places in a pool, each with the number of steps that it should have made."""

    streams, blobs = Bundle("streams"), Bundle("blobs")

    @initialize(number=st.integers(0, len(MODELS) - 1))
    def begin(self, number: int) -> None:
        self.model, self.whole = MODELS[number], WHOLE[number]
        self.pool, self.opened = self.model.pool(3), 0

    @rule(target=streams)
    def new(self) -> list:
        return [self.model.stream(), 0]

    @rule(stream=streams, steps=st.integers(0, MOST), at_once=st.booleans())
    def go_on(self, stream: list, steps: int, at_once: bool) -> None:
        at = stream[1]
        steps = min(steps, len(X) - at)
        given = X[at : at + steps]
        y = stream[0].run(given) if at_once or not steps else np.stack([stream[0].step(x) for x in given])
        assert np.array_equal(y, self.whole[at : at + steps])
        stream[1] = stream[0].steps
        assert stream[1] == at + steps

    @rule(stream=streams)
    def reset(self, stream: list) -> None:
        stream[0].reset()
        stream[1] = 0

    @rule(target=streams, stream=streams)
    def fork(self, stream: list) -> list:
        return [stream[0].fork(), stream[1]]

    @rule(target=blobs, stream=streams)
    def snapshot(self, stream: list) -> tuple:
        return stream[0].snapshot(), stream[1]

    @rule(target=streams, blob=blobs)
    def restore(self, blob: tuple) -> list:
        return [self.model.stream(blob[0]), blob[1]]

    @rule(target=blobs, blob=consumes(blobs), steps=st.integers(0, MOST))
    def through_a_pool(self, blob: tuple, steps: int) -> tuple:
        at = blob[1]
        steps = min(steps, len(X) - at)
        self.opened += 1
        self.pool.open("other")
        self.pool.open(self.opened, blob[0])
        for t in range(at, at + steps):
            y = self.pool.step(["other", self.opened], X[[(3 * t) % len(X), t]])
            assert np.array_equal(y[1], self.whole[t])
        moved = self.pool.snapshot(self.opened)
        self.pool.close(self.opened)
        self.pool.close("other")
        return moved, at + steps


Streams.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestStreams = Streams.TestCase


def test_cuts_at_random_steps():
    assert cut_streams.run(2_000, seed=3) == 2_000


@pytest.mark.slow
def test_a_hundred_thousand_cuts():
    assert cut_streams.run(100_000, seed=1) == 100_000
