import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data.framing import ANCHORS, Framing, choose_log

FRAMINGS = st.builds(
    Framing,
    horizon=st.integers(1, 9),
    length=st.integers(2, 9),
    season=st.integers(2, 5),
    log=st.booleans(),
    anchor=st.sampled_from(ANCHORS),
)
SEEDS = st.integers(0, 10**6)
few = settings(max_examples=60)


def history(framing, seed, *, n=3):
    """Positive windows, their futures, and a unit for each."""
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(1.0, 0.4, (n, framing.reach + framing.horizon)))
    return values[:, : framing.reach], values[:, framing.reach :], np.exp(rng.normal(size=n))


def framed(framing, past, spread):
    return framing.frame(framing.into(past), spread)


@few
@given(framing=FRAMINGS, seed=SEEDS)
def test_forecast_undoes_target(framing, seed):
    past, future, spread = history(framing, seed)
    frame = framed(framing, past, spread)
    answer = framing.target(frame, framing.into(future)).astype(np.float64)
    assert frame.x.shape == (3, framing.length, 1)
    np.testing.assert_allclose(framing.forecast(frame, answer[:, :, None])[:, :, 0], future, rtol=2e-5)


@few
@given(framing=FRAMINGS, seed=SEEDS)
def test_into_and_back_are_inverse(framing, seed):
    values = history(framing, seed)[0]
    np.testing.assert_allclose(framing.back(framing.into(values)), values, rtol=1e-12)


@few
@given(framing=FRAMINGS, seed=SEEDS, by=st.floats(0.01, 1000.0))
def test_level_does_not_matter(framing, seed, by):
    """Neither a constant that is added, nor a factor where effects multiply."""
    past, future, spread = history(framing, seed)
    frame = framed(framing, past, spread)
    past2, future2 = (past * by, future * by) if framing.log else (past + by, future + by)
    frame2 = framed(framing, past2, spread)
    near = {"rtol": 1e-3, "atol": 1e-4}
    np.testing.assert_allclose(frame2.x, frame.x, **near)
    np.testing.assert_allclose(
        framing.target(frame2, framing.into(future2)), framing.target(frame, framing.into(future)), **near
    )


@few
@given(framing=FRAMINGS, seed=SEEDS, by=st.floats(1e-12, 1e12))
def test_size_does_not_matter(framing, seed, by):
    """A series and its multiple look the same, each in the unit that is found from it."""
    values = np.exp(np.random.default_rng(seed).normal(0.0, 0.4, framing.reach + 40))
    past, future = values[None, : framing.reach], values[None, framing.reach : framing.reach + framing.horizon]

    def seen(factor):
        spread = framing.spread(framing.into(values * factor))
        frame = framed(framing, past * factor, np.array([spread]))
        return frame.x, framing.target(frame, framing.into(future * factor))

    for one, other in zip(seen(1.0), seen(by), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-4)


@few
@given(framing=FRAMINGS, seed=SEEDS)
def test_frame_sees_each_window_alone(framing, seed):
    past, _, spread = history(framing, seed, n=4)
    frame = framed(framing, past, spread)
    other = past.copy()
    other[1:] += 1.0
    changed = framed(framing, other, spread)
    for one, two in zip(frame, changed, strict=True):
        assert (one[0] == two[0]).all()


