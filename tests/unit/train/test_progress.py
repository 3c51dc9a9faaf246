"""What training shows: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from ostinato import Sequential, train
from ostinato.layers import Dense
from ostinato.train import progress
from ostinato.train.progress import Progress

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


class Screen(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, *, verbose: int = 1, label: str = "", epochs: int = 2) -> str:
    """What is written while a small model trains in steps of four samples."""
    made = Sequential([Dense(1, input_shape=(3,))], seed=0)
    made.compile(train.SGD(0.01), "mse")
    made.fit(X, X.sum(1), epochs=epochs, batch_size=4, verbose=0, callbacks=Progress(verbose, stream, label=label))
    return stream.getvalue()


@pytest.fixture
def every_step(monkeypatch):
    """Draws after every step, however short."""
    monkeypatch.setattr(progress, "_INTERVAL", 0.0)


@pytest.mark.usefixtures("every_step")
def test_a_terminal_shows_a_bar_that_fills():
    pieces = shown(Screen(), label="member 2").split("\r\x1b[K")
    assert pieces[0] == ""
    assert pieces[-1].endswith("\n")
    assert pieces[-1].count("\n") == "".join(pieces).count("\n") == 1
    bars = [re.fullmatch(r"member 2 epoch (\d)/2 (━*)(─*) (\d)/3 loss .*", piece) for piece in pieces[1:]]
    assert [(m[1], len(m[2]), len(m[3]), m[4]) for m in bars if m] == [
        (epoch, done, 24 - done, step) for epoch in "12" for done, step in ((8, "1"), (16, "2"), (24, "3"))
    ]
    ends = [piece for piece, bar in zip(pieces[1:], bars, strict=True) if not bar]
    assert len(ends) == 2
    assert all(re.fullmatch(r"member 2 epoch \d/2 \d+\.\d s loss \d\S*\n?", end) for end in ends)


def test_a_terminal_is_not_drawn_on_more_often_than_it_can_be_read(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: 0.03 * next(clock))
    assert len(re.findall("[━─] ", shown(Screen(), epochs=1))) == 1


@pytest.mark.parametrize(("stream", "verbose"), [(io.StringIO, 1), (io.StringIO, 2), (Screen, 2)])
def test_elsewhere_there_is_a_line_an_epoch(stream, verbose):
    lines = shown(stream(), verbose=verbose).splitlines()
    assert [re.fullmatch(r"epoch (\d)/2 \d+\.\d s loss \d\S*", line)[1] for line in lines] == ["1", "2"]
