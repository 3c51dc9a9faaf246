"""What is shown while a network is trained."""

from __future__ import annotations

import io

import pytest

from ostinato.train import progress
from ostinato.train.progress import Progress


class Clock:
    """Time that goes on when it is told to."""

    now = 100.0

    def monotonic(self):
        return self.now


class Terminal(io.StringIO):
    """A stream that is one."""

    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def shown(clock, *, seconds, epochs=12, steps=4, stream=None, verbose=1, **options):
    """The lines of a training whose steps take so many seconds each."""
    stream = stream or io.StringIO()
    callback = Progress(verbose, stream, label="net", **options)
    callback.set_params({"epochs": epochs, "steps": steps})
    callback.on_train_begin()
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch)
        for step in range(steps):
            clock.now += seconds
            callback.on_train_batch_end(step, {"loss": 0.5})
        callback.on_epoch_end(epoch, {"loss": 0.25, "val_loss": 1.0 / (epoch + 1)})
    callback.on_train_end()
    return stream.getvalue()


def test_a_log_has_a_line_of_the_last_epoch_of_a_short_training(clock):
    assert shown(clock, seconds=0.01, every=10.0) == "net epoch 12/12 0.0 s loss 0.25 val_loss 0.08333\n"


def test_lines_of_a_log_are_as_far_apart_as_asked(clock):
    found = shown(clock, seconds=1.25, every=10.0).splitlines()
    assert [line.split()[2] for line in found] == ["2/12", "4/12", "6/12", "8/12", "10/12", "12/12"]
    assert found[0] == "net epoch 2/12 5.0 s loss 0.25 val_loss 0.5"


def test_a_long_epoch_has_lines_of_its_steps(clock):
    found = shown(clock, seconds=6.0, epochs=1, steps=6, every=10.0).splitlines()
    rest = ("step 2/6 loss 0.5", "step 4/6 loss 0.5", "36.0 s loss 0.25 val_loss 1")
    assert found == [f"net epoch 1/1 {one}" for one in rest]


@pytest.mark.parametrize(("verbose", "every"), [(1, 0.0), (2, 10.0)])
def test_a_line_an_epoch_if_that_is_asked_for(clock, verbose, every):
    assert shown(clock, seconds=0.01, verbose=verbose, every=every).count("\n") == 12


@pytest.mark.parametrize("every", [0.0, 10.0])
def test_a_log_has_nothing_of_a_terminal_and_a_terminal_has_one_line(clock, every):
    assert not {"\r", "\x1b", "━"} & set(shown(clock, seconds=3.0, every=every))
    bar = shown(clock, seconds=3.0, every=every, stream=Terminal())
    assert bar.count("\n") == 1
    assert bar.count("━") > 12
