"""The names that options are checked by are those of what they name."""

from __future__ import annotations

from ostinato.tasks import training
from ostinato.train.optimisers import OPTIMIZERS
from ostinato.train.truncated import MEMORY


def test_optimisers_and_ways_to_keep_the_past_are_those_that_there_are():
    assert set(training.OPTIMIZERS) == set(OPTIMIZERS)
    assert set(training.CLOSURES) == {name for name, kind in OPTIMIZERS.items() if kind.closures}
    assert training.MEMORY == MEMORY
