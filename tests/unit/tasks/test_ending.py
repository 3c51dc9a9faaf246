"""What a task says of how its training ended."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ostinato.cli.main import flags
from ostinato.tasks.learning.ending import ending
from ostinato.tasks.training import Training


def network(made, best):
    return SimpleNamespace(history=SimpleNamespace(epoch=list(range(made))), epochs=best)


@pytest.mark.parametrize(
    ("courses", "said"),
    [
        ([(57, 37)], "Training stopped early, after 57 of 80 epochs: epoch 37 was the best."),
        ([(80, 71)], "Training ended after all 80 epochs; epoch 71 was the best, and is kept."),
        ([(80, 80)], "Training ended after all 80 epochs, of which the last was the best. "
                     "More epochs may be better: pass epochs=160."),
        ([(57, 37), (60, 40)], "Training stopped early for all 2 networks, after at most 60 of 80 epochs."),
        ([(57, 37), (80, 79)], "Training ended after all 80 epochs for 1 of 2 networks; the others stopped early."),
        ([(80, 78), (80, 79)], "Training ended after all 80 epochs for 2 of 2 networks."),
        ([(80, 80), (80, 79), (5, 1)],
         "Training ended after all 80 epochs for 2 of 3 networks, of which 1 had their best epoch last. "
         "More epochs may be better: pass epochs=160."),
    ],
)  # fmt: skip
def test_it_says_what_ended_it(courses, said):
    assert ending([network(*one) for one in courses], Training(epochs=80)) == said


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_a_schedule_that_ends_with_the_epochs_is_no_reason_for_more(schedule):
    assert "More epochs" not in ending([network(80, 80)], Training(epochs=80, schedule=schedule))


def test_on_the_command_line_the_advice_is_a_flag():
    assert flags(ending([network(80, 80)], Training(epochs=80))).endswith("pass --epochs 160.")
