import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.tasks.tiny import Windows, panel, wave

from ostinato.data.framing import ANCHORS
from ostinato.errors import ArgumentError, DataError
from ostinato.tasks.forecasting.plan import make_plan

few = settings(max_examples=80)


def chosen(plan, what):
    return next(c for c in plan.choices if c.what == what)


@few
@given(
    lengths=st.lists(st.integers(1, 200), min_size=1, max_size=4),
    horizon=st.integers(1, 20),
    freq=st.sampled_from(["D", "W", "MS", "h", "B", "YS"]),
    test=st.sampled_from([0, -1, 25]),
    length=st.sampled_from([0, 1, 5]),
)
def test_a_plan_leaves_enough_of_every_series_or_says_how_much_it_needs(lengths, horizon, freq, test, length):
    series = panel(*(wave(n, seed=i) for i, n in enumerate(lengths)), freq=freq)
    error = None
    try:
        plan = make_plan(series, horizon, Windows(test=test, length=length))
    except DataError as caught:
        error = caught
    if error is not None:
        assert error.code == "short"
        needed = int(error.rule.split(" steps")[0].rsplit(" ", 1)[1])
        assert needed > min(lengths)
        assert all(f"s{i}" in " ".join(error.where) for i, n in enumerate(lengths) if n < needed)
        return
    framing = plan.framing
    assert framing.horizon == horizon
    assert framing.length >= 1
    assert framing.season >= 1
    assert plan.valid >= horizon
    assert plan.test == {0: plan.test, -1: 0, 25: 25}[test]
    assert test == -1 or plan.test >= horizon
    assert min(lengths) - plan.test - plan.valid > framing.reach
    assert {c.what for c in plan.choices} == {"season", "effects", "anchor", "window", "test", "validation"}
    assert all(c.chosen and c.why for c in plan.choices)


@few
@given(seed=st.integers(0, 10**6), log=st.booleans())
def test_test_and_validation_steps_decide_nothing(seed, log):
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(size=90)) + 1.0 if log else rng.normal(size=90).cumsum()
    one = make_plan(panel(values), 4, Windows())
    other = values.copy()
    other[-one.test - one.valid :] = np.abs(other[-one.test - one.valid :]) * 1e3 + 1e3
    assert make_plan(panel(other), 4, Windows()) == one


def test_the_season_is_that_of_the_frequency_if_the_series_hold_it():
    assert make_plan(panel(wave(80)), 3, Windows()).framing.season == 7
    short = make_plan(panel(wave(40), freq="W"), 3, Windows())
    assert short.framing.season == 1
    assert chosen(short, "season").chosen == "none"
    assert short.framing.length > 2
    asked = make_plan(panel(wave(80)), 3, Windows(season=5))
    assert (asked.framing.season, chosen(asked, "season").why) == (5, "as asked")


def test_anchors_are_those_of_the_data():
    n = np.arange(120)
    rng = np.random.default_rng(0)
    season = panel(wave(120))
    walk = panel(rng.normal(size=120).cumsum())
    noise = panel(rng.normal(size=120))
    exact = panel(np.tile(rng.normal(size=7), 18) + 0.1 * np.arange(126))
    for series, anchors in ((walk, "last"), (noise, "mean"), (exact, "season")):
        assert make_plan(series, 3, Windows()).framing.anchor == anchors
    for anchor in ANCHORS:
        assert make_plan(season, 3, Windows(anchor=anchor)).framing.anchor == anchor
    growing = panel(np.exp(n / 30.0) * (2.0 + np.sin(2 * np.pi * n / 7)))
    assert make_plan(growing, 3, Windows()).framing.log
    assert not make_plan(growing, 3, Windows(log="no")).framing.log
    assert not make_plan(season, 3, Windows()).framing.log
    assert make_plan(season, 3, Windows(log="yes")).framing.log


@pytest.mark.parametrize("seed", range(5))
def test_a_noisy_season_is_not_forecast_by_its_last_values(seed):
    """The noise of one season would be in every target: its own error is small, but nothing can be learned after it."""
    rng = np.random.default_rng(seed)
    week = np.tile(rng.normal(0.0, 3.0, 7), 60)
    plan = make_plan(panel(week + rng.normal(size=420)), 3, Windows())
    assert plan.framing.anchor in ("mean", "profile")
    assert "in mean steps: " in chosen(plan, "anchor").why


def test_a_few_noisy_seasons_are_mostly_forecast_by_their_mean_shape():
    anchors = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        year = np.tile(rng.normal(0.0, 3.0, 12), 12) + rng.normal(0.0, 0.3, 144)
        anchors.append(make_plan(panel(year), 3, Windows(season=12)).framing.anchor)
    assert anchors.count("profile") >= 15


def test_series_too_short_to_learn_from_are_judged_by_own_errors():
    why = chosen(make_plan(panel(wave(26), freq="YS"), 4, Windows()), "anchor").why
    assert why.startswith("smallest own error on the training part")


@pytest.mark.parametrize(
    ("n", "horizon", "freq", "why"),
    [
        (400, 3, "D", ("two seasons", "two horizons")),
        (400, 20, "D", ("two horizons, at most 96 steps", "two horizons")),
        (900, 90, "D", ("two horizons, at most 96 steps", "two horizons")),
        (120, 20, "D", ("what the shortest series leaves; 40 were wanted (two horizons, at most 96 steps)",
                        "a quarter of the shortest series, which has no room for two horizons")),
        (40, 10, "YS", ("what the shortest series leaves; 20 were wanted (two horizons, at most 96 steps)",
                        "one horizon")),
    ],
)  # fmt: skip
def test_reasons_are_those_of_the_numbers(n, horizon, freq, why):
    plan = make_plan(panel(wave(n), freq=freq), horizon, Windows())
    assert (chosen(plan, "window").why, chosen(plan, "test").why) == why
    assert chosen(plan, "window").chosen.split()[0] == str(plan.framing.length)
    if "wanted" not in why[0]:
        assert plan.framing.length == 2 * max(plan.framing.season, min(horizon, 48))
    assert plan.test == {"two horizons": 2 * horizon, "one horizon": horizon}.get(why[1], n // 4)


def test_a_constant_series_has_a_plan():
    assert make_plan(panel(np.full(60, 4.0)), 3, Windows()).framing.anchor in ANCHORS


@pytest.mark.parametrize(
    ("windows", "values", "name"),
    [
        (Windows(test=2), wave(80), "test"),
        (Windows(log="yes"), wave(80, level=0.0), "log"),
        (Windows(anchor="season", season=1), wave(80), "anchor"),
        (Windows(season=5000), wave(80), "season"),
        (Windows(season=68), wave(80), "season"),
    ],
)
def test_options_that_the_data_forbid(windows, values, name):
    with pytest.raises(ArgumentError, match=f"] {name} must"):
        make_plan(panel(values), 3, windows)


@pytest.mark.parametrize("windows", [Windows(length=500), Windows(test=500), Windows(length=70)])
def test_options_that_need_more_data(windows):
    with pytest.raises(DataError, match=r"\[short\]"):
        make_plan(panel(wave(80)), 3, windows)


@pytest.mark.parametrize(
    ("name", "value"),
    [("length", -1), ("length", 1.5), ("season", "7"), ("test", -2), ("step", True), ("log", "maybe"), ("anchor", None),
     ("length", 2**40)],
)  # fmt: skip
def test_windows_check(name, value):
    with pytest.raises(ArgumentError, match=f"] {name} must"):
        Windows(**{name: value}).check()
