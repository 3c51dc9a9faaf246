"""The interval of a new series that was exactly as long as the model's reach had almost no width.

Its unit came from the anchor's errors inside its history, of which there were none. Errors that are missing are now
those usual in training, beside what the network sees of the series.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from tests.unit.runtime.forecasters import forecaster

from ostinato.data.framing import Framing
from ostinato.errors import DataWarning
from ostinato.runtime.records import records_of

ANCHORS = ("season", "profile", "last", "mean")
each = pytest.mark.parametrize("anchor", ANCHORS)


def trained(anchor, log):
    """A forecaster whose units are those of its series of training, which are like `history`."""
    model = forecaster(anchor=anchor, log=log)
    series = [model.framing.into(history(200, seed)) for seed in (1, 2)]
    model.known.spreads[:] = [model.framing.spread(values) for values in series]
    model.known.tails[:] = [model.framing.back(values[-model.framing.reach :]) for values in series]
    return model


def history(n, seed, scale=1.0):
    return scale * np.exp(np.random.default_rng(seed).normal(0.0, 0.3, n))


def width(quantiles):
    return float(np.mean(quantiles[..., -1] - quantiles[..., 0]))


def table_of(values):
    return {"ds": list(range(len(values))), "y": values.tolist()}


def predicted(model, values):
    table = model.predict(table_of(values))
    names = model.columns()
    return np.stack([np.asarray(table[name]) for name in names], axis=1)


@each
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e6])
@pytest.mark.filterwarnings("ignore")
def test_short_series_have_intervals_like_long_ones(anchor, log, scale):
    model = trained(anchor, log)
    reach = model.framing.reach
    long = [width(predicted(model, history(200, seed, scale))) for seed in range(5, 15)]
    for extra in (0, 1, 2):
        short = [width(predicted(model, history(reach + extra, seed, scale))) for seed in range(5, 15)]
        assert 0.3 < np.median(short) / np.median(long) < 3.0
        assert min(short) > 0.05 * np.median(long)


@each
@pytest.mark.filterwarnings("ignore")
def test_a_stream_says_what_predict_says_and_how_much_is_borrowed(anchor):
    model = trained(anchor, log=False)
    values, framing = history(model.framing.reach + 12, 7), model.framing
    stream, told = model.stream(), []
    for n, value in enumerate(values, 1):
        ahead = stream.step(value)
        if ahead is None:
            continue
        assert np.allclose(ahead.quantiles, predicted(model, values[:n]), rtol=1e-9)
        told.append(ahead.borrowed)
        again = model.stream(stream.snapshot()).forecast()
        assert np.array_equal(again.quantiles, ahead.quantiles)
        assert again.borrowed == ahead.borrowed
    assert told[0] == 1.0
    assert told == sorted(told, reverse=True)
    assert [share > 0 for share in told] == [n < framing.enough for n in range(len(told))]
    assert model.stream(series="a").step(1.0).borrowed == 0.0


def test_predict_warns_of_short_series_alone():
    model = trained("season", log=False)
    reach, enough = model.framing.reach, model.framing.enough
    with pytest.warns(DataWarning, match=f"not in training .* fewer than {reach + enough} steps .*usual in training"):
        model.predict(table_of(history(reach, 1)))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.predict(table_of(history(reach + enough, 1)))
    assert not [one for one in found if "fewer than" in str(one.message)]


@pytest.mark.filterwarnings("ignore")
def test_the_command_says_how_much_is_borrowed():
    records = records_of(trained("last", log=False))
    answers = [records.answer(records.parse(b"%f" % value)) for value in history(30, 3)]
    assert answers[5]["borrowed"] == 1.0
    assert answers[6]["borrowed"] < 1.0
    assert "borrowed" not in answers[-1]


@each
def test_in_training_short_series_borrow_from_long_ones(anchor):
    framing = Framing(horizon=3, length=6, season=4, log=False, anchor=anchor)
    long = [history(200, seed) for seed in (1, 2, 3)]
    short = np.concatenate(
        [long[0][: framing.reach], framing.frame(long[0][None, : framing.reach], np.ones(1)).base[0, :1]]
    )
    units = framing.units([*long, short])
    assert framing.spread(short) < 1e-6  # it happened to go on as the anchor said
    assert 0.3 < units[3] / np.median(units[:3]) < 3.0
    assert np.array_equal(units[:3], [framing.spread(values) for values in long])
    assert np.array_equal(framing.units(long), units[:3])
    assert np.allclose(framing.units([7e5 * v for v in (*long, short)]), 7e5 * units)


def test_where_all_are_constant_there_is_nothing_to_borrow():
    framing = Framing(horizon=3, length=6, season=4, log=False, anchor="last")
    units = framing.units([np.full(n, 5.0) for n in (200, 30, 7)])
    assert (units > 0.0).all()
    assert (units < 1e-6).all()