@few
@given(framing=FRAMINGS, seed=SEEDS, growth=st.floats(-3.0, 3.0), anchor=st.sampled_from(["season", "profile"]))
def test_exact_season_with_trend_needs_no_network(framing, seed, growth, anchor):
    framing = Framing(framing.horizon, max(framing.length, framing.season), framing.season, log=False, anchor=anchor)
    rng = np.random.default_rng(seed)
    n = framing.reach + 3 * framing.horizon
    values = np.tile(rng.normal(size=framing.season), -(-n // framing.season))[:n] + growth * (np.arange(n) // 1)
    frame = framing.frame(values[None, : framing.reach], np.ones(1))
    target = framing.target(frame, values[None, framing.reach : framing.reach + framing.horizon])
    np.testing.assert_allclose(target, 0.0, atol=1e-4)
    np.testing.assert_allclose(frame.x, 0.0, atol=1e-4)


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("level", [0.0, 1e-20, 1.0, -7.0, 1e30])
def test_unit_of_a_constant_series(anchor, level):
    framing = Framing(3, 4, 2, log=False, anchor=anchor)
    spread = framing.spread(np.full(30, level))
    assert 0.0 < spread < max(abs(level), 1.0)
    frame = framing.frame(np.full((1, framing.reach), level), np.array([spread]))
    assert np.abs(frame.x).max() < 1e-2
    np.testing.assert_allclose(framing.forecast(frame, np.zeros((1, 3, 1))), level)


def test_unit_of_a_series_without_errors_is_finite():
    framing = Framing(3, 4, 2, log=False, anchor="last")
    assert 0.0 < framing.spread(np.arange(3.0)) < 1.0
    assert 0.0 < framing.spread(np.zeros(0)) < 1.0


@few
@given(framing=FRAMINGS, seed=SEEDS, n=st.integers(0, 600))
def test_every_origin_gives_the_unit_of_up_to_500_of_them(framing, seed, n):
    values = np.random.default_rng(seed).normal(size=n)
    all_origins, some = framing.full_spread(values), framing.spread(values)
    assert all_origins == pytest.approx(some, rel=1e-12 if n - framing.reach <= 500 else 0.2)


def test_a_unit_of_many_origins_is_their_root_mean_square():
    framing = Framing(2, 3, 1, log=False, anchor="last")
    values = np.random.default_rng(0).normal(size=2203)
    errors = [values[o + 3 + h] - values[o + 2] for o in range(2200) for h in range(2) if o + 3 + h < 2203]
    assert framing.full_spread(values) == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-12)


def test_errors_are_those_of_the_anchor_up_to_the_end():
    framing = Framing(2, 3, 1, log=False, anchor="last")
    values = np.array([0.0, 1.0, 3.0, 6.0, 10.0])
    # Origins 3 and 4: from 3 to 6 and 10, from 6 to 10 alone.
    assert framing.errors(values).tolist() == [3.0, 7.0, 4.0]
    assert len(framing.errors(np.zeros(5003))) == 2 * 500 - 1


def test_reach_is_what_a_frame_takes():
    assert Framing(3, 4, 7, log=False, anchor="season").reach == 11
    assert Framing(3, 4, 7, log=False, anchor="last").reach == 4
    assert Framing(3, 4, 7, log=False, anchor="profile").reach == 21
    assert Framing(3, 30, 7, log=False, anchor="profile").reach == 30


def test_a_profile_is_the_mean_shape_of_three_seasons():
    framing = Framing(3, 2, 2, log=False, anchor="profile")
    frame = framing.frame(np.array([[0.0, 2.0, 1.0, 5.0, 4.0, 6.0]]), np.ones(1))
    # Levels 1, 3, 5 grow by 2; shapes -1, -2, -1 and 1, 2, 1 have the means -4/3 and 4/3.
    np.testing.assert_allclose(frame.base, [[7 - 4 / 3, 7 + 4 / 3, 9 - 4 / 3]])
    np.testing.assert_allclose(frame.x[0, :, 0], [4 - (5 - 4 / 3), 6 - (5 + 4 / 3)], rtol=1e-6)


@few
@given(seed=SEEDS, level=st.floats(0.1, 100.0))
def test_logarithms_are_chosen_where_spread_follows_level(seed, level):
    rng = np.random.default_rng(seed)
    trend = np.linspace(1.0, 8.0, 144)
    wave = np.sin(np.arange(144) * np.pi / 6.0)
    noise = rng.normal(0.0, 0.01, 144)
    assert choose_log([level * trend * np.exp(0.3 * wave + noise)], 12)
    assert not choose_log([level * (trend + 0.3 * wave + noise)], 12)


def test_logarithms_need_positive_values_and_some_history():
    grows = np.linspace(1.0, 8.0, 144) * np.exp(0.3 * np.sin(np.arange(144) * np.pi / 6.0))
    assert not choose_log([grows, grows - grows.min()], 12)
    assert not choose_log([grows[:20]], 12)
    assert not choose_log([np.ones(100)], 12)
